package fence_test

import (
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
)

// A copy of key is read at sequence 100. Each case says what happens then, and
// whether the copy may be served.
func TestWhatACopyOutlives(t *testing.T) {
	const p, at = 0, 100
	type table = *fence.Table
	confirm := func(tb table, seq uint64) { tb.Settle(p, seq, tb.Now()) }
	tests := []struct {
		name  string
		then  func(tb table)
		valid bool
	}{
		{"nothing", func(table) {}, true},

		// age and lease
		{"as old as the bound", func(table) { sleep(D) }, true},
		{"older than the bound", func(table) { sleep(D + 1) }, false},
		{"a lease, then older than the bound", func(tb table) { confirm(tb, at); sleep(D + 1) }, false},
		{"older than the bound, then a lease", func(tb table) { sleep(2 * D); confirm(tb, at) }, true},
		{"a lease as old as the bound", func(tb table) { sleep(2 * D); confirm(tb, at); sleep(D) }, true},
		{"a lease older than the bound", func(tb table) { sleep(2 * D); confirm(tb, at); sleep(D + 1) }, false},
		{"leases for an hour", func(tb table) {
			for range 3600 {
				confirm(tb, at)
				sleep(time.Second)
			}
		}, true},
		{"no peers, for an hour", func(tb table) { tb.GrantForever(); sleep(time.Hour) }, true},

		// messages
		{"an older message about the key", func(tb table) { tb.Heard(p, at-1, []uint64{key}) }, true},
		{"the message about the key that the copy includes", func(tb table) { tb.Heard(p, at, []uint64{key}) }, true},
		{"a newer message about the key", func(tb table) { tb.Heard(p, at+1, []uint64{key}) }, false},
		{"a newer message about several keys", func(tb table) {
			tb.Heard(p, at, nil)
			tb.Heard(p, at+1, []uint64{neighbour, key})
		}, false},
		{"a newer message about another key", func(tb table) {
			tb.Heard(p, at, nil)
			tb.Heard(p, at+1, []uint64{neighbour})
		}, true},
		{"a newer message about a key that shares the stripe", func(tb table) {
			tb.Heard(p, at, nil)
			tb.Heard(p, at+1, []uint64{twin})
		}, false},
		{"a newer message about the whole partition", func(tb table) {
			tb.Heard(p, at, nil)
			tb.Heard(p, at+1, nil)
		}, false},
		{"a message about another key, one missing before it", func(tb table) {
			tb.Heard(p, at, nil)
			tb.Heard(p, at+2, []uint64{neighbour})
		}, false},
		{"a first message at all, about another key", func(tb table) { tb.Heard(p, at+1, []uint64{neighbour}) }, false},
		{"a number that is no sequence", func(tb table) { tb.Heard(p, 1<<53, []uint64{key}) }, true},

		// this instance's own invalidations
		{"an own invalidation of the key", func(tb table) { own(tb, key, at+1) }, false},
		{"an own invalidation that the copy includes", func(tb table) { own(tb, key, at) }, true},
		{"an own invalidation of another key", func(tb table) { own(tb, neighbour, at+1) }, true},
		{"an own invalidation that got no sequence", func(tb table) { own(tb, key, 1<<53) }, true},
		{"an own invalidation of the partition", func(tb table) { ownOfAll(tb, p, at+1) }, false},
		{"one of the partition that the copy includes", func(tb table) { ownOfAll(tb, p, at) }, true},
		{"one of the partition that got no sequence", func(tb table) { ownOfAll(tb, p, 1<<53) }, true},
		{"an invalidation that may have happened", func(tb table) { tb.Void(key) }, false},
		{"one of another key that may have happened", func(tb table) { tb.Void(neighbour) }, true},
		{"one of the partition that may have happened", func(tb table) { tb.VoidPartition(p) }, false},
		{"one that may have happened, then an old message", func(tb table) {
			tb.Void(key)
			tb.Heard(p, at-1, []uint64{key})
		}, false},

		// probes
		{"a probe that finds as much as was heard", func(tb table) {
			tb.Heard(p, at, nil)
			tb.Observe(p, tb.Last(p), at, tb.Now())
		}, true},
		{"a probe that finds more than was heard", func(tb table) {
			tb.Heard(p, at, nil)
			tb.Observe(p, tb.Last(p), at+1, tb.Now())
		}, true},
		{"and then it does not arrive", func(tb table) {
			tb.Heard(p, at, nil)
			tb.Observe(p, tb.Last(p), at+1, tb.Now())
			tb.Settle(p, at+1, tb.Now())
		}, false},
		{"and then it does arrive, and is about another key", func(tb table) {
			tb.Heard(p, at, nil)
			tb.Observe(p, tb.Last(p), at+1, tb.Now())
			tb.Heard(p, at+1, []uint64{neighbour})
			tb.Settle(p, at+1, tb.Now())
		}, true},
		{"a probe that finds less than was heard before it was sent", func(tb table) {
			tb.Heard(p, at, nil)
			tb.Observe(p, tb.Last(p), at-1, tb.Now())
		}, false},
		{"a probe that finds less than was heard while it was under way", func(tb table) {
			tb.Heard(p, at-1, nil)
			before := tb.Last(p)
			tb.Heard(p, at, []uint64{neighbour})
			tb.Observe(p, before, at-1, tb.Now())
		}, true},
		{"a sequence that began anew, lower", func(tb table) {
			tb.Heard(p, at, nil)
			tb.Restart(p, at-1)
		}, false},
		{"a sequence that began anew, higher", func(tb table) {
			tb.Heard(p, at, nil)
			tb.Restart(p, at+1)
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, tb *fence.Table) {
				m := tb.Stamp(key).At(at)
				tt.then(tb)
				wantValid(t, tb, m, tt.valid, "then")
			})
		})
	}
}

