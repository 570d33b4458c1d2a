package l1_test

import (
	"testing"
	"time"
	"unsafe"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/l1"
)

// A copy made without Redis must not keep out the later ones made with it: it
// is valid for the bound only, and there would be no L1 hit after that.
func TestADetachedEntryIsReplacedLikeAnyOther(t *testing.T) {
	mark := func(asOf uint64, t0 int64) fence.Mark { return fence.Mark{Hash: 1, Generation: 2, AsOf: asOf, T0: t0} }
	tests := []struct {
		name     string
		newer    fence.Mark
		older    fence.Mark
		replaces bool
	}{
		{"with Redis, later", mark(6, 2), mark(7, 1).Detach(), true},
		{"with Redis, earlier", mark(8, 1), mark(7, 2).Detach(), false},
		{"without Redis, later", mark(6, 2).Detach(), mark(7, 1), true},
		{"without Redis, earlier", mark(8, 1).Detach(), mark(7, 2), false},
		{"both with Redis: the sequence counts", mark(6, 2), mark(7, 1), false},
		{"of a later generation", fence.Mark{Hash: 1, Generation: 4, AsOf: 1}, mark(7, 2).Detach(), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, old := &l1.Entry{Key: "k", Mark: tt.newer}, &l1.Entry{Key: "k", Mark: tt.older}
			if got := e.Supersedes(old); got != tt.replaces {
				t.Errorf("supersedes: %v, want %v", got, tt.replaces)
			}
		})
	}
}

// When a value was made costs an entry no room: it is told by a span, which is
// exact enough for people.
func TestAnEntryKnowsWhenItsValueWasMade(t *testing.T) {
	for _, tt := range []struct{ made, expires, off time.Duration }{
		{0, time.Hour, 250 * time.Microsecond},
		{-24 * time.Hour, time.Hour, 5 * time.Millisecond}, // before this process began
		{-365 * 24 * time.Hour, 365 * 24 * time.Hour, 2 * time.Second},
		{time.Hour, time.Hour, time.Nanosecond},
	} {
		e := l1.Entry{Expires: int64(tt.expires), Span: l1.SpanOf(int64(tt.expires - tt.made))}
		at, known := e.Made()
		if off := time.Duration(at) - tt.made; !known || off.Abs() > tt.off {
			t.Errorf("made at %v, told %v, %v", tt.made, time.Duration(at), known)
		}
	}
	if _, known := new(l1.Entry).Made(); known {
		t.Error("known without a Span")
	}
	if size := unsafe.Sizeof(l1.Entry{}); size > 192 { // which is what entryOverhead counts, and Go allocates
		t.Errorf("an entry takes %d bytes", size)
	}
}

// Of two copies of one sequence the later one stays, unless its life was over when it
// came: it was found before. Then it stays for no later sequence either, if it is older.
func TestALapsedCopyDoesNotReplaceOneOfItsSequence(t *testing.T) {
	mark := func(asOf uint64, t0 int64) fence.Mark {
		return fence.Mark{Hash: 1, Generation: 2, AsOf: asOf, T0: t0}
	}
	tests := []struct {
		name             string
		copied, than     fence.Mark
		lapsed, replaces bool
	}{
		{"the same sequence", mark(7, 1), mark(7, 1), false, true},
		{"the same sequence, lapsed", mark(7, 1), mark(7, 1), true, false},
		{"a later one, lapsed", mark(8, 1), mark(7, 1), true, true},
		{"a later one of an older copy", mark(8, 1), mark(7, 2), false, true},
		{"a later one of an older copy, lapsed", mark(8, 1), mark(7, 2), true, false},
		{"an earlier one", mark(6, 1), mark(7, 1), false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := &l1.Entry{Key: "k", Mark: tt.copied, Lapsed: tt.lapsed}
			if got := e.Supersedes(&l1.Entry{Key: "k", Mark: tt.than}); got != tt.replaces {
				t.Errorf("supersedes: %v, want %v", got, tt.replaces)
			}
		})
	}
}
