package codec

import (
	"testing"
	"time"
)

// fuzzed is decoded from arbitrary bytes: one of each kind of decoder, short
// names so that the fuzzer finds them.
type fuzzed struct {
	I int8               `msgpack:"i" json:"i"`
	U uint64             `msgpack:"u" json:"u"`
	F float32            `msgpack:"f" json:"f"`
	S string             `msgpack:"s,intern" json:"s"`
	B []byte             `msgpack:"b" json:"b"`
	A [2]byte            `msgpack:"a" json:"a"`
	T time.Time          `msgpack:"t" json:"t"`
	X status             `msgpack:"x" json:"x"`
	Y *byAddr            `msgpack:"y" json:"y"`
	L []*fuzzed          `msgpack:"l" json:"l"`
	M map[string]string  `msgpack:"m" json:"m"`
	N map[int][]fuzzed   `msgpack:"n" json:"n"`
	D map[string]bool    `msgpack:"d" json:"d"`
	W []string           `msgpack:"w" json:"w"`
	P fuzzedPosition     `msgpack:"p" json:"p"`
	O map[fuzzedKey]bool `msgpack:"o" json:"-"`
	Base
}

type fuzzedPosition struct {
	_msgpack struct{} `msgpack:",as_array"`
	A        float64
	B        *int
}

type fuzzedKey struct{ K [1]byte }

func FuzzMsgPackUnmarshal(f *testing.F) {
	f.Add(must(MsgPack.Append(nil, someFuzzed())))
	for _, lie := range lies {
		f.Add([]byte(lie.data))
	}
	f.Add([]byte("\x81\xa1t\xc0"))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzUnmarshal(t, MsgPack, data) })
}

func FuzzJSONUnmarshal(f *testing.F) {
	f.Add(must(JSON.Append(nil, someFuzzed())))
	f.Add([]byte(`{"t":null,"y":"\ufffd","f":1e-50}`))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzUnmarshal(t, JSON, data) })
}

// fuzzUnmarshal demands that what decodes is a value like any other: it has an
// encoding, from which it comes back.
func fuzzUnmarshal(t *testing.T, c Codec, data []byte) {
	kept := string(data)
	var first, second fuzzed
	err := Decode(c, data, &first)
	if string(data) != kept {
		t.Fatal("Unmarshal changed its input")
	}
	if err != nil {
		return
	}
	again, err := Encode(c, nil, &first)
	if err == nil {
		err = Decode(c, again, &second)
	}
	if err != nil || !same(first, second) {
		t.Fatalf("from   % x\ngot    %+v\nthen   % x\ngot    %+v\nerror  %v", data, first, again, second, err)
	}
}

func someFuzzed() *fuzzed {
	return &fuzzed{
		I: -1, U: 1 << 63, F: 0.5, S: "hello", B: []byte{1}, T: instant, X: 7, Y: &byAddr{"y"}, L: []*fuzzed{nil, {S: "hello"}},
		M: map[string]string{"k": "v"}, N: map[int][]fuzzed{1: {{}}}, D: map[string]bool{"d": true}, W: []string{"w"},
		P: fuzzedPosition{B: ptr(1)}, O: map[fuzzedKey]bool{{[1]byte{1}}: true}, Base: Base{1},
	}
}

// FuzzRoundTrip varies the values.
func FuzzRoundTrip(f *testing.F) {
	f.Add(int8(1), uint64(2), float32(3), 4.5, "text", []byte{5}, int64(6), uint32(7), true)
	f.Fuzz(func(t *testing.T, i int8, u uint64, f32 float32, f64 float64, s string, b []byte, sec int64, nsec uint32, nest bool) {
		at := time.Unix(sec, int64(nsec))
		in := fuzzed{
			I: i, U: u, F: f32, S: s, B: b, A: [2]byte{byte(u), byte(u >> 8)}, T: at, X: status(i), Y: &byAddr{s},
			M: map[string]string{s: s}, D: map[string]bool{s: nest}, W: []string{s, s}, P: fuzzedPosition{A: f64, B: ptr(int(sec))},
			O: map[fuzzedKey]bool{{[1]byte{byte(i)}}: nest}, Base: Base{sec},
		}
		if nest {
			child := in
			in.L, in.N = []*fuzzed{&child, nil}, map[int][]fuzzed{int(sec): {child}}
		}
		data, err := Encode(MsgPack, nil, &in)
		var out fuzzed
		if err == nil {
			err = Decode(MsgPack, data, &out)
		}
		if err != nil || !same(in, out) {
			t.Fatalf("went in  %+v\ncame out %+v\n%v", in, out, err)
		}
		if _, err := decodeLike(Raw, must(Raw.Append(nil, s)), s); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzScanner: what the scanner accepts, the library can skip, and it ends
// where the scanner said.
func FuzzScanner(f *testing.F) {
	f.Add([]byte("\x92\x01\xc7\x02\x05xx"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if checkWellFormed(data) != nil {
			return
		}
		d := msgpackDecoders.Get().(*msgpackDecoder)
		d.in.reset(data, nil)
		if err := d.dec.Skip(); err != nil || d.in.off != len(data) {
			t.Fatalf("% x: skipped %d of %d bytes, %v", data, d.in.off, len(data), err)
		}
	})
}
