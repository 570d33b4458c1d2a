package l2_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/doppio-cache/doppio/l2"
)

var token = l2.Token{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

// golden are values and the files that hold their envelopes in hexadecimal.
// They pin the layout: what one version has written every later one reads, or
// it has another layout number.
var golden = map[string]l2.Value{
	"live": {
		Kind: l2.Live, Codec: "msgpack", Schema: "3f2a", Token: token, Seq: 1_795_407_494_673_078,
		Created: 1_795_407_494_677_312, SoftEnd: 1_795_407_554_677_312, Payload: []byte("\x93\x01\x02\x03"),
	},
	"tagged": {
		Kind: l2.Live, Codec: "raw", Schema: "", Token: token, Seq: 1,
		Created: 2, SoftEnd: 3, Payload: []byte("grün"),
		Tags: []l2.Tag{{Name: "brand:acme", Stamp: 4}, {Name: "", Stamp: 1<<53 - 1}},
	},
	"validated": {
		Kind: l2.Live, Codec: "msgpack", Schema: "3f2a", Token: token, Seq: 1,
		Created: 2, SoftEnd: 3, Payload: []byte("\x93\x01\x02\x03"), Validator: `"5d8c72a5edda8"`,
	},
	"negative":  {Kind: l2.Negative, Codec: "msgpack", Schema: "3f2a", Token: token, Seq: 9, Created: 10, SoftEnd: 11},
	"tombstone": {Kind: l2.Tombstone, Token: token, Seq: 9, Created: 10, SoftEnd: 10},
}

func readGolden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEnvelopeIsAsItWasByteForByte(t *testing.T) {
	for name, v := range golden {
		t.Run(name, func(t *testing.T) {
			want := readGolden(t, name)
			got, err := l2.Envelope(v)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got\n%swant\n%s", hex.Dump(got), hex.Dump(want))
			}
			read, err := l2.ReadEnvelope(want)
			if err != nil {
				t.Fatal(err)
			}
			if len(read.Payload) == 0 {
				read.Payload = nil
			}
			if !reflect.DeepEqual(read, v) {
				t.Errorf("read %+v, want %+v", read, v)
			}
		})
	}
}

func TestEnvelopeThatCannotBeRead(t *testing.T) {
	live := readGolden(t, "live")
	change := func(at int, b byte) []byte {
		c := bytes.Clone(live)
		c[at] = b
		return c
	}
	tests := map[string]struct {
		in   []byte
		want error
	}{
		"nothing":              {nil, l2.ErrForeign},
		"another's value":      {[]byte(`{"id":1,"name":"a value of somebody else, long enough for a header"}`), l2.ErrForeign},
		"half a magic":         {live[:1], l2.ErrForeign},
		"no layout":            {live[:2], l2.ErrForeign},
		"a newer layout":       {change(2, 2), l2.ErrLayout},
		"the head only":        {live[:4], l2.ErrTruncated},
		"the header only":      {live[:l2.HeaderSize], l2.ErrTruncated},
		"the last byte off":    {live[:len(live)-1], l2.ErrTruncated},
		"a byte too many":      {append(bytes.Clone(live), 0), l2.ErrTruncated},
		"a kind of later":      {change(3, 3), l2.ErrCorrupt},
		"an unknown flag":      {change(3, 4), l2.ErrCorrupt},
		"another kind":         {change(3, 1), l2.ErrCorrupt},
		"another token":        {change(24, 0xff), l2.ErrCorrupt},
		"another sequence":     {change(47, 0xff), l2.ErrCorrupt},
		"another sum of those": {change(55, 0xff), l2.ErrCorrupt},
		"another codec":        {change(65, 'x'), l2.ErrCorrupt},
		"another payload":      {change(len(live)-1, 0x04), l2.ErrCorrupt},
		"ends before created":  {change(17, 0), l2.ErrCorrupt},
		"created before 1970":  {change(8, 0x80), l2.ErrCorrupt},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := l2.ReadEnvelope(tt.in)
			if !errors.Is(err, tt.want) {
				t.Errorf("got error %v, want %v", err, tt.want)
			}
			if !reflect.DeepEqual(v, l2.Value{}) {
				t.Errorf("got %+v beside the error", v)
			}
		})
	}
}

