package l1_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/l1"
)

// get is a hit of key 1, or nil, and whether it is due.
func (h *harness) get() (e *l1.Entry, due bool) {
	e, _, now := h.Get(h.region, hash(1), name(1))
	return e, e != nil && e.IsDue(now)
}

func TestWhenAnEntryIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, 1<<20)
		e := h.entry(1, 100, "v")
		e.Expires = h.fences.Now() + int64(time.Hour)
		e.RefreshAt = h.fences.Now() + int64(time.Minute)
		h.Put(e)
		h.Wait()
		pass := func(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // moves the bubble's clock
		pass(time.Minute - 1)
		if got, due := h.get(); got != e || due {
			t.Errorf("before its time: %v, due %v", got, due)
		}
		pass(1)
		for range 2 {
			if got, due := h.get(); got != e || !due {
				t.Errorf("at its time: %v, due %v", got, due)
			}
		}
		next := h.fences.Now() + int64(time.Second)
		if !e.Attend(h.fences.Now(), next) || e.Attend(h.fences.Now(), next) {
			t.Error("it was to be attended to once")
		}
		if got, due := h.get(); got != e || due {
			t.Errorf("attended to: %v, due %v", got, due)
		}
		pass(time.Second)
		if _, due := h.get(); !due {
			t.Error("a second later it is not due again")
		}
		e.Attend(h.fences.Now(), h.fences.Now()+int64(time.Hour)) // beyond its life
		pass(time.Hour - time.Minute - time.Second - 1)
		if got, due := h.get(); got != e || due {
			t.Errorf("just before its end: %v, due %v", got, due)
		}
		pass(1)
		if got, _ := h.get(); got != nil || e.Alive(h.fences.Now()) {
			t.Errorf("at its end: %v", got)
		}
	})
}

// A read that began before a lapsed copy was put, whose life is said to end at that
// moment, does not find it alive.
func TestALapsedCopyIsNeverAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, 1<<20)
		e := h.entry(1, 100, "v")
		e.Lapsed, e.Expires = true, h.fences.Now()+1
		e.StaleUntil = e.Expires + int64(time.Hour)
		h.Put(e)
		h.Wait()
		if got, _ := h.get(); got != nil {
			t.Errorf("a hit: %v", got)
		}
		if got, now := h.Find(h.region, hash(1), name(1)); got != e || got.Alive(now) {
			t.Errorf("found %v, alive", got)
		}
	})
}

// One that was due before it was put, because its value is older than that, has not been
// unread since then.
func TestAnEntryThatIsDueWhenItIsPut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, 1<<20)
		h.region.KeepWhileRead(time.Minute)
		time.Sleep(2 * time.Hour) //nolint:forbidigo // moves the bubble's clock
		e := h.entry(1, 100, "v")
		e.Expires, e.RefreshAt = h.fences.Now()+int64(time.Hour), h.fences.Now()-int64(time.Hour)
		h.Put(e)
		h.Wait()
		if got, due := h.get(); got != e || !due {
			t.Errorf("%v, due %v, want it to be there and due", got, due)
		}
		if at, _ := e.Unread(); at != h.fences.Now()+int64(time.Minute) {
			t.Errorf("it ends in %v if nobody reads it, want in %v", time.Duration(at-h.fences.Now()), time.Minute)
		}
	})
}

// An entry that nobody reads ends; one that is read and attended to lives until
// it expires. Negative ones only expire.
func TestEntriesThatNobodyReadsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, 1<<20)
		h.region.KeepWhileRead(time.Minute)
		pass := func(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // moves the bubble's clock
		e, negative := h.entry(1, 100, "v"), h.entry(2, 100, nil)
		negative.Negative = true
		h.Put(e)
		h.Put(negative)
		h.Wait()
		for range 30 {
			pass(time.Minute)
			got, due := h.get()
			if got != e || !due {
				t.Fatalf("%v, due %v, want it to be there and due", got, due)
			}
			e.Attend(h.fences.Now(), h.fences.Now()+int64(time.Minute/4))
		}
		pass(time.Minute)
		if got, _ := h.get(); got == nil {
			t.Error("it ended too early")
		}
		pass(time.Minute / 4)
		if got, _ := h.get(); got != nil || e.Alive(h.fences.Now()) {
			t.Error("it was not read for 1.25 times its time, and is still there")
		}
		if got, _, _ := h.Get(h.region, hash(2), name(2)); got != negative {
			t.Error("the negative entry is gone")
		}
	})
}

func TestOneOfManyAttends(t *testing.T) {
	h := newHarness(t, 1<<20)
	e := h.entry(1, 100, "v")
	e.RefreshAt = 1
	h.Put(e)
	h.Wait()
	// It is due again at every tick; the goroutines meet at the latest one.
	const ticks = 100_000
	var attended [ticks]atomic.Int32
	var tick atomic.Int64
	tick.Store(1)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for now := tick.Load(); now < ticks; now = tick.Load() {
				if e.IsDue(now) && e.Attend(now, now+1) {
					attended[now].Add(1)
					tick.Store(now + 1)
				}
			}
		})
	}
	wg.Wait()
	for now := range attended[1:] {
		if n := attended[now+1].Load(); n != 1 {
			t.Fatalf("attended %d times at tick %d, want 1", n, now+1)
		}
	}
}

// A hit on an entry that is not due, and one on an entry that is, allocate nothing.
func TestDueHitAllocatesNothing(t *testing.T) {
	h := newHarness(t, 1<<20)
	for i, at := range []int64{0, 1} {
		e := h.entry(i, 100, "v")
		e.RefreshAt = at
		h.Put(e)
		h.Wait()
		key := name(i)
		// Ristretto's buffer of recent keys is replaced now and then.
		if n := testing.AllocsPerRun(1000, func() { h.Get(h.region, hash(i), key) }); n >= 1 && !raceEnabled {
			t.Errorf("due %v: %v allocations", at != 0, n)
		}
	}
}
