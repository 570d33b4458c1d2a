package codec

import (
	"bytes"
	"errors"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// FuzzDecompress: arbitrary bytes are a value within the limit or an error, and
// what the libraries make of a compressed value is the same.
func FuzzDecompress(f *testing.F) {
	v := append(bytes.Repeat([]byte("doppio "), 50), noise(50)...)
	for _, a := range algorithms {
		f.Add(must(everything(Raw, a).Append(nil, v)))
	}
	f.Add(must(Compress(Raw).Append(nil, v)))
	f.Add([]byte("\x02\x28\xb5\x2f\xfd\xa0\x00\x00\x10\x00\x02\x00\x00a")) // a run
	const limit = 1 << 20
	c := Compress(Raw, WithLimit(limit))
	f.Fuzz(func(t *testing.T, data []byte) {
		kept := bytes.Clone(data)
		var out []byte
		err := Decode(c, data, &out)
		var p *PanicError
		if errors.As(err, &p) {
			t.Fatalf("% x: %v\n%s", data, err, p.Stack)
		}
		if !bytes.Equal(data, kept) {
			t.Fatal("Unmarshal changed its input")
		}
		if err != nil {
			return
		}
		form, want := Algorithm(data[0]), data[1:]
		if form != uncompressed && len(out) > limit {
			t.Fatalf("% x: %d bytes are above the limit", data, len(out))
		}
		switch form {
		case uncompressed:
		case S2:
			want, err = s2.Decode(nil, want)
		case Zstd:
			dec, failed := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
			if failed != nil {
				t.Fatal(failed)
			}
			want, err = dec.DecodeAll(want, nil)
		}
		if err != nil || !bytes.Equal(out, want) {
			t.Fatalf("% x: got %d bytes, the library %d, %v", data, len(out), len(want), err)
		}
	})
}

// FuzzCompressRoundTrip varies values and settings. The value is repeated to
// make it compressible and larger than a block.
func FuzzCompressRoundTrip(f *testing.F) {
	f.Add([]byte("doppio "), uint16(1000), uint16(100), false)
	f.Add([]byte{0}, uint16(3), uint16(0), true)
	f.Add(noise(100), uint16(2000), uint16(0), true)
	f.Fuzz(func(t *testing.T, v []byte, times, threshold uint16, zstd bool) {
		if len(v) > 1000 {
			v = v[:1000]
		}
		v = bytes.Repeat(v, int(times)%2000)
		c := Compress(Raw, WithThreshold(int(threshold)))
		if zstd {
			c = Compress(Raw, WithThreshold(int(threshold)), WithAlgorithm(Zstd))
		}
		data, err := Encode(c, []byte("header"), v)
		if err != nil || string(data[:6]) != "header" || len(data) > 6+1+len(v) {
			t.Fatalf("%d bytes in %d, %v", len(v), len(data), err)
		}
		for _, reader := range []Codec{c, Compress(Raw)} {
			var out []byte
			if err := Decode(reader, data[6:], &out); err != nil || !bytes.Equal(out, v) {
				t.Fatalf("%d bytes came back as %d, %v", len(v), len(out), err)
			}
		}
	})
}
