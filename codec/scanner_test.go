package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

func TestScannerAccepts(t *testing.T) {
	messages := map[string]string{
		"fixint": "\x05", "negative fixint": "\xe0", "nil": "\xc0", "fixstr": "\xa2hi", "str8": "\xd9\x01x", "str16": "\xda\x00\x01x",
		"str32": "\xdb\x00\x00\x00\x01x", "bin8": "\xc4\x00", "bin16": "\xc5\x00\x01x", "bin32": "\xc6\x00\x00\x00\x01x",
		"uint8": "\xcc\xff", "int16": "\xd1\x00\x01", "uint32": "\xce\x00\x00\x00\x01", "double": "\xcb12345678", "float": "\xca1234",
		"fixmap": "\x81\x01\x02", "map16": "\xde\x00\x01\x01\x02", "map32": "\xdf\x00\x00\x00\x01\x01\x02", "empty map": "\x80",
		"fixarray": "\x92\x01\x02", "array16": "\xdc\x00\x01\x01", "array32": "\xdd\x00\x00\x00\x01\x01",
		"fixext1": "\xd4\x05x", "fixext2": "\xd5\x05xx", "fixext4": "\xd6\xff1234", "fixext8": "\xd7\xff12345678",
		"fixext16": "\xd8\x05" + strings.Repeat("x", 16), "ext8": "\xc7\x01\x05x", "ext16": "\xc8\x00\x01\x05x", "ext32": "\xc9\x00\x00\x00\x01\x05x",
		"ext8 of nothing": "\xc7\x00\x05", "nested string": "\x91\xa2hi", "nested string at the end": "\x92\x01\x91\xa2hi",
	}
	for name, m := range messages {
		if err := checkWellFormed([]byte(m)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for n := range len(m) {
			if err := checkWellFormed([]byte(m[:n])); !errors.Is(err, errTruncated) {
				t.Errorf("%s cut to %d bytes: %v, want %v", name, n, err, errTruncated)
			}
		}
		if err := checkWellFormed([]byte(m + "\xc0")); !errors.Is(err, errTrailing) {
			t.Errorf("%s and a nil: %v, want %v", name, err, errTrailing)
		}
	}
	if err := checkWellFormed([]byte{0xc1}); !errors.Is(err, errBadCode) {
		t.Errorf("0xc1: %v, want %v", err, errBadCode)
	}
}

// lies are messages of a few bytes that claim up to 4 Gi elements.
var lies = map[string]struct {
	data   string
	target any
}{
	"array32":                  {"\xdd\xff\xff\xff\xff", new([]int64)},
	"array32 below 2^31":       {"\xdd\x7f\xff\xff\xff", new([]int64)},
	"array16":                  {"\xdc\xff\xff\x01", new([][1024]int64)},
	"map32":                    {"\xdf\xff\xff\xff\xff", new(map[int][16]int64)},
	"map32 below 2^31":         {"\xdf\x7f\xff\xff\xff", new(map[int][16]int64)},
	"map32 of strings":         {"\xdf\x10\x00\x00\x00\xa1a\xa1b", new(map[string]string)},
	"bin32":                    {"\xc6\x7f\xff\xff\xffxyz", new([]byte)},
	"str32":                    {"\xdb\x7f\xff\xff\xffxyz", new(string)},
	"strings":                  {"\xdd\x7f\xff\xff\xff", new([]string)},
	"ext32 as time":            {"\xc9\x7f\xff\xff\xff\xffxyz", new(time.Time)},
	"unknown field":            {"\x81\xa1x\xdd\x7f\xff\xff\xff", new(line)},
	"extension as map":         {"\xc7\x05\x01\xdf\x7f\xff\xff\xff", new(map[string]string)},
	"timestamp as map":         {"\xd7\xff\xdf\x0f\xff\xff\xff\x00\x00\x00", new(map[int][16]int64)},
	"lie inside extension":     {"\xc7\x08\x01\x81\xa1k\xdd\x7f\xff\xff\xff", new(map[string][]int64)},
	"lie behind a honest part": {"\xc7\x09\x01\x80\x81\xa1k\xdd\x7f\xff\xff\xff", new(map[string][]int64)},
	"extension in extension":   {"\xc7\x0a\x01\x81\xa1k\xc7\x05\x01\xdf\x7f\xff\xff", new(map[string]map[string]string)},
	"lie behind a lie":         {"\xc7\x11\x01\x82\xa1k\xc7\x05\x01\xdf\x7f\xff\xff\xff\xa1l\xdd\x7f\xff\xff", new(map[string]map[string]string)},
	"extension in an array":    {"\x92\xc7\x05\x01\xdf\x7f\xff\xff\xff\x80", new([]map[string]string)},
}

func TestLyingLengths(t *testing.T) {
	for name, lie := range lies {
		// The first decode fills caches; the second is measured.
		_ = Decode(MsgPack, []byte(lie.data), lie.target)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := Decode(MsgPack, []byte(lie.data), lie.target)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: decodes to %v", name, reflect.ValueOf(lie.target).Elem())
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 1<<18 {
			t.Errorf("%s: %d bytes of input make it allocate %d", name, len(lie.data), got)
		}
	}
}

// TestBareLibraryBelievesLengths is why there is a scanner.
func TestBareLibraryBelievesLengths(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := msgpack.NewDecoder(strings.NewReader("\xdd\x01\x00\x00\x00")).Decode(new([]int16))
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; err == nil || got < 1<<25 {
		t.Errorf("5 bytes made the library allocate only %d: has it been fixed?", got)
	}
}

// ext is an extension with this body, as the library reads it where it expects
// a map: it enters the body.
func TestExtensionWithHonestMap(t *testing.T) {
	want := map[string]string{"k": "v"}
	body := must(MsgPack.Append(nil, want))
	data := append([]byte{0xc7, byte(len(body)), 1}, body...)
	if got, err := decodeLike(MsgPack, data, want); err != nil || !same(want, got) {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestEveryTimestamp: bodies that happen to look like map headers are trapped
// for ReadByte only, so that times are read whatever their bytes are.
func TestEveryTimestamp(t *testing.T) {
	for first := range 256 {
		for _, body := range []time.Time{
			time.Unix(int64(first)<<24|0xffffff, 0),                 // 4 bytes
			time.Unix(1<<33, int64(first)<<22%1e9),                  // 8 bytes
			time.Unix(int64(first)<<40|1<<35, int64(first)<<22%1e9), // 12 bytes
		} {
			in := map[string]time.Time{"a": body, "b": body}
			if out, err := decodeLike(MsgPack, must(MsgPack.Append(nil, in)), in); err != nil || !same(in, out) {
				t.Fatalf("%v: got %v, %v", in, out, err)
			}
		}
	}
}

func TestManyInternedStrings(t *testing.T) { // indexes 0x80 to 0x8f look like map headers
	type word struct {
		W string `msgpack:",intern"`
	}
	var in []word
	for i := range 1000 {
		w := word{strings.Repeat("w", 3+i%300)}
		in = append(in, w, w)
	}
	if out, err := decodeLike(MsgPack, must(MsgPack.Append(nil, in)), in); err != nil || !same(in, out) {
		t.Errorf("interned strings came back otherwise, or: %v", err)
	}
}

func TestDepth(t *testing.T) {
	var deep *list
	for range maxDepth {
		deep = &list{Next: deep}
	}
	data, err := MsgPack.Append(nil, deep)
	if err != nil {
		t.Fatalf("a list of %d: %v", maxDepth, err)
	}
	if out, err := decodeLike(MsgPack, data, deep); err != nil || !same(deep, out) {
		t.Errorf("a list of %d came back otherwise, or: %v", maxDepth, err)
	}
	if _, err := MsgPack.Append(nil, &list{Next: deep}); !errors.Is(err, errTooDeep) {
		t.Errorf("a list of %d: %v, want %v", maxDepth+1, err, errTooDeep)
	}

	cycle := &list{}
	cycle.Next = cycle
	slice := nested{nil}
	slice[0] = slice
	loop := tree{ByName: map[string]tree{}}
	loop.ByName["self"] = loop
	for _, v := range []any{cycle, slice, loop} {
		for _, c := range []Codec{MsgPack, JSON} {
			if _, err := Encode(c, nil, v); err == nil {
				t.Errorf("%s: a cyclic %T has an encoding", c.Name(), v)
			}
		}
	}
}

// TestDeepInput: the library would recurse until the stack ends, and with it
// the process.
func TestDeepInput(t *testing.T) {
	const levels = 8 << 20
	inputs := map[string][]byte{
		"arrays":                bytes.Repeat([]byte{0x91}, levels),
		"maps":                  bytes.Repeat([]byte{0x81, 0x01}, levels),
		"lists":                 bytes.Repeat([]byte("\x81\xa4Next"), levels/4),
		"unknown field":         append([]byte("\x81\xa1x"), bytes.Repeat([]byte{0x91}, levels)...),
		"extensions, all short": nestedExtensions(levels / 6),
	}
	for name, data := range inputs {
		for _, target := range []any{new(list), new(nested), new(map[string]tree)} {
			if err := Decode(MsgPack, data, target); err == nil {
				t.Errorf("%s decode into %T", name, target)
			}
		}
	}
}

// nestedExtensions returns maps of one extension that holds a map of one
// extension, and so on.
func nestedExtensions(levels int) []byte {
	const header = 8 // fixmap, key, ext32 of 4 bytes and type
	data := make([]byte, 0, levels*header)
	for i := range levels {
		data = append(data, 0x81, 0x01, 0xc9)
		data = binary.BigEndian.AppendUint32(data, uint32((levels-i-1)*header))
		data = append(data, 0x01)
	}
	return data
}

func TestMalformedByOwnEncoder(t *testing.T) {
	for name, v := range map[string]any{
		"nothing":    box[msgpack.RawMessage]{msgpack.RawMessage{}},
		"two values": []msgpack.RawMessage{{0x01, 0x02}},
		"half":       msgpack.RawMessage{0x92, 0x01},
	} {
		if out, err := MsgPack.Append([]byte("h"), v); err == nil || string(out) != "h" {
			t.Errorf("%s: Append = %q, %v", name, out, err)
		}
	}
}
