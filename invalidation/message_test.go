package invalidation_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/doppio-cache/doppio/invalidation"
)

var messages = map[string]struct {
	message invalidation.Message
	wire    string
}{
	"one key": {
		invalidation.Message{Partition: 7, Seq: 1_700_000_000_000_001, Time: 1_700_000_000_123_456, Origin: 3, Hashes: []uint64{0x0102030405060708}},
		"96 01 07 03 cf 00060a24181e4001 cf 00060a2418202240 c4 08 0102030405060708",
	},
	"whole partition": {
		invalidation.Message{Partition: 0, Seq: 1, Time: 0, Origin: 0},
		"96 01 00 00 cf 0000000000000001 cf 0000000000000000 c4 00",
	},
	"largest numbers": {
		invalidation.Message{Partition: 255, Seq: 1<<53 - 1, Time: math.MaxInt64, Origin: math.MaxUint64, Hashes: []uint64{0, math.MaxUint64}},
		"96 01 cc ff cf ffffffffffffffff cf 001fffffffffffff cf 7fffffffffffffff c4 10 0000000000000000 ffffffffffffffff",
	},
}

func TestTheWireFormatIsFixed(t *testing.T) {
	for name, tt := range messages {
		t.Run(name, func(t *testing.T) {
			want := unhex(t, tt.wire)
			got, err := tt.message.Append([]byte("before"))
			if err != nil || !bytes.Equal(got, append([]byte("before"), want...)) {
				t.Errorf("encoded as % x, %v\nwant % x", got, err, want)
			}
			m, err := invalidation.Decode(want)
			if err != nil || !equal(m, tt.message) {
				t.Errorf("decoded as %+v, %v\nwant %+v", m, err, tt.message)
			}
		})
	}
}

func TestAScriptPutsAMessageTogether(t *testing.T) {
	head, mid, tail := invalidation.Encoder{Origin: 99}.Announce(3, []uint64{1, 2})
	if head[len(head)-1] != 0xcf || mid[len(mid)-1] != 0xcf {
		t.Fatalf("head % x and mid % x must each end with the mark of an 8 byte number", head, mid)
	}
	var b []byte
	b = append(b, head...)
	b = binary.BigEndian.AppendUint64(b, 1234)
	b = append(b, mid...)
	b = binary.BigEndian.AppendUint64(b, 5678)
	b = append(b, tail...)
	m, err := invalidation.Decode(b)
	want := invalidation.Message{Partition: 3, Seq: 1234, Time: 5678, Origin: 99, Hashes: []uint64{1, 2}}
	if err != nil || !equal(m, want) {
		t.Errorf("got %+v, %v; want %+v", m, err, want)
	}
}

// The parts share memory; appending to one must not write into the next.
func TestPartsAreIndependent(t *testing.T) {
	head, mid, tail := invalidation.Encoder{}.Announce(1, []uint64{7})
	wantMid, wantTail := bytes.Clone(mid), bytes.Clone(tail)
	_ = append(head, 0xaa)
	_ = append(mid, 0xbb)
	if !bytes.Equal(mid, wantMid) || !bytes.Equal(tail, wantTail) {
		t.Error("appending to one part changed another")
	}
}

func TestTooManyKeysConcernTheWholePartition(t *testing.T) {
	for _, n := range []int{invalidation.MaxHashes, invalidation.MaxHashes + 1} {
		head, mid, tail := invalidation.Encoder{}.Announce(1, make([]uint64, n))
		b := slices.Concat(head, []byte{0, 0, 0, 0, 0, 0, 0, 1}, mid, make([]byte, 8), tail)
		m, err := invalidation.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if want := n % (invalidation.MaxHashes + 1); len(m.Hashes) != want {
			t.Errorf("%d keys are announced as %d, want %d", n, len(m.Hashes), want)
		}
	}
}

