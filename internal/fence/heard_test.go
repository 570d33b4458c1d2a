package fence_test

import (
	"testing"

	"github.com/doppio-cache/doppio/internal/fence"
)

func TestHeardTellsGaps(t *testing.T) {
	tb := fence.New(1, D, 0)
	steps := []struct {
		seq  uint64
		gap  bool
		last uint64
	}{
		{500, false, 500}, // the first: what came before concerns no copy of ours
		{501, false, 501},
		{501, false, 501}, // twice
		{503, true, 503},
		{502, false, 503}, // late: its gap has been counted
		{504, false, 504},
		{1 << 53, false, 504}, // not a sequence
	}
	for _, s := range steps {
		if gap := tb.Heard(0, s.seq, []uint64{key}); gap != s.gap {
			t.Errorf("message %d: gap is %v, want %v", s.seq, gap, s.gap)
		}
		if last := tb.Last(0); last != s.last {
			t.Errorf("message %d: last is %d, want %d", s.seq, last, s.last)
		}
	}
}

// A late message must not lower what newer ones have raised.
func TestFencesOnlyRise(t *testing.T) {
	tb := fence.New(1, D, 0)
	ownOfAll(tb, 0, 50)
	tb.Heard(0, 99, nil)
	tb.Heard(0, 100, []uint64{key})
	at99, at49 := tb.Stamp(key).At(99), tb.Stamp(neighbour).At(98)
	tb.Heard(0, 98, []uint64{key})
	own(tb, key, 97)
	tb.Heard(0, 40, nil)
	ownOfAll(tb, 0, 41)
	tb.Settle(0, 42, tb.Now())
	wantValid(t, tb, at99, false, "a copy older than its stripe")
	wantValid(t, tb, at49, false, "a copy older than the floor")
	wantValid(t, tb, tb.Stamp(neighbour).At(100), true, "a copy newer than both")
	if last := tb.Last(0); last != 100 {
		t.Errorf("last is %d, want 100", last)
	}
}

func TestAnOwnInvalidationSaysNothingAboutTheNumbersBefore(t *testing.T) {
	tb := fence.New(1, D, 0)
	tb.Heard(0, 100, nil)
	own(tb, key, 102)
	if last := tb.Last(0); last != 100 {
		t.Errorf("last is %d, want 100: 101 has not been heard", last)
	}
	if tb.Observe(0, 100, 102, tb.Now()) != fence.Behind {
		t.Error("the probe was confirmed, although 101 may have been lost")
	}
}

func TestPartitionsDoNotTouchEachOther(t *testing.T) {
	const even, odd = key, key + 1
	voids := map[string]func(tb *fence.Table){
		"Heard":               func(tb *fence.Table) { tb.Heard(1, 200, []uint64{odd}) },
		"Heard, of all":       func(tb *fence.Table) { tb.Heard(1, 200, nil) },
		"Heard, misfiled":     func(tb *fence.Table) { tb.Heard(1, 200, []uint64{odd, even}) },
		"Invalidated":         func(tb *fence.Table) { own(tb, odd, 200) },
		"Invalidated, of all": func(tb *fence.Table) { ownOfAll(tb, 1, 200) },
		"Void":                func(tb *fence.Table) { tb.Void(odd) },
		"VoidPartition":       func(tb *fence.Table) { tb.VoidPartition(1) },
		"Settle":              func(tb *fence.Table) { tb.Settle(1, 200, tb.Now()) },
		"Observe":             func(tb *fence.Table) { tb.Heard(1, 300, nil); tb.Observe(1, 300, 200, tb.Now()) },
		"Restart":             func(tb *fence.Table) { tb.Restart(1, 200) },
		"Advance": func(tb *fence.Table) {
			for range 200 {
				tb.Advance(odd)
			}
		},
	}
	for name, void := range voids {
		t.Run(name, func(t *testing.T) {
			tb := fence.New(2, D, 0)
			if tb.Partitions() != 2 || tb.Partition(even) != 0 || tb.Partition(odd) != 1 {
				t.Fatal("the keys are not where the test wants them")
			}
			touched, other := tb.Stamp(odd).At(100), tb.Stamp(even).At(100)
			void(tb)
			wantValid(t, tb, touched, false, "in the partition")
			wantValid(t, tb, other, true, "in the other partition")
			if last := tb.Last(0); last != 0 {
				t.Errorf("last of the other partition is %d", last)
			}
		})
	}
}

// The count of voidings has 11 bits. When it is full the partition starts over
// under a new generation: it must not go round, which would make the oldest
// copies valid again.
func TestVoidingsDoNotGoRound(t *testing.T) {
	const full = 1<<11 - 1
	tb := fence.New(1, D, 0)
	tb.GrantForever()
	tb.Heard(0, 100, []uint64{key})
	other := tb.Stamp(neighbour).At(100)
	var old []fence.Mark
	for n := range 2*full + 10 {
		m, s := tb.Stamp(key).At(100), tb.Stamp(key)
		wantValid(t, tb, m, true, "a copy made after the last voiding")
		tb.Void(key)
		if tb.Passes(&s) {
			t.Fatalf("voiding %d: a load under way passes", n+1)
		}
		old = append(old, m, s.Mark())
		if got, want := valid(tb, other), n < full; got != want {
			t.Fatalf("voiding %d: the copy of another key is valid: %v, want %v", n+1, got, want)
		}
	}
	for n, m := range old {
		if valid(tb, m) {
			t.Fatalf("the copy from before voiding %d is valid after %d", n/2+1, len(old)/2)
		}
	}
	if last := tb.Last(0); last != 100 {
		t.Errorf("last is %d, want 100: no message has been unheard", last)
	}
}

func TestRaisingAStripeKeepsItsVoidings(t *testing.T) {
	tb := fence.New(1, D, 0)
	m := tb.Stamp(key).At(1000)
	tb.Void(key)
	own(tb, key, 200)
	wantValid(t, tb, m, false, "sequence above the stripe's, but from before the voiding")
	wantValid(t, tb, tb.Stamp(key).At(199), false, "from after the voiding, but before the invalidation")
	wantValid(t, tb, tb.Stamp(key).At(200), true, "from after both")
}

func TestWithoutRedisEachInvalidationCounts(t *testing.T) {
	tb := fence.New(1, D, 0)
	tb.GrantForever()
	for range 3 {
		m, n := tb.Stamp(key).Mark(), tb.Stamp(neighbour).Mark()
		tb.Advance(key)
		wantValid(t, tb, m, false, "loaded before")
		wantValid(t, tb, n, true, "another key")
		wantValid(t, tb, tb.Stamp(key).Mark(), true, "loaded after")
	}
}
