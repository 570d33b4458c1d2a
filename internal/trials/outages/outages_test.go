package outages_test

import (
	"testing"
	"time"
)

// short is a plan for tests: everything happens, and nothing is measured well.
var short = plan{
	instances: 2, callers: 60, keys: 30,
	bound: 600 * time.Millisecond, timeout: 250 * time.Millisecond,
	latency: 5 * time.Millisecond, pace: 40 * time.Millisecond,
	healthy: 100 * time.Millisecond, outage: 1500 * time.Millisecond,
	rounds: 1, deletes: 10,
}

// slack is what a busy machine may add to a call. A call that hangs in a dead
// Redis would take the client's own 3 s, some times over.
const slack = 2 * time.Second

// trips is how many round trips a call makes at most, its load apart; that of a
// read includes one for each time that another instance is found loading.
var trips = [kinds]int{getOrLoad: 5, getNew: 5, get: 1, set: 2, del: 1}

// Whatever is the matter with Redis: reads are answered, nobody waits for long,
// a key is loaded once per instance and bound, nothing piles up, and afterwards
// everything is as if nothing had been.
func TestOutages(t *testing.T) {
	for _, o := range outages {
		t.Run(o.name, func(t *testing.T) {
			r := newRig(t, &o, short)
			f := r.round(t, &o, short)
			t.Logf("%+v", f)
			if f.hits == 0 {
				t.Error("no hits in L1 during the outage")
			}
			for k, took := range f.slowest {
				if most := time.Duration(trips[k])*short.timeout + short.latency + slack; took > most {
					t.Errorf("a call of kind %d took %v, more than %v", k, took, most)
				}
			}
			// One more for the value that was there when it began, and one for the
			// part of a bound that is left.
			if most := f.bounds + 2; f.loads > most {
				t.Errorf("a key was loaded %d times on one instance, want at most %d in %d bounds", f.loads, most, f.bounds)
			}
			if most := f.routinesHealthy + loadsAtOnce(short) + perInstance*short.instances; f.routines > most {
				t.Errorf("%d goroutines during the outage, %d before; want at most %d", f.routines, f.routinesHealthy, most)
			}
			if most := f.heapHealthy + heapGrowth; f.heap > most {
				t.Errorf("%d bytes of heap during the outage, %d before; want at most %d", f.heap, f.heapHealthy, most)
			}
			eventually(t, "no goroutine is left of the outage", func() bool {
				return goroutines() <= f.routinesHealthy+perInstance
			})
		})
	}
}