// What a copy includes is known from the answer that brought it, or from what
// had been heard when its load began.
func TestWhatACopyIsKnownToInclude(t *testing.T) {
	const p = 0
	type table = *fence.Table
	tests := []struct {
		name   string
		before func(tb table)
		mark   func(s fence.Stamp) fence.Mark
		valid  bool
	}{
		{"an answer at the sequence of the last message", func(tb table) {
			tb.Heard(p, 100, []uint64{key})
		}, func(s fence.Stamp) fence.Mark { return s.At(100) }, true},
		{"an answer from before the last message", func(tb table) {
			tb.Heard(p, 100, []uint64{key})
		}, func(s fence.Stamp) fence.Mark { return s.At(99) }, false},
		{"an answer from before the last own invalidation", func(tb table) {
			own(tb, key, 100)
		}, func(s fence.Stamp) fence.Mark { return s.At(99) }, false},
		{"an answer from below the floor", func(tb table) {
			ownOfAll(tb, p, 100)
		}, func(s fence.Stamp) fence.Mark { return s.At(99) }, false},
		{"an answer after a voiding", func(tb table) {
			tb.Heard(p, 100, []uint64{key})
			tb.Void(key)
		}, func(s fence.Stamp) fence.Mark { return s.At(100) }, true},
		{"an answer with no sequence that can be compared", func(table) {},
			func(s fence.Stamp) fence.Mark { return s.At(1 << 53) }, false},
		{"a load after a message", func(tb table) {
			tb.Heard(p, 100, []uint64{key})
		}, fence.Stamp.Mark, true},
		{"a load after a gap", func(tb table) {
			tb.Heard(p, 100, []uint64{key})
			tb.Heard(p, 200, []uint64{neighbour})
		}, fence.Stamp.Mark, true},
		{"a load after an own invalidation", func(tb table) { own(tb, key, 100) }, fence.Stamp.Mark, true},
		{"a load after one of the partition", func(tb table) { ownOfAll(tb, p, 100) }, fence.Stamp.Mark, true},
		{"a load after a voiding", func(tb table) { tb.Void(key) }, fence.Stamp.Mark, true},
		{"a load after the sequence went back", func(tb table) {
			tb.Heard(p, 100, []uint64{key})
			tb.Observe(p, 100, 50, tb.Now())
		}, fence.Stamp.Mark, true},
		{"an answer after the sequence went back", func(tb table) {
			tb.Heard(p, 100, []uint64{key})
			tb.Observe(p, 100, 50, tb.Now())
		}, func(s fence.Stamp) fence.Mark { return s.At(50) }, true},
		{"an answer from before the sequence went back, if that ended lower", func(tb table) {
			tb.Heard(p, 100, []uint64{key})
			tb.Observe(p, 100, 50, tb.Now())
		}, func(s fence.Stamp) fence.Mark { return s.At(49) }, false},
		{"nothing", func(table) {}, func(fence.Stamp) fence.Mark { return fence.Mark{} }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, tb *fence.Table) {
				tt.before(tb)
				wantValid(t, tb, tt.mark(tb.Stamp(key)), tt.valid, "at once")
			})
		})
	}
}

func TestALoadIncludesAllThatWasHeardOfAnyKey(t *testing.T) {
	inBubble(t, func(t *testing.T, tb *fence.Table) {
		tb.Heard(0, 100, nil)
		tb.Heard(0, 101, []uint64{neighbour})
		m := tb.Stamp(key).Mark()
		if m.Sequence() != 101 {
			t.Errorf("got sequence %d, want 101", m.Sequence())
		}
		ownOfAll(tb, 0, 101)
		wantValid(t, tb, m, true, "floor at what the load includes")
		tb.Heard(0, 102, []uint64{key})
		wantValid(t, tb, m, false, "the next message about the key")
	})
}

