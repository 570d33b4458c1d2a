package fence_test

import (
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
)

// Redis loses the sequence, at 1000, while something is under way that carries a
// number of it, and comes back with one that is smaller, at 10. A probe notices.
// Then what was under way arrives. A copy that is made without Redis after that
// does not outlive the next invalidation of its key, whose number is small.
func TestANumberOfALostSequenceVoidsWithoutIt(t *testing.T) {
	arrivals := map[string]func(tb *fence.Table, s fence.Stamp, since fence.Position){
		"a value that was read":               func(tb *fence.Table, s fence.Stamp, _ fence.Position) { m := s.At(1000); tb.Answered(&m) },
		"a value that was loaded":             func(tb *fence.Table, s fence.Stamp, _ fence.Position) { m := s.Mark().Detach(); tb.Answered(&m) },
		"an invalidation":                     func(tb *fence.Table, _ fence.Stamp, p fence.Position) { tb.Invalidated(0, []uint64{key}, 1001, p) },
		"an invalidation of the partition":    func(tb *fence.Table, _ fence.Stamp, p fence.Position) { tb.Invalidated(0, nil, 1001, p) },
		"an invalidation with a small number": func(tb *fence.Table, _ fence.Stamp, p fence.Position) { tb.Invalidated(0, []uint64{key}, 11, p) },
	}
	for name, arrive := range arrivals {
		t.Run(name, func(t *testing.T) {
			tb := fence.New(1, time.Minute, 0)
			tb.Settle(0, 1000, tb.Now())
			stamp, since := tb.Stamp(key), tb.Position(0)
			if tb.Observe(0, 1000, 10, tb.Now()) != fence.Rewound {
				t.Fatal("the probe has not noticed")
			}
			older := tb.Stamp(key).At(10)

			arrive(tb, stamp, since)

			if _, ok := tb.Valid(&older); ok {
				t.Error("a copy from before is valid")
			}
			made, read := tb.Stamp(key).Mark().Detach(), tb.Stamp(key).At(12)
			for _, m := range []fence.Mark{made, read} {
				if _, ok := tb.Valid(&m); !ok {
					t.Errorf("a copy from after it is not valid: %+v", m)
				}
			}
			if tb.Invalidated(0, []uint64{key}, 13, tb.Position(0)) {
				t.Error("13 was taken for a sequence that went back")
			}
			for _, m := range []fence.Mark{made, read} {
				if _, ok := tb.Valid(&m); ok {
					t.Errorf("a copy outlives the next invalidation: %+v", m)
				}
			}
		})
	}
}

// An own invalidation whose number is not above what was heard before it was
// sent: Redis has lost the sequence, and no probe has noticed yet.
func TestAnOwnInvalidationNoticesThatTheSequenceIsLost(t *testing.T) {
	for name, tt := range map[string]struct {
		seq  uint64
		lost bool
	}{"above": {1001, false}, "equal": {1000, true}, "below": {10, true}} {
		t.Run(name, func(t *testing.T) {
			tb := fence.New(1, time.Minute, 0)
			tb.Settle(0, 1000, tb.Now())
			mine, others := tb.Stamp(key).At(1000), tb.Stamp(neighbour).At(1000)
			if lost := tb.Invalidated(0, []uint64{key}, tt.seq, tb.Position(0)); lost != tt.lost {
				t.Errorf("lost: %v", lost)
			}
			if _, ok := tb.Valid(&mine); ok {
				t.Error("a copy of the key is valid")
			}
			if _, ok := tb.Valid(&others); ok == tt.lost {
				t.Errorf("a copy of another key is valid: %v", ok)
			}
		})
	}
}

// What was answered voids older copies of the same sequence, and those alone.
func TestWhatWasAnsweredVoidsWhatIsOlder(t *testing.T) {
	tb := fence.New(1, time.Minute, 0)
	older, answered := tb.Stamp(key).At(100), tb.Stamp(key).At(101)
	other := tb.Stamp(neighbour).At(100)
	tb.Answered(&answered)
	tb.Answered(&fence.Mark{Hash: neighbour}) // of a value that no tier holds
	for _, tt := range []struct {
		name  string
		mark  fence.Mark
		valid bool
	}{{"older", older, false}, {"itself", answered, true}, {"of another key", other, true}} {
		if _, ok := tb.Valid(&tt.mark); ok != tt.valid {
			t.Errorf("%s: valid is %v", tt.name, ok)
		}
	}
}
