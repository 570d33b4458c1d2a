package codec

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

var algorithms = []Algorithm{S2, Zstd}

// everything compresses whatever becomes smaller.
func everything(inner Codec, a Algorithm) Codec {
	return Compress(inner, WithAlgorithm(a), WithThreshold(0))
}

// repetitive returns n lines that compress well; noise n bytes that do not.
func repetitive(n int) []line {
	lines := make([]line, n)
	for i := range lines {
		lines[i] = line{fmt.Sprint("SKU-", i%10), i}
	}
	return lines
}

func noise(n int) []byte {
	out := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(out)
	return out
}

func TestCompressedRoundTrip(t *testing.T) {
	eachValue(t, func(t *testing.T, inner Codec, v any) {
		for _, a := range algorithms {
			c := everything(inner, a)
			for _, in := range []any{v, pointerTo(v)} {
				out, err := decodeLike(c, must(c.Append(nil, in)), v)
				if err != nil || !same(v, out) {
					t.Errorf("%v: got %+v, %v\nwant %+v", a, out, err, v)
				}
			}
		}
	})
	for _, inner := range []Codec{MsgPack, JSON} {
		for _, a := range algorithms {
			for _, n := range []int{1, 10, 100, 1000, 20_000} { // the last ones are of several blocks
				v := repetitive(n)
				c := everything(inner, a)
				data := must(c.Append(nil, &v))
				if n > 1 && Algorithm(data[0]) != a {
					t.Errorf("%d lines are stored %v, want %v", n, Algorithm(data[0]), a)
				}
				if out, err := decodeLike(c, data, v); err != nil || !same(v, out) {
					t.Errorf("%s, %v: %d lines came back otherwise, or: %v", c.Name(), a, n, err)
				}
			}
		}
	}
}

// TestFormDoesNotDependOnReader: what was written under one setting is read
// under every other.
func TestFormDoesNotDependOnReader(t *testing.T) {
	settings := [][]CompressOption{
		nil,
		{WithThreshold(0)},
		{WithThreshold(math.MaxInt)},
		{WithAlgorithm(Zstd)},
		{WithAlgorithm(Zstd), WithThreshold(0), WithLimit(1 << 20)},
	}
	v := repetitive(1000)
	forms := map[Algorithm]bool{}
	for _, written := range settings {
		data := must(Compress(MsgPack, written...).Append(nil, v))
		forms[Algorithm(data[0])] = true
		for i, read := range settings {
			if out, err := decodeLike(Compress(MsgPack, read...), data, v); err != nil || !same(v, out) {
				t.Errorf("setting %d does not read what was stored %v: %v", i, Algorithm(data[0]), err)
			}
		}
	}
	if len(forms) != 3 {
		t.Errorf("the settings lead to the forms %v, want all three", forms)
	}
}

func TestWhatIsCompressed(t *testing.T) {
	text := func(n int) []byte { return bytes.Repeat([]byte("doppio "), n/7+1)[:n] }
	tests := []struct {
		name string
		opts []CompressOption
		v    []byte
		want Algorithm
	}{
		{"nothing", []CompressOption{WithThreshold(0)}, nil, uncompressed},
		{"one byte", []CompressOption{WithThreshold(0)}, text(1), uncompressed},
		{"just below the default threshold", nil, text(1023), uncompressed},
		{"at the default threshold", nil, text(1024), S2},
		{"just below a threshold", []CompressOption{WithThreshold(500)}, text(499), uncompressed},
		{"at a threshold", []CompressOption{WithThreshold(500)}, text(500), S2},
		{"an infinite threshold", []CompressOption{WithThreshold(math.MaxInt)}, text(1 << 20), uncompressed},
		{"zstd", []CompressOption{WithAlgorithm(Zstd)}, text(1024), Zstd},
		{"noise", nil, noise(10_000), uncompressed},
		{"noise, zstd", []CompressOption{WithAlgorithm(Zstd)}, noise(10_000), uncompressed},
		{"a tenth of it text", nil, append(text(1000), noise(9000)...), uncompressed},
		{"a fifth of it text", nil, append(text(2000), noise(8000)...), S2},
		{"a half of it text", nil, append(noise(5000), text(5000)...), S2},
		{"at the limit", []CompressOption{WithLimit(5000)}, text(5000), S2},
		{"above the limit", []CompressOption{WithLimit(5000)}, text(5001), uncompressed},
		{"nil option", []CompressOption{nil}, text(1024), S2},
	}
	for _, test := range tests {
		c := Compress(Raw, test.opts...)
		data := must(c.Append(nil, test.v))
		if Algorithm(data[0]) != test.want {
			t.Errorf("%s: stored %v, want %v", test.name, Algorithm(data[0]), test.want)
		}
		if test.want != uncompressed && len(data) > len(test.v)*7/8+1 {
			t.Errorf("%s: %d bytes are stored in %d", test.name, len(test.v), len(data))
		}
		if out, err := decodeLike(c, data, test.v); err != nil || !bytes.Equal(out.([]byte), test.v) {
			t.Errorf("%s: it does not come back: %v", test.name, err)
		}
	}
}

