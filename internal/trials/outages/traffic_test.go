package outages_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// kind is a call that callers make.
type kind int

const (
	getOrLoad kind = iota // of a key that is read all the time
	getNew                // GetOrLoad of a key that nobody has read
	get
	set
	del
)

// kinds is how many kinds there are.
const kinds = int(del) + 1

// traffic is what happens on a rig during one phase: callers at a steady rate,
// and samples of L1 hits and goroutines.
type traffic struct {
	r    *rig
	p    plan
	stop chan struct{}
	wg   sync.WaitGroup

	calls    [kinds]atomic.Int64
	slowest  [kinds]atomic.Int64 // ns
	hits     []time.Duration     // one goroutine's
	routines int
}

// begin starts the traffic; end stops it.
func (r *rig) begin(t *testing.T, p plan) *traffic {
	tr := &traffic{r: r, p: p, stop: make(chan struct{})}
	for _, i := range r.instances {
		for range p.callers {
			tr.wg.Go(func() {
				for tr.pause(p.pace) {
					tr.call(t, i, kind(rand.N(kinds)))
				}
			})
		}
	}
	tr.wg.Go(func() {
		for tr.pause(10 * time.Millisecond) {
			tr.sample(t)
		}
	})
	return tr
}

func (tr *traffic) end() {
	close(tr.stop)
	tr.wg.Wait()
}

// pause waits for about d; false: the phase is over.
func (tr *traffic) pause(d time.Duration) bool {
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-tr.stop:
		return false
	}
}

// call makes one call and fails the test if it fails in a way that it must not.
func (tr *traffic) call(t *testing.T, i *instance, k kind) {
	ctx := context.Background() // no call is given up
	key := hot(rand.N(tr.p.keys))
	began := time.Now()
	var err error
	switch k {
	case getOrLoad:
		_, err = i.items.GetOrLoad(ctx, key, i.load)
	case getNew:
		_, err = i.items.GetOrLoad(ctx, newKey(), i.load)
	case get:
		if _, err = i.items.Get(ctx, key); errors.Is(err, tiered.ErrNotFound) || errors.Is(err, tiered.ErrUnavailable) {
			err = nil
		}
	case set:
		err = unconfirmed(i.items.Set(ctx, fmt.Sprintf("set%d", rand.N(100)), 1))
	case del:
		err = unconfirmed(i.items.Delete(ctx, fmt.Sprintf("set%d", rand.N(100))))
	}
	took := int64(time.Since(began))
	tr.calls[k].Add(1)
	for {
		before := tr.slowest[k].Load()
		if took <= before || tr.slowest[k].CompareAndSwap(before, took) {
			break
		}
	}
	if err != nil {
		t.Errorf("call of kind %d: %v", k, err)
	}
}

// unconfirmed lets the errors pass that an outage gives to a write.
func unconfirmed(err error) error {
	if errors.Is(err, tiered.ErrUnavailable) {
		return nil
	}
	return err
}

// burst is how many hits are timed in a row, after some that are not: those find
// the processor's caches cold, and would be just as many as decide a p99.
const (
	burst = 200
	cold  = 20
)

// sample times hits in L1, and counts goroutines.
func (tr *traffic) sample(t *testing.T) {
	tr.routines = max(tr.routines, runtime.NumGoroutine())
	i := tr.r.instances[rand.N(len(tr.r.instances))]
	key := hot(rand.N(tr.p.keys))
	var info tiered.Info
	opt := tiered.WithInfo(&info)
	for n := range cold + burst {
		began := time.Now()
		_, err := i.items.GetOrLoad(context.Background(), key, i.load, opt)
		took := time.Since(began)
		if err != nil {
			t.Errorf("read of %s: %v", key, err)
			return
		}
		if n >= cold && info.Source == tiered.SourceL1 {
			tr.hits = append(tr.hits, took)
		}
	}
}

// p99 of the hits, which are sorted.
func (tr *traffic) p99() time.Duration {
	if len(tr.hits) == 0 {
		return 0
	}
	slices.Sort(tr.hits)
	return tr.hits[len(tr.hits)*99/100]
}
