package fence_test

import (
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
)

func TestWhatAProbeMeans(t *testing.T) {
	tests := []struct {
		name      string
		heard     []uint64 // before the probe is sent
		meanwhile []uint64 // while it is under way
		found     uint64
		want      fence.Outcome
		lease     bool
		last      uint64
	}{
		{name: "nothing ever happened", want: fence.Confirmed, lease: true},
		{name: "all was heard", heard: []uint64{100}, found: 100, want: fence.Confirmed, lease: true, last: 100},
		{name: "more was heard meanwhile", heard: []uint64{100}, meanwhile: []uint64{101, 102}, found: 101, want: fence.Confirmed, lease: true, last: 102},
		{name: "a number is missing at the end", heard: []uint64{100}, found: 101, want: fence.Behind, last: 100},
		{name: "all of it is missing", found: 100, want: fence.Behind},
		{name: "it went back", heard: []uint64{100}, found: 99, want: fence.Rewound, lease: true, last: 99},
		{name: "it went back, and messages followed", heard: []uint64{100}, meanwhile: []uint64{50}, found: 49, want: fence.Rewound, lease: true, last: 49},
		{name: "lower than what was heard meanwhile only", heard: []uint64{100}, meanwhile: []uint64{105}, found: 103, want: fence.Confirmed, lease: true, last: 105},
		{name: "not a sequence", heard: []uint64{100}, found: 1 << 53, want: fence.Behind, last: 100},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tb := fence.New(1, D, 0)
			for _, seq := range tt.heard {
				tb.Heard(0, seq, []uint64{neighbour})
			}
			before, t0 := tb.Last(0), tb.Now()
			for _, seq := range tt.meanwhile {
				tb.Heard(0, seq, []uint64{neighbour})
			}
			if got := tb.Observe(0, before, tt.found, t0); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if at, ok := tb.Lease(0); ok != tt.lease || ok && at != t0 {
				t.Errorf("lease at %d, %v, want %d, %v", at, ok, t0, tt.lease)
			}
			if got := tb.Last(0); got != tt.last {
				t.Errorf("last is %d, want %d", got, tt.last)
			}
		})
	}
}

// The lease counts from when the probe was sent. What was answered is true of
// some moment after that, and nobody knows of which.
func TestALeaseCountsFromTheSendingOfTheProbe(t *testing.T) {
	inBubble(t, func(t *testing.T, tb *fence.Table) {
		m := tb.Stamp(key).At(0)
		sleep(10 * D)
		t0 := tb.Now()
		sleep(D - 1) // under way
		tb.Observe(0, 0, 0, t0)
		wantValid(t, tb, m, true, "answered just in time")
		sleep(1)
		wantValid(t, tb, m, true, "as old as the bound")
		sleep(1)
		wantValid(t, tb, m, false, "older than the bound, counted from the sending")
	})
}

func TestLeasesOnlyMoveForward(t *testing.T) {
	grants := map[string]func(tb *fence.Table, t0 int64){
		"Observe": func(tb *fence.Table, t0 int64) { tb.Observe(0, 0, 0, t0) },
		"Settle":  func(tb *fence.Table, t0 int64) { tb.Settle(0, 0, t0) },
		"Rewound": func(tb *fence.Table, t0 int64) { tb.Observe(0, 1, 0, t0) },
	}
	for name, grant := range grants {
		t.Run(name, func(t *testing.T) {
			tb := fence.New(1, D, 0)
			for _, step := range []struct{ t0, want int64 }{{10, 10}, {5, 10}, {11, 11}, {11, 11}, {0, 11}} {
				grant(tb, step.t0)
				if at, _ := tb.Lease(0); at != step.want {
					t.Errorf("after a probe sent at %d the lease is from %d, want %d", step.t0, at, step.want)
				}
			}
			tb.GrantForever()
			grant(tb, 12)
			if at, _ := tb.Lease(0); at < int64(50*365*24*time.Hour) {
				t.Errorf("the lease without end was shortened to %d", at)
			}
		})
	}
}