func TestEnvelopeWhoseLengthsPointBeyondTheEnd(t *testing.T) {
	// The checksums are right: a bug wrote these, not the network.
	tests := map[string]struct {
		inside string
		ok     bool
	}{
		"nothing":              {"", false},
		"codec cut off":        {"\x05abc", false},
		"no schema":            {"\x00", false},
		"half a length":        {"\x00\x00", false},
		"schema cut off":       {"\x00\x00\x05ab", false},
		"no tags":              {"\x00\x00\x00", false},
		"half a number":        {"\x00\x00\x00\x00", false},
		"a tag cut off":        {"\x00\x00\x00\x00\x01", false},
		"more tags than bytes": {"\x00\x00\x00\xff\xff0123456789", false},
		"a tag without stamp":  {"\x00\x00\x00\x00\x01\x00\x0a01234567", false},
		"no validator":         {"\x00\x00\x00\x00\x00", false},
		"validator cut off":    {"\x00\x00\x00\x00\x00\x00\x05ab", false},
		"nothing in it":        {"\x00\x00\x00\x00\x00\x00\x00", true},
		"tags without names":   {"\x00\x00\x00\x00\x02\x00\x0001234567\x00\x0001234567\x00\x00", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := l2.ReadEnvelope(l2.Seal(token, tt.inside))
			if tt.ok && err != nil {
				t.Errorf("got error %v", err)
			}
			if !tt.ok && !errors.Is(err, l2.ErrCorrupt) {
				t.Errorf("got %+v, %v, want %v", v, err, l2.ErrCorrupt)
			}
		})
	}
}

func TestEnvelopeRefusesWhatDoesNotFit(t *testing.T) {
	long := strings.Repeat("x", 1<<16)
	tests := map[string]l2.Value{
		"codec":     {Codec: long[:256]},
		"schema":    {Schema: long},
		"tag":       {Tags: []l2.Tag{{Name: long}}},
		"tags":      {Tags: make([]l2.Tag, 1<<16)},
		"validator": {Validator: long},
	}
	for name, v := range tests {
		if _, err := l2.Envelope(v); !errors.Is(err, l2.ErrTooLarge) {
			t.Errorf("%s: got %v, want %v", name, err, l2.ErrTooLarge)
		}
	}
	if _, err := l2.Envelope(l2.Value{Codec: long[:255], Schema: long[:1<<16-1], Tags: make([]l2.Tag, 1<<16-1), Validator: long[:1<<16-1]}); err != nil {
		t.Errorf("the longest that fit: %v", err)
	}
}

func FuzzEnvelope(f *testing.F) {
	for name := range golden {
		f.Add(readGolden(f, name))
	}
	f.Add(l2.Seal(token, "\x00\x00\x00\x00\x02\x00\x0001234567\x00\x0001234567\x00\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := l2.ReadEnvelope(in)
		if err != nil {
			known := errors.Is(err, l2.ErrForeign) || errors.Is(err, l2.ErrLayout) || errors.Is(err, l2.ErrTruncated) || errors.Is(err, l2.ErrCorrupt)
			if !known {
				t.Errorf("error %v is none of the documented ones", err)
			}
			return
		}
		// The encoding is canonical, so that what was read is what was written.
		out, err := l2.Envelope(v)
		if err != nil || !bytes.Equal(out, in) {
			t.Errorf("read %+v, which is written as\n%swith error %v, not as\n%s", v, hex.Dump(out), err, hex.Dump(in))
		}
	})
}

// FuzzEnvelopeInside gets past the checksum.
func FuzzEnvelopeInside(f *testing.F) {
	f.Add("\x07msgpack\x00\x043f2a\x00\x00\x00\x00payload")
	f.Add("\x00\x00\x00\x00\x01\x00\x01a01234567\x00\x02v1payload")
	f.Fuzz(func(t *testing.T, inside string) {
		in := l2.Seal(token, inside)
		v, err := l2.ReadEnvelope(in)
		if err != nil {
			if !errors.Is(err, l2.ErrCorrupt) {
				t.Errorf("got error %v, want %v", err, l2.ErrCorrupt)
			}
			return
		}
		if out, err := l2.Envelope(v); err != nil || !bytes.Equal(out, in) {
			t.Errorf("read %+v from %q, which is written as %q, %v", v, in, out, err)
		}
	})
}
