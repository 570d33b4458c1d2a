package fence_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
)

// The tests of this file look at the steps of a writer from another goroutine.
// What they look for must not be seen at any moment, so they cannot fail by bad
// luck; a step out of order they find only with some luck, which is why each
// tries often or makes the time between two steps long.

// race calls act with 1, 2, 3 … for half a second while another goroutine calls
// look again and again.
func race(act func(n uint64), look func()) {
	var done atomic.Bool
	var wg sync.WaitGroup
	started := make(chan struct{})
	wg.Go(func() {
		look()
		close(started)
		for !done.Load() {
			look()
		}
	})
	<-started
	n := uint64(0)
	for begin := time.Now(); time.Since(begin) < 500*time.Millisecond; {
		n++
		act(n)
	}
	done.Store(true)
	wg.Wait()
}

// Where last has reached a number, the copies that its message voids are void:
// else a probe grants a lease under which one of them is served.
func TestStripesAreRaisedBeforeLast(t *testing.T) {
	tb := fence.New(1, time.Hour, 0)
	young := tb.Stamp(key)
	var hashes []uint64 // many, so that raising them takes a while
	for i := range uint64(500) {
		hashes = append(hashes, (i+2)<<32)
	}
	hashes = append(hashes, key)
	race(func(seq uint64) { tb.Heard(0, seq, hashes) }, func() {
		if last := tb.Last(0); last > 0 && valid(tb, young.At(last-1)) {
			t.Errorf("last is %d, and a copy of the key from %d is valid", last, last-1)
		}
	})
}

func TestTheFloorIsRaisedBeforeLast(t *testing.T) {
	raises := map[string]func(tb *fence.Table, seq uint64){
		"a gap":                     func(tb *fence.Table, seq uint64) { tb.Heard(0, 2*seq, []uint64{neighbour}) },
		"all keys of the partition": func(tb *fence.Table, seq uint64) { tb.Heard(0, seq, nil) },
		"a loss":                    func(tb *fence.Table, seq uint64) { tb.Settle(0, seq, 0) },
		"a restart":                 func(tb *fence.Table, seq uint64) { tb.Restart(0, seq) },
	}
	for name, raise := range raises {
		t.Run(name, func(t *testing.T) {
			tb := fence.New(1, time.Hour, 0)
			young := tb.Stamp(key)
			race(func(seq uint64) { raise(tb, seq) }, func() {
				if last := tb.Last(0); last > 0 && valid(tb, young.At(last-1)) {
					t.Errorf("last is %d, and a copy from %d is valid", last, last-1)
				}
			})
		})
	}
}

// Where the lease is from a probe, what that probe has voided is void.
func TestTheFloorIsRaisedBeforeTheLease(t *testing.T) {
	type loading struct {
		stamp fence.Stamp // from before the probe
		probe int64
	}
	tb := fence.New(1, time.Hour, 0)
	var current atomic.Pointer[loading]
	current.Store(&loading{probe: 1 << 60})
	race(func(n uint64) {
		current.Store(&loading{tb.Stamp(key), int64(n)})
		tb.Settle(0, n, int64(n))
	}, func() {
		for range 100 {
			l := current.Load()
			if lease, ok := tb.Lease(0); ok && lease >= l.probe && tb.Passes(&l.stamp) {
				t.Errorf("the lease is from %d, and a stamp from before that probe passes", lease)
			}
		}
	})
}

// A copy without a lease is not valid, and the lease is granted together with
// the floor that voids the copy. So it is valid at no moment, provided that Valid
// reads the two in the right order.
func TestTheLeaseIsReadBeforeTheFloor(t *testing.T) {
	const partitions = 256
	var current atomic.Pointer[fence.Mark] // of a copy that is older than any bound
	var table atomic.Pointer[fence.Table]
	fresh := func() { table.Store(fence.New(partitions, time.Second, 0)) }
	fresh()
	current.Store(&fence.Mark{})
	race(func(n uint64) {
		p := n % partitions
		if p == 0 {
			fresh() // each partition can be granted its first lease once
		}
		tb := table.Load()
		m := tb.Stamp(p).At(0)
		m.T0 = -int64(time.Hour)
		current.Store(&m)
		tb.Settle(int(p), 1, 0)
	}, func() {
		tb, m := table.Load(), current.Load()
		for range 20 {
			if valid(tb, *m) {
				t.Errorf("a copy is valid that was void without the lease and is void with it: %+v", *m)
			}
		}
	})
}

// A copy that its stripe voids stays void while the stripe forgets, because the
// generation has changed before.
func TestTheGenerationChangesBeforeStripesAreReset(t *testing.T) {
	tb := fence.New(1, time.Hour, 0)
	var void atomic.Pointer[fence.Mark]
	void.Store(&fence.Mark{})
	race(func(uint64) {
		tb.Heard(0, 2, []uint64{neighbour})
		m := tb.Stamp(key).At(2)
		tb.Heard(0, 3, []uint64{key})
		void.Store(&m)
		if tb.Observe(0, 3, 1, 0) != fence.Rewound {
			t.Error("the sequence was to go back")
		}
	}, func() {
		for range 20 {
			if m := void.Load(); valid(tb, *m) {
				t.Errorf("a void copy of generation %d is valid", m.Generation)
			}
		}
	})
}