func TestSettleTakesWhatHasNotArrivedForLost(t *testing.T) {
	tests := []struct {
		name  string
		heard uint64
		lost  bool
	}{
		{"nothing arrived", 100, true},
		{"some arrived", 101, true},
		{"all arrived", 102, false},
		{"more arrived", 103, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, tb *fence.Table) {
				tb.Heard(0, 100, nil)
				copies := []fence.Mark{tb.Stamp(key).At(101), tb.Stamp(key).At(102)}
				for seq := uint64(101); seq <= tt.heard; seq++ {
					tb.Heard(0, seq, []uint64{neighbour})
				}
				sleep(2 * D)
				t0 := tb.Now()
				if lost := tb.Settle(0, 102, t0); lost != tt.lost {
					t.Errorf("lost is %v, want %v", lost, tt.lost)
				}
				wantValid(t, tb, copies[0], !tt.lost, "a copy from before what may be lost")
				wantValid(t, tb, copies[1], true, "a copy that includes it")
				if tb.Heard(0, max(tt.heard, 102)+1, []uint64{neighbour}) {
					t.Error("the next message counts as a gap")
				}
			})
		})
	}
	tb := fence.New(1, D, 0)
	if tb.Settle(0, 1<<53, 1) {
		t.Error("took something for lost that is not a sequence")
	}
	if _, ok := tb.Lease(0); ok {
		t.Error("granted a lease for something that is not a sequence")
	}
}

// When the sequence has gone back, numbers from before say nothing any more:
// neither a copy that carries a high one nor a stripe that was raised to one.
func TestAfterARewindOldNumbersMeanNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, tb *fence.Table) {
		tb.Heard(0, 1000, []uint64{key})
		ownOfAll(tb, 0, 1000)
		old := []fence.Mark{tb.Stamp(key).At(1000), tb.Stamp(key).At(1 << 52), tb.Stamp(neighbour).At(1000)}
		under := tb.Stamp(key) // a load under way
		if got := tb.Observe(0, tb.Last(0), 10, tb.Now()); got != fence.Rewound {
			t.Fatalf("got %v, want Rewound", got)
		}
		for _, m := range append(old, under.Mark(), under.At(10), under.At(1000), under.At(1<<52)) {
			wantValid(t, tb, m, false, "begun before")
		}
		wantValid(t, tb, tb.Stamp(key).At(10), true, "begun after, at a low number, though the stripe was high")
		wantValid(t, tb, tb.Stamp(key).At(9), false, "begun after, but answered from before")
		tb.Heard(0, 11, []uint64{key})
		wantValid(t, tb, tb.Stamp(key).At(10), false, "invalidated since")
		wantValid(t, tb, tb.Stamp(key).At(11), true, "read since")
	})
}

// Whoever creates a lost sequence cannot know what the lost one had counted.
func TestARestartGrantsNoLease(t *testing.T) {
	for name, seq := range map[string]uint64{"lower": 50, "the same": 100, "higher": 150} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, tb *fence.Table) {
				tb.Heard(0, 100, nil)
				tb.Settle(0, 100, tb.Now())
				granted, _ := tb.Lease(0)
				sleep(D)
				tb.Restart(0, seq)
				if at, _ := tb.Lease(0); at != granted {
					t.Errorf("the lease was moved from %d to %d", granted, at)
				}
				if last := tb.Last(0); last != seq {
					t.Errorf("last is %d, want %d", last, seq)
				}
				m := tb.Stamp(key).At(seq)
				wantValid(t, tb, m, true, "read since, and young")
				sleep(D + 1)
				wantValid(t, tb, m, false, "older than the bound")
			})
		})
	}
	tb := fence.New(1, D, 0)
	tb.Restart(0, 1<<53)
	if last := tb.Last(0); last != 0 {
		t.Errorf("last is %d after something that is not a sequence", last)
	}
}

// The lost sequence may have handed out numbers of which this instance has only
// seen those of some copies. They mean nothing in the new one, even where that
// begins above all that was heard.
func TestARestartVoidsCopiesThatCarryHigherNumbers(t *testing.T) {
	tb := fence.New(1, D, 0)
	tb.Heard(0, 100, nil)
	s := tb.Stamp(key)
	m := s.At(105) // the messages up to 105 were lost with the sequence
	tb.Restart(0, 103)
	tb.Heard(0, 104, []uint64{key})
	wantValid(t, tb, m, false, "invalidated as number 104 of the new sequence")
	if tb.Passes(&s) {
		t.Error("a load that began before the restart passes")
	}
}