// TestWorthwhile: an eighth, rounded up, is what has to be saved.
func TestWorthwhile(t *testing.T) {
	for _, size := range []int{1, 7, 8, 9, 800, 801, 1 << 30} {
		most := size - (size+7)/8
		if !isWorthwhile(most, size) || isWorthwhile(most+1, size) || 8*most > 7*size {
			t.Errorf("of %d bytes, %d are not the limit", size, most)
		}
	}
}

func TestCompressedAppendExtends(t *testing.T) {
	for _, a := range algorithms {
		for _, v := range []any{repetitive(500), noise(3000)} {
			c := everything(MsgPack, a)
			alone := must(c.Append(nil, v))
			dst := append(make([]byte, 0, 1<<16), "header"...)
			out := must(c.Append(dst, v))
			if string(out[:6]) != "header" || !bytes.Equal(out[6:], alone) {
				t.Errorf("%v: behind a header %T is encoded otherwise", a, v)
			}
			if &out[0] != &dst[0] {
				t.Errorf("%v: Append left a slice that had room for the value", a)
			}
		}
	}
}

func TestCompressedErrorReturnsDst(t *testing.T) {
	for _, c := range []Codec{everything(Raw, S2), Compress(Raw, WithLimit(-1)), Compress(nil)} {
		if out, err := c.Append([]byte("header"), 3); err == nil || string(out) != "header" {
			t.Errorf("Append(header, 3) = %q, %v; want header and an error", out, err)
		}
	}
}

func TestCompressedUnmarshalCopies(t *testing.T) {
	for _, a := range algorithms {
		for _, v := range [][]byte{bytes.Repeat([]byte("doppio"), 1000), noise(3000)} {
			c := everything(Raw, a)
			data := must(c.Append(nil, v))
			kept := bytes.Clone(data)
			out, err := decodeLike(c, data, v)
			if err != nil || !bytes.Equal(data, kept) {
				t.Fatalf("%v: Unmarshal changed its input, or failed: %v", a, err)
			}
			clear(data)
			for range 10 { // a buffer that was used again would show
				_, _ = decodeLike(c, must(c.Append(nil, bytes.Repeat([]byte("lungo"), 1200))), v)
			}
			if !bytes.Equal(out.([]byte), v) {
				t.Errorf("%v: the value changed with the input or with a later one", a)
			}
		}
	}
}

// TestCompressedWholeValue: what was cut off or added is found before the inner
// codec sees anything. Raw takes whatever it gets.
func TestCompressedWholeValue(t *testing.T) {
	v := append(bytes.Repeat([]byte("doppio "), 100), noise(100)...)
	for _, a := range algorithms {
		for name, v := range map[string][]byte{"short": v, "several blocks": bytes.Repeat(v, 400)} {
			c := everything(Raw, a)
			data := must(c.Append(nil, v))
			if Algorithm(data[0]) != a {
				t.Fatalf("stored %v, want %v", Algorithm(data[0]), a)
			}
			for n := range data {
				if n > 300 && n < len(data)-300 && n%53 != 0 {
					continue
				}
				if _, err := decodeLike(c, data[:n], v); err == nil {
					t.Fatalf("%v, %s: the first %d of %d bytes decode", a, name, n, len(data))
				}
			}
			skippable := "\x50\x2a\x4d\x18\x00\x00\x00\x00"
			for _, garbage := range []string{"\x00", "0", "\xc0", "\x00\x00\x00", skippable, string(data[1:]), string(data)} {
				if _, err := decodeLike(c, append(bytes.Clone(data), garbage...), v); err == nil {
					t.Errorf("%v, %s: followed by %.8q it decodes", a, name, garbage)
				}
			}
		}
	}
}