func TestADetachedCopyIsNotProlongedByALease(t *testing.T) {
	inBubble(t, func(t *testing.T, tb *fence.Table) {
		m := tb.Stamp(key).Mark().Detach()
		sleep(D)
		tb.Settle(0, 0, tb.Now())
		wantValid(t, tb, m, true, "as old as the bound")
		sleep(1)
		wantValid(t, tb, m, false, "older than the bound, with a lease")
		tb.GrantForever()
		wantValid(t, tb, m, false, "with a lease without end")
		m = tb.Stamp(key).Mark().Detach()
		own(tb, key, 100)
		wantValid(t, tb, m, false, "young, but invalidated")
	})
}

func TestValidTellsWhenItWasDecided(t *testing.T) {
	inBubble(t, func(t *testing.T, tb *fence.Table) {
		m := tb.Stamp(key).At(100)
		for _, at := range []time.Duration{D, D + time.Second} { // valid, and not
			sleep(at - time.Duration(tb.Now()))
			if now, _ := tb.Valid(&m); now != int64(at) {
				t.Errorf("got %v, want %v", time.Duration(now), at)
			}
		}
	})
}

func TestValidDoesNotAllocate(t *testing.T) {
	tb := fence.New(32, D, 0)
	m := tb.Stamp(key).At(100)
	if n := testing.AllocsPerRun(1000, func() { tb.Valid(&m) }); n != 0 {
		t.Errorf("got %v allocations", n)
	}
}

// A load that was under way while something happened may use what it read only
// if the stamp from before its first step still passes.
func TestWhatALoadUnderWayOutlives(t *testing.T) {
	const p = 0
	type table = *fence.Table
	tests := []struct {
		name         string
		before, then func(tb table)
		passes       bool
	}{
		{"nothing", nil, func(table) {}, true},
		{"time", nil, func(table) { sleep(10 * D) }, true},
		{"a message about the key", nil, func(tb table) { tb.Heard(p, 1, []uint64{key}) }, false},
		{"a message about another key", func(tb table) { tb.Heard(p, 1, nil) },
			func(tb table) { tb.Heard(p, 2, []uint64{neighbour}) }, true},
		{"a message about another key, one missing", func(tb table) { tb.Heard(p, 1, nil) },
			func(tb table) { tb.Heard(p, 3, []uint64{neighbour}) }, false},
		{"a message that had been heard before", func(tb table) { tb.Heard(p, 1, []uint64{key}) },
			func(tb table) { tb.Heard(p, 1, []uint64{key}) }, true},
		{"an own invalidation", nil, func(tb table) { own(tb, key, 1) }, false},
		{"one of another key", nil, func(tb table) { own(tb, neighbour, 1) }, true},
		{"one of the partition", nil, func(tb table) { ownOfAll(tb, p, 1) }, false},
		{"one of the partition that is older than the last one of the key", func(tb table) { own(tb, key, 5) },
			func(tb table) { ownOfAll(tb, p, 5) }, true},
		{"a voiding", nil, func(tb table) { tb.Void(key) }, false},
		{"a voiding of another key", nil, func(tb table) { tb.Void(neighbour) }, true},
		{"a voiding of the partition", nil, func(tb table) { tb.VoidPartition(p) }, false},
		{"a probe that confirms", nil, func(tb table) { tb.Observe(p, 0, 0, tb.Now()) }, true},
		{"a probe that finds a loss", nil, func(tb table) { tb.Settle(p, 1, tb.Now()) }, false},
		{"a sequence that went back", func(tb table) { tb.Heard(p, 9, nil) },
			func(tb table) { tb.Observe(p, 9, 8, tb.Now()) }, false},
		{"a sequence that went back and came to the same number", func(tb table) { tb.Heard(p, 9, []uint64{key}) },
			func(tb table) {
				tb.Observe(p, 9, 8, tb.Now())
				tb.Heard(p, 9, []uint64{key})
			}, false},
		{"an invalidation where there is no Redis", nil, func(tb table) { tb.Advance(key) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, tb *fence.Table) {
				if tt.before != nil {
					tt.before(tb)
				}
				s := tb.Stamp(key)
				tt.then(tb)
				if got := tb.Passes(&s); got != tt.passes {
					t.Errorf("passes is %v, want %v", got, tt.passes)
				}
				if !tt.passes && valid(tb, s.Mark()) {
					t.Error("the stamp does not pass, but what was loaded under it is valid")
				}
			})
		})
	}
}

func TestConfirmedByALeaseOrByItsOwnYouth(t *testing.T) {
	inBubble(t, func(t *testing.T, tb *fence.Table) {
		s := tb.Stamp(key)
		want := func(want bool, when string) {
			t.Helper()
			if got := tb.Confirmed(&s); got != want {
				t.Errorf("%s: got %v", when, got)
			}
		}
		sleep(D)
		want(true, "as old as the bound")
		sleep(1)
		want(false, "older than the bound")
		tb.Settle(0, 0, tb.Now()-int64(D))
		want(true, "a lease as old as the bound")
		sleep(1)
		want(false, "a lease older than the bound")
	})
}
