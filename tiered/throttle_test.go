package tiered

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestThrottle(t *testing.T) {
	var th throttle
	if th.holds(1, 10) {
		t.Error("the zero value holds a key")
	}
	th.release(1)
	th.hold(1, 10, 5)
	for now, want := range map[int64]bool{10: true, 14: true, 15: false} {
		if th.holds(1, now) != want || th.holds(2, now) {
			t.Errorf("at %d: holds %v, want %v; another %v, want false", now, !want, want, th.holds(2, now))
		}
	}
	if th.claim(1, 14, 5) || !th.claim(1, 15, 5) || th.claim(1, 15, 5) {
		t.Error("a key is to be claimed when it is not held, and once")
	}
	th.release(1)
	if !th.claim(1, 16, 5) {
		t.Error("a key that was released is held")
	}
}

// It remembers a number of keys, whatever comes; what is older is forgotten, and
// its memory is bounded.
func TestThrottleForgets(t *testing.T) {
	var th throttle
	for i := range uint64(5 * throttleKeys) {
		th.hold(i, 1, 10)
		if back := uint64(throttleKeys - 1); i >= back && !th.holds(i-back, 2) {
			t.Fatalf("key %d is forgotten when %d have come", i-back, i)
		}
	}
	if n := len(th.young) + len(th.aged); n > 2*throttleKeys {
		t.Errorf("it remembers %d keys", n)
	}
}

func TestOneOfManyClaims(t *testing.T) {
	var th throttle
	var claimed atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for key := range uint64(100) {
				if th.claim(key, 1, 10) {
					claimed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := claimed.Load(); n != 100 {
		t.Errorf("100 keys were claimed %d times", n)
	}
}

// Of two that raise a bar at once the later one counts, whoever comes last.
func TestABarIsNeverLowered(t *testing.T) {
	var s staleness
	s.init(1, 0)
	for _, now := range []int64{5, 9, 7} {
		s.raise(3, now)
	}
	if got := s.of(3); got != 9 {
		t.Errorf("the bar is at %d, want 9", got)
	}
}