func TestCorruptCompression(t *testing.T) {
	plainFrame := must(frame(t, zstd.WithSingleSegment(true)))
	tests := map[string]struct{ data, want string }{
		"nothing":            {"", "no bytes at all"},
		"unknown form":       {"\x03abc", "stored in unknown form 3"},
		"s2 without a block": {"\x01", "corrupt"},
		"s2 endless size":    {"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "corrupt"},
		"s2 empty promise":   {"\x01\x64", "corrupt"},
		"zstd nothing":       {"\x02", "unexpected EOF"},
		"zstd other magic":   {"\x02\x28\xb5\x2f\xfe\x20\x00\x01\x00\x00", "magic"},
		"zstd skippable":     {"\x02\x50\x2a\x4d\x18\x00\x00\x00\x00", "a frame without a value"},
		"zstd no size":       {"\x02\x28\xb5\x2f\xfd\x00\x50\x01\x00\x00", "a frame without its size"},
		"zstd dictionary":    {"\x02\x28\xb5\x2f\xfd\x21\x07\x00\x01\x00\x00", "needs a dictionary"},
		"zstd no block":      {"\x02\x28\xb5\x2f\xfd\x20\x05", "truncated"},
		"zstd empty promise": {"\x02\x28\xb5\x2f\xfd\xa0\x00\x00\x10\x00\x01\x00\x00", "more bytes promised"},
		"zstd wrong size":    {"\x02\x28\xb5\x2f\xfd\x20\x05\x09\x00\x00a", "decompress zstd"},
		"zstd bad block":     {"\x02\x28\xb5\x2f\xfd\x20\x05\x0f\x00\x00a", "decompress zstd"},
		"zstd no checksum":   {"\x02" + string(must(frame(t, zstd.WithSingleSegment(true), zstd.WithEncoderCRC(true)))[:len(plainFrame)-4]), "truncated"},
	}
	for name, test := range tests {
		for _, inner := range []Codec{Raw, MsgPack, JSON} {
			err := Decode(Compress(inner), []byte(test.data), new([]byte))
			var p *PanicError
			if err == nil || errors.As(err, &p) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s, %s: Decode = %v, want an error with %q", name, inner.Name(), err, test.want)
			}
		}
	}
}

// frame is a zstd frame as another writer may make it.
func frame(t *testing.T, opts ...zstd.EOption) ([]byte, error) {
	enc, err := zstd.NewWriter(nil, append(opts, zstd.WithEncoderConcurrency(1))...)
	if err != nil {
		t.Fatal(err)
	}
	return enc.EncodeAll(bytes.Repeat([]byte("doppio "), 100), nil), nil
}

// TestFrameWithChecksum: it may be there, and is then believed.
func TestFrameWithChecksum(t *testing.T) {
	data := append([]byte{byte(Zstd)}, must(frame(t, zstd.WithSingleSegment(true), zstd.WithEncoderCRC(true)))...)
	var out []byte
	if err := Decode(Compress(Raw), data, &out); err != nil || len(out) != 700 {
		t.Errorf("%d bytes, %v", len(out), err)
	}
	data[len(data)-1]++
	if err := Decode(Compress(Raw), data, &out); err == nil {
		t.Error("a wrong checksum is not noticed")
	}
}

// TestLimit: a bomb is an error, and no memory is taken for it.
func TestLimit(t *testing.T) {
	const size = 8 << 20
	zeros := make([]byte, size)
	for _, a := range algorithms {
		bomb := must(Compress(Raw, WithAlgorithm(a)).Append(nil, zeros))
		if len(bomb) > size/1000 {
			t.Fatalf("%v: %d bytes are no bomb", a, len(bomb))
		}
		var out []byte
		if err := Decode(Compress(Raw, WithLimit(size)), bomb, &out); err != nil || len(out) != size {
			t.Errorf("%v: at the limit: %d bytes, %v", a, len(out), err)
		}
		if err := Decode(Compress(Raw, WithLimit(size-1)), bomb, &out); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v: above the limit: %v, want ErrTooLarge", a, err)
		}
	}
	// Plain values take no more memory than they bring.
	plain := must(Compress(Raw, WithLimit(1)).Append(nil, zeros))
	var out []byte
	if err := Decode(Compress(Raw, WithLimit(1)), plain, &out); err != nil || len(out) != size {
		t.Errorf("a plain value above the limit: %d bytes, %v", len(out), err)
	}
}

func TestCompressSettings(t *testing.T) {
	var none *compressed
	tests := []struct {
		c    Codec
		want string
	}{
		{Compress(nil), "codec: compress: the codec is nil"},
		{Compress(none), "codec: compress: the codec is nil"},
		{Compress(MsgPack, WithAlgorithm(0)), "codec: compress: unknown algorithm 0"},
		{Compress(MsgPack, WithAlgorithm(9), WithThreshold(-1), WithLimit(0)), "codec: compress: unknown algorithm 9\n" +
			"codec: compress: the threshold is negative (-1)\ncodec: compress: the limit is 0, must be between 1 and 1073741824"},
		{Compress(MsgPack, WithLimit(1<<30+1)), "codec: compress: the limit is 1073741825, must be between 1 and 1073741824"},
	}
	for _, test := range tests {
		_ = test.c.Name()
		Fingerprint(test.c, reflect.TypeFor[order]())
		_, appended := Encode(test.c, nil, "x")
		for _, err := range []error{Check(test.c, reflect.TypeFor[string]()), appended, Decode(test.c, []byte{0}, new(string))} {
			if !errors.Is(err, ErrInvalidOption) || err.Error() != test.want {
				t.Errorf("got %v, want %s, which is an ErrInvalidOption", err, test.want)
			}
		}
	}
}