func TestDecodeIsStrict(t *testing.T) {
	good := unhex(t, messages["one key"].wire)
	hashes := unhex(t, "c4 08 0102030405060708")
	tests := map[string]struct {
		data []byte
		want error
	}{
		"nothing":                 {nil, invalidation.ErrMalformed},
		"text":                    {[]byte("hello"), invalidation.ErrMalformed},
		"nil array":               {[]byte{0xc0}, invalidation.ErrMalformed},
		"empty array":             {[]byte{0x90}, invalidation.ErrMalformed},
		"version 0":               {replace(good, 1, 0), invalidation.ErrMalformed},
		"negative version":        {replace(good, 1, 0xff), invalidation.ErrMalformed},
		"newer version":           {replace(good, 1, 2), invalidation.ErrVersion},
		"newer, other shape":      {unhex(t, "93 cd 0400 c3 c0"), invalidation.ErrVersion},
		"newer, cut":              {unhex(t, "97 02"), invalidation.ErrVersion},
		"five fields":             {replace(good, 0, 0x95), invalidation.ErrMalformed},
		"seven fields":            {replace(good, 0, 0x97), invalidation.ErrMalformed},
		"negative partition":      {replace(good, 2, 0xff), invalidation.ErrMalformed},
		"partition 256":           {slices.Concat(good[:2], []byte{0xcd, 1, 0}, good[3:]), invalidation.ErrMalformed},
		"fractional origin":       {slices.Concat(good[:3], []byte{0xca, 0x3f, 0x80, 0, 0}, good[4:]), invalidation.ErrMalformed},
		"sequence 0":              {slices.Concat(good[:5], make([]byte, 8), good[13:]), invalidation.ErrMalformed},
		"sequence above 2^53":     {replace(good, 5, 0x20), invalidation.ErrMalformed},
		"time above 2^63":         {replace(good, 14, 0x80), invalidation.ErrMalformed},
		"hashes as text":          {slices.Concat(good[:len(good)-10], []byte("\xa8"), hashes[2:]), invalidation.ErrMalformed},
		"no hashes, not even 0":   {slices.Concat(good[:len(good)-10], []byte{0xc0}), invalidation.ErrMalformed},
		"half a hash":             {slices.Concat(good[:len(good)-10], []byte{0xc4, 4, 1, 2, 3, 4}), invalidation.ErrMalformed},
		"hashes cut":              {good[:len(good)-1], invalidation.ErrMalformed},
		"something after":         {append(bytes.Clone(good), 0), invalidation.ErrMalformed},
		"a length beyond the end": {slices.Concat(good[:len(good)-10], []byte{0xc6, 0xff, 0xff, 0xff, 0xf8}), invalidation.ErrMalformed},
		"too many hashes":         {slices.Concat(good[:len(good)-10], unhex(t, "c6 00008008"), make([]byte, 0x8008)), invalidation.ErrMalformed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := invalidation.Decode(tt.data); !errors.Is(err, tt.want) {
				t.Errorf("got error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestAppendRefusesWhatDecodeWould(t *testing.T) {
	good := messages["one key"].message
	tests := map[string]func(*invalidation.Message){
		"partition -1":  func(m *invalidation.Message) { m.Partition = -1 },
		"partition 256": func(m *invalidation.Message) { m.Partition = 256 },
		"sequence 0":    func(m *invalidation.Message) { m.Seq = 0 },
		"sequence 2^53": func(m *invalidation.Message) { m.Seq = 1 << 53 },
		"time -1":       func(m *invalidation.Message) { m.Time = -1 },
		"4097 hashes":   func(m *invalidation.Message) { m.Hashes = make([]uint64, invalidation.MaxHashes+1) },
	}
	for name, change := range tests {
		m := good
		change(&m)
		if b, err := m.Append(nil); err == nil || len(b) > 0 {
			t.Errorf("%s: encoded as % x, %v", name, b, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, tt := range messages {
		b, err := tt.message.Append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-3])
		f.Add(replace(b, 1, 9))
	}
	f.Add([]byte("\xdd\xff\xff\xff\xff\x01"))
	if b, err := msgpack.Marshal(map[string]any{"a": []int{1}}); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := invalidation.Decode(data)
		if err != nil {
			if !errors.Is(err, invalidation.ErrMalformed) && !errors.Is(err, invalidation.ErrVersion) {
				t.Fatalf("an error of its own kind: %v", err)
			}
			return
		}
		b, err := m.Append(nil)
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %+v: %v", m, err)
		}
		if again, err := invalidation.Decode(b); err != nil || !equal(again, m) {
			t.Fatalf("%+v came back as %+v, %v", m, again, err)
		}
	})
}

func equal(a, b invalidation.Message) bool {
	return a.Partition == b.Partition && a.Seq == b.Seq && a.Time == b.Time &&
		a.Origin == b.Origin && slices.Equal(a.Hashes, b.Hashes)
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func replace(b []byte, i int, c byte) []byte {
	b = bytes.Clone(b)
	b[i] = c
	return b
}

func BenchmarkDecode(b *testing.B) {
	data, err := messages["one key"].message.Append(nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := invalidation.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAnnounce(b *testing.B) {
	e := invalidation.Encoder{Origin: 1 << 60}
	hashes := []uint64{42}
	for b.Loop() {
		e.Announce(3, hashes)
	}
}
