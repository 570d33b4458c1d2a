package codec

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// contract is what the three codecs have in common, with values for each.
var contract = []struct {
	codec  Codec
	values []any // not nil, not pointers
}{
	{MsgPack, []any{fullOrder(), "text", []byte{1, 2, 3}, 12345, []line{{"a", 1}}, map[string]int{"a": 1}, tree{Name: "t"}, byAddr{"x"}, instant}},
	{JSON, []any{jsonOrder(), "text", []byte{1, 2, 3}, []line{{"a", 1}}, map[string]int{"a": 1}, tree{Name: "t"}, byAddr{"x"}, instant}},
	{Raw, []any{"text", []byte{1, 2, 3}, textKey("k"), []octet{1, 2}, ""}},
}

func jsonOrder() order {
	o := fullOrder()
	o.Number = "N-1" // JSON does not carry invalid UTF-8
	return o
}

func eachValue(t *testing.T, test func(t *testing.T, c Codec, v any)) {
	for _, c := range contract {
		for _, v := range c.values {
			t.Run(c.codec.Name()+"/"+reflect.TypeOf(v).String(), func(t *testing.T) { test(t, c.codec, v) })
		}
	}
}

// pointerTo returns a pointer to a copy of v.
func pointerTo(v any) any {
	p := reflect.New(reflect.TypeOf(v))
	p.Elem().Set(reflect.ValueOf(v))
	return p.Interface()
}

// decodeLike decodes data into a new value of v's type.
func decodeLike(c Codec, data []byte, v any) (any, error) {
	p := reflect.New(reflect.TypeOf(v))
	err := c.Unmarshal(data, p.Interface())
	return p.Elem().Interface(), err
}

func TestRoundTrip(t *testing.T) {
	eachValue(t, func(t *testing.T, c Codec, v any) {
		for _, in := range []any{v, pointerTo(v)} {
			data, err := c.Append(nil, in)
			if err != nil {
				t.Fatalf("Append(%T): %v", in, err)
			}
			if out, err := decodeLike(c, data, v); err != nil || !same(v, out) {
				t.Errorf("given %T: got %+v, %v\nwant %+v", in, out, err, v)
			}
		}
	})
}

func TestAppendExtends(t *testing.T) {
	eachValue(t, func(t *testing.T, c Codec, v any) {
		alone, err := c.Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		dst := append(make([]byte, 0, 1<<12), "header"...)
		out, err := c.Append(dst, v)
		if err != nil || string(out[:6]) != "header" || len(out) != 6+len(alone) {
			t.Fatalf("Append(header) = %q, %v; alone %q", out, err, alone)
		}
		if &out[0] != &dst[0] {
			t.Error("Append left a slice that had room for the value")
		}
		if got, err := decodeLike(c, out[6:], v); err != nil || !same(v, got) {
			t.Errorf("decoding what follows the header: %+v, %v", got, err)
		}
	})
}

func TestAppendErrorReturnsDst(t *testing.T) {
	unfit := map[Codec]any{MsgPack: box[any]{}, JSON: []float64{nan}, Raw: 3}
	for c, v := range unfit {
		for _, v := range []any{v, nil} {
			out, err := c.Append([]byte("header"), v)
			if err == nil || string(out) != "header" {
				t.Errorf("%s: Append(header, %v) = %q, %v; want header and an error", c.Name(), v, out, err)
			}
		}
	}
}

func TestUnmarshalCopies(t *testing.T) {
	eachValue(t, func(t *testing.T, c Codec, v any) {
		data, err := c.Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		before := bytes.Clone(data)
		out, err := decodeLike(c, data, v)
		if err != nil || !bytes.Equal(data, before) {
			t.Fatalf("Unmarshal changed its input, or failed: %v", err)
		}
		for i := range data {
			data[i] = 0xAA
		}
		if !same(v, out) {
			t.Errorf("the value changed with the input: %+v", out)
		}
	})
}

func TestAppendCopies(t *testing.T) {
	v := []byte("value")
	for _, c := range []Codec{MsgPack, JSON, Raw} {
		data := must(c.Append(nil, v))
		v[0] = 'X'
		if out, err := decodeLike(c, data, v); err != nil || string(out.([]byte)) != "value" {
			t.Errorf("%s: the encoding changed with the value: %q, %v", c.Name(), out, err)
		}
		v[0] = 'v'
	}
}