// TestCompressIsTransparent: what can be carried, and the fingerprint, are the
// inner codec's; the name tells that there is a wrapper, and no more.
func TestCompressIsTransparent(t *testing.T) {
	for _, inner := range []Codec{MsgPack, JSON, Raw, stranger{}} {
		c := Compress(inner, WithAlgorithm(Zstd))
		for _, typ := range leafTypes {
			if got, want := fmt.Sprint(Check(c, typ)), fmt.Sprint(Check(inner, typ)); got != want {
				t.Errorf("Check(%v) = %s, want %s", typ, got, want)
			}
			if got, want := Fingerprint(c, typ), Fingerprint(inner, typ); got != want {
				t.Errorf("Fingerprint(%v) = %s, want %s", typ, got, want)
			}
		}
	}
	for _, c := range []Codec{Compress(MsgPack), Compress(MsgPack, WithAlgorithm(Zstd), WithThreshold(3), WithLimit(10))} {
		if c.Name() != "msgpack+z" { // it is in the header of stored values
			t.Errorf("Name = %q", c.Name())
		}
	}
}

// TestSize: the memory that a value takes is not what it takes in Redis.
func TestSize(t *testing.T) {
	v := make([]byte, 100_000)
	for _, c := range []Codec{Raw, everything(Raw, S2), everything(Raw, Zstd), Compress(Raw, WithThreshold(math.MaxInt)), Compress(everything(Raw, S2), WithThreshold(math.MaxInt))} {
		if got := Size(c, must(c.Append(nil, v))); got != len(v) {
			t.Errorf("%s: Size = %d, want %d", c.Name(), got, len(v))
		}
	}
	for _, data := range []string{"", "\x01", "\x02abc", "\x03abc", "\x01\xff\xff\xff\xff\x0f"} { // damaged, and above the limit
		for _, c := range []Codec{Compress(Raw), Compress(nil)} {
			if got := Size(c, []byte(data)); got != len(data) {
				t.Errorf("Size of %q = %d, want its length", data, got)
			}
		}
	}
}

// TestCompressedForms: the first byte of a stored value, and what follows, are
// a format that other processes read.
func TestCompressedForms(t *testing.T) {
	v := bytes.Repeat([]byte("doppio "), 200)
	for a, number := range map[Algorithm]byte{uncompressed: 0, S2: 1, Zstd: 2} {
		c := Compress(Raw, WithAlgorithm(a))
		if a == uncompressed {
			c = Compress(Raw, WithThreshold(math.MaxInt))
		}
		data := must(c.Append(nil, v))
		if data[0] != number {
			t.Errorf("%v begins with %d, want %d", a, data[0], number)
		}
		var got []byte
		var err error
		switch a {
		case S2:
			got, err = s2.Decode(nil, data[1:])
		case Zstd:
			dec, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
			got, err = dec.DecodeAll(data[1:], nil)
		default:
			got = data[1:]
		}
		if err != nil || !bytes.Equal(got, v) {
			t.Errorf("%v: the library alone reads %d bytes, %v", a, len(got), err)
		}
	}
}

func TestCompressedConcurrentUse(t *testing.T) {
	var wg sync.WaitGroup
	for _, a := range algorithms {
		c := everything(MsgPack, a)
		for i := range 4 {
			wg.Go(func() {
				v := repetitive(100 + i)
				for range 50 {
					if out, err := decodeLike(c, must(c.Append(nil, &v)), v); err != nil || !same(v, out) {
						t.Errorf("%v: %v", a, err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
}

func TestCompressedPanicOfInner(t *testing.T) {
	c := everything(MsgPack, S2)
	v := make([]grenade, 100)
	data := must(Encode(c, nil, v))
	if Algorithm(data[0]) != S2 {
		t.Fatalf("stored %v", Algorithm(data[0]))
	}
	if err := Decode(c, data, new([]grenade)); !errors.Is(err, errPin) {
		t.Errorf("Decode = %v, want a PanicError around errPin", err)
	}
}

// TestPlainAllocs: a value that stays plain costs what the inner codec costs.
func TestPlainAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	v, c := noise(3000), Compress(Raw)
	p := &v
	buf := make([]byte, 0, 4000)
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Append(buf, p) }); n > 0 {
		t.Errorf("Append allocates %v times", n)
	}
	data := must(c.Append(nil, p))
	var out []byte
	if n := testing.AllocsPerRun(100, func() { _ = c.Unmarshal(data, &out) }); n > 1 {
		t.Errorf("Unmarshal allocates %v times, want once, for the value", n)
	}
}
