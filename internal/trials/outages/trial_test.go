package outages_test

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// plan is how a trial is carried out.
type plan struct {
	instances, callers, keys int           // callers of each instance
	bound, timeout           time.Duration // MaxStaleness, L2Timeout
	latency                  time.Duration // of the origin
	pace                     time.Duration // of a caller, from one call to the next
	healthy, outage          time.Duration // length of the phases
	rounds                   int
	deletes                  int // during each outage
}

// figures are what one round has measured.
type figures struct {
	hitHealthy, hitOutage       time.Duration // p99
	hits                        int           // timed during the outage
	slowest                     [kinds]time.Duration
	loads, bounds               int // most loads of one key on one instance, and how often the bound D fits in
	routinesHealthy, routines   int
	heapHealthy, heap           uint64
	deletes, pending, misplaced int
	back                        time.Duration
}

// round lets an outage happen once: health, outage, recovery.
func (r *rig) round(t *testing.T, o *outage, p plan) figures {
	t.Helper()
	var f figures
	r.warmUp(t, p)
	before := r.begin(t, p)
	time.Sleep(p.healthy) //nolint:forbidigo // the length of a phase
	before.end()
	f.hitHealthy, f.routinesHealthy, f.heapHealthy = before.p99(), before.routines, heap()

	loads := r.loads(p)
	began := time.Now()
	o.strike(t, r)
	during := r.begin(t, p)
	time.Sleep(p.outage / 2) //nolint:forbidigo // the length of a phase
	f.deletes = p.deletes
	f.pending = r.deleteAll(t, p)
	time.Sleep(p.outage / 2) //nolint:forbidigo // the length of a phase
	f.heap = heap()
	during.end()
	f.hitOutage, f.hits, f.routines = during.p99(), len(during.hits), during.routines
	for k := range kinds {
		f.slowest[k] = time.Duration(during.slowest[k].Load())
	}
	for i, now := range r.loads(p) {
		f.loads = max(f.loads, now-loads[i])
	}
	f.bounds = int(time.Since(began) / p.bound)

	o.end(t, r)
	ended := time.Now()
	eventually(t, "the service is well again after: "+o.name, func() bool { return r.isWell(t) })
	f.back = time.Since(ended)
	f.misplaced = r.stale(t, p)
	r.background.Wait()
	return f
}

// heap is the memory in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// warmUp has all keys in L1 of all instances.
func (r *rig) warmUp(t *testing.T, p plan) {
	t.Helper()
	var keys []string
	for n := range p.keys {
		keys = append(keys, hot(n))
	}
	for n := range p.deletes {
		keys = append(keys, doomed(n))
		r.origin.commit(doomed(n))
	}
	for n := range p.deletes {
		if err := r.instances[0].items.Delete(t.Context(), doomed(n)); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range keys {
		for _, i := range r.instances {
			eventually(t, "an L1 hit", func() bool {
				var info tiered.Info
				v, err := i.items.GetOrLoad(t.Context(), key, i.load, tiered.WithInfo(&info))
				return err == nil && v == r.origin.newest(key) && info.Source == tiered.SourceL1
			})
		}
	}
}

// deleteAll writes and deletes the keys that are there for it, each on one of
// the instances, and returns how many Deletes were not confirmed. The instance
// reads its own write in either case.
func (r *rig) deleteAll(t *testing.T, p plan) (pending int) {
	t.Helper()
	for n := range p.deletes {
		key, i := doomed(n), r.instances[n%len(r.instances)]
		want := r.origin.commit(key)
		err := i.items.Delete(t.Context(), key)
		var queued *tiered.PendingError
		switch {
		case errors.As(err, &queued):
			pending++
		case err != nil:
			t.Errorf("delete of %s: %v", key, err)
		}
		if got, err := i.items.GetOrLoad(t.Context(), key, i.load); err != nil || got != want {
			t.Errorf("after Delete of %s (%v) the instance reads version %d, %v; want %d", key, err, got, err, want)
		}
	}
	return pending
}

// isWell reports whether all instances use Redis, have nothing pending, and what
// one of them loads is there for another.
func (r *rig) isWell(t *testing.T) bool {
	t.Helper()
	for _, i := range r.instances {
		s := i.node.Stats()
		if s.Degraded || s.PendingRetries > 0 {
			return false
		}
	}
	key := newKey()
	for n, i := range r.instances {
		other := r.instances[(n+1)%len(r.instances)]
		if _, err := i.items.GetOrLoad(t.Context(), key, i.load); err != nil {
			t.Errorf("read of %s: %v", key, err)
		}
		if _, err := other.items.Get(t.Context(), key, tiered.BypassL1()); err != nil {
			return false
		}
	}
	return true
}

// stale returns how many of the deleted keys are old on some instance more than
// the bound after everything was well, or old in Redis.
func (r *rig) stale(t *testing.T, p plan) (n int) {
	t.Helper()
	well := time.Now()
	eventually(t, "the bound is over", func() bool { return time.Since(well) > p.bound })
	for d := range p.deletes {
		key, old := doomed(d), false
		for _, i := range r.instances {
			if v, err := i.items.GetOrLoad(t.Context(), key, i.load); err != nil || v != r.origin.newest(key) {
				t.Errorf("%s has version %d, %v; want %d", key, v, err, r.origin.newest(key))
				old = true
			}
			if v, err := i.items.Get(t.Context(), key, tiered.BypassL1()); err == nil && v != r.origin.newest(key) {
				t.Errorf("%s has version %d in Redis, want %d", key, v, r.origin.newest(key))
				old = true
			}
		}
		if old {
			n++
		}
	}
	return n
}

// loads returns how often each instance has loaded each key that is read all the
// time.
func (r *rig) loads(p plan) (counts []int) {
	for _, i := range r.instances {
		for n := range p.keys {
			counts = append(counts, i.loads.of(hot(n)))
		}
	}
	return counts
}

// What an outage may take besides. A load has two goroutines, its flight's and
// its own. An instance has some round trips that nobody waits for any more, and
// probes.
const (
	perInstance = 150
	heapGrowth  = 16 << 20
)

// loadsAtOnce is how many goroutines the loads of all callers have.
func loadsAtOnce(p plan) int { return 2 * p.instances * p.callers }

func goroutines() int { return runtime.NumGoroutine() }