// TestWholeValue: nothing less and nothing more than one value is decoded. Raw
// has no ends, and in JSON a number at the top has none.
func TestWholeValue(t *testing.T) {
	eachValue(t, func(t *testing.T, c Codec, v any) {
		if c == Raw {
			t.Skip("any bytes are a raw value")
		}
		data, err := c.Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		for n := range data {
			if out, err := decodeLike(c, data[:n], v); err == nil {
				t.Fatalf("the first %d of %d bytes decode to %+v", n, len(data), out)
			}
		}
		for _, garbage := range []string{"\x00", "0", "\xc0", "null", string(data)} {
			if out, err := decodeLike(c, append(bytes.Clone(data), garbage...), v); err == nil {
				t.Errorf("followed by %q it decodes to %+v", garbage, out)
			}
		}
	})
}

// TestDecoderThatStopsEarly: the message is whole, but a method of the value's
// own does not read all of it.
func TestDecoderThatStopsEarly(t *testing.T) {
	data := must(MsgPack.Append(nil, hasty{1, 2}))
	if err := MsgPack.Unmarshal(data, new(hasty)); !errors.Is(err, errTrailing) {
		t.Errorf("Unmarshal = %v, want %v", err, errTrailing)
	}
}

func TestNilInPlaceOfValue(t *testing.T) {
	nils := map[Codec]string{MsgPack: "\xc0", JSON: "null"}
	for c, data := range nils {
		for _, v := range []any{line{}, 0, "", [2]int{}, order{}} {
			if out, err := decodeLike(c, []byte(data), v); err == nil {
				t.Errorf("%s: nil decodes to %T %+v", c.Name(), out, out)
			}
		}
		for _, v := range []any{(*line)(nil), []int(nil), map[string]int(nil)} {
			if out, err := decodeLike(c, []byte(data), v); err != nil || !same(v, out) {
				t.Errorf("%s: nil decodes to %T %+v, %v", c.Name(), out, out, err)
			}
		}
	}
}

func TestUnmarshalTarget(t *testing.T) {
	for _, c := range []Codec{MsgPack, JSON, Raw} {
		data := must(c.Append(nil, "x"))
		for _, target := range []any{nil, "no pointer", (*string)(nil), new(any), new(chan int)} {
			if err := Decode(c, data, target); err == nil || strings.Contains(err.Error(), "panic") {
				t.Errorf("%s: Unmarshal into %T = %v, want a plain error", c.Name(), target, err)
			}
		}
	}
}

// TestPooledState: what one value or one failure leaves in a pooled encoder or
// decoder must not show in the next value.
func TestPooledState(t *testing.T) {
	type interned struct {
		A, B string `msgpack:",intern"`
	}
	for i := range 100 {
		// A failure costs the encoder or decoder; two successes share one.
		_ = Decode(MsgPack, []byte{0x81, 0xa1, 'V', 0xa1, 'x'}, new(box[grenade]))
		_ = Decode(MsgPack, []byte{0x81, 0xa1, 'V', 0x01}, new(box[mixed]))
		_, _ = Encode(JSON, nil, []float64{nan})
		for n := range 3 {
			word := strings.Repeat("x", 10+i+n)
			in := interned{word, word}
			got := must(MsgPack.Append(nil, in))
			if want := must(msgpack.Marshal(in)); !bytes.Equal(got, want) {
				t.Fatalf("got % x, want % x", got, want)
			}
			if out, err := decodeLike(MsgPack, got, in); err != nil || out != in {
				t.Fatalf("got %+v, %v", out, err)
			}
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	var wg sync.WaitGroup
	for _, c := range contract {
		for _, v := range c.values {
			for range 4 {
				wg.Go(func() {
					var buf []byte
					for range 50 {
						var err error
						if buf, err = c.codec.Append(buf[:0], v); err != nil {
							t.Error(err)
							return
						}
						if out, err := decodeLike(c.codec, buf, v); err != nil || !same(v, out) {
							t.Errorf("%s: got %+v, %v", c.codec.Name(), out, err)
							return
						}
						Fingerprint(c.codec, reflect.TypeOf(v))
					}
				})
			}
		}
	}
	wg.Wait()
}

func TestLargeValue(t *testing.T) { // larger than what pools keep, and than the library's steps of 1 MiB
	v := map[string]string{"a": strings.Repeat("x", 5<<20), "b": strings.Repeat("y", 100<<10)}
	for _, c := range []Codec{MsgPack, JSON} {
		for range 2 {
			if out, err := decodeLike(c, must(c.Append(nil, v)), v); err != nil || !same(v, out) {
				t.Errorf("%s: a large value came back otherwise, or: %v", c.Name(), err)
			}
		}
	}
}

func TestNames(t *testing.T) { // they are in the header of stored values
	for c, name := range map[Codec]string{MsgPack: "msgpack", JSON: "json", Raw: "raw"} {
		if c.Name() != name {
			t.Errorf("Name = %q, want %q", c.Name(), name)
		}
	}
}
