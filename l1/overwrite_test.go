package l1_test

import (
	"testing"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/l1"
)

func TestSupersedes(t *testing.T) {
	h := newHarness(t, 1<<20)
	entry := func(key string, generation, asOf uint64) *l1.Entry {
		return &l1.Entry{Region: h.region, Key: key, Mark: fence.Mark{Generation: generation, AsOf: asOf}}
	}
	foreign := entry("k", 2, 100)
	foreign.Region = h.Region("customers")
	const voided = 1 << 53 // a mark from after one voiding of its stripe
	old := entry("k", 4, 100)
	tests := []struct {
		name string
		e    *l1.Entry
		want bool
	}{
		{"newer", entry("k", 4, 101), true},
		{"as old", entry("k", 4, 100), true},
		{"older", entry("k", 4, 99), false},
		{"lower sequence, but from after a voiding", entry("k", 4, voided|1), true},
		{"later generation, lower sequence", entry("k", 6, 1), true},
		{"earlier generation, higher sequence", entry("k", 2, 1000), false},
		{"older, of another key", entry("other", 2, 1), true},
		{"older, of another region", foreign, true},
	}
	for _, tt := range tests {
		if got := tt.e.Supersedes(old); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// In whichever order entries of one key arrive, and whether they are still
// queued or in the store, the newest stays.
func TestTheNewestEntryStays(t *testing.T) {
	orders := [][]uint64{{1, 2, 3}, {1, 3, 2}, {2, 1, 3}, {2, 3, 1}, {3, 1, 2}, {3, 2, 1}}
	for _, queued := range []bool{false, true} {
		for _, order := range orders {
			h := newHarness(t, 1<<20)
			release := func() {}
			if queued {
				release = l1.Stall(h.Cache)
			}
			for _, seq := range order {
				if !h.Put(h.entry(1, seq, seq)) {
					t.Fatal("not kept")
				}
				if !queued {
					h.Wait()
				}
			}
			release()
			h.Wait()
			if got := h.value(1); got != uint64(3) {
				t.Errorf("order %v, all queued: %v: got %v, want 3", order, queued, got)
			}
		}
	}
}

func TestOfEntriesWithEqualMarksTheLastStays(t *testing.T) {
	for _, queued := range []bool{false, true} {
		h := newHarness(t, 1<<20)
		release := func() {}
		if queued {
			release = l1.Stall(h.Cache)
		}
		h.Put(h.entry(1, 100, "first"))
		if !queued {
			h.Wait()
		}
		h.Put(h.entry(1, 100, "last"))
		release()
		h.Wait()
		h.wantValue(t, 1, "last")
	}
}

func TestKeysWhoseHashesCollideReplaceEachOther(t *testing.T) {
	h := newHarness(t, 1<<20)
	newer, older := h.entry(1, 200, "newer"), h.entry(1, 100, "older")
	older.Key = "forged"
	h.Put(newer)
	h.Wait()
	h.Put(older)
	h.Wait()
	h.wantValue(t, 1, nil)
	if e, _ := h.Find(h.region, hash(1), "forged"); e != older {
		t.Errorf("got %v, want the entry that was put last", e)
	}
}

func TestOverwritingTakesEffectAtOnce(t *testing.T) {
	h := newHarness(t, 1<<20)
	h.Put(h.entry(1, 100, 1))
	h.Wait()
	release := l1.Stall(h.Cache)
	defer release()
	h.Put(h.entry(1, 101, 2))
	h.wantValue(t, 1, 2)
}

// A key that was invalidated gets its place back without a new decision about
// admission: nothing makes room, nothing is refused.
func TestAVoidEntryIsOverwrittenInPlace(t *testing.T) {
	h := newHarness(t, 1<<20)
	h.Put(h.entry(1, 100, 1))
	h.Wait()
	h.own(hash(1), 150)
	h.wantValue(t, 1, nil)
	if s := h.Stats(); s.Entries != 1 {
		t.Errorf("got %+v, want the void entry to be there still", s)
	}
	h.Put(h.entry(1, 150, 2))
	h.wantValue(t, 1, 2)
	h.Wait()
	if s := h.Stats(); s.Entries != 1 || s.Evictions != 0 || s.Refused != 0 {
		t.Errorf("got %+v, want 1 entry, overwritten", s)
	}
}
