package sim

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{}) // go-redis logs every connection that it does not get
	redistest.Main(m)
}

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

var (
	firstSeed = flag.Uint64("first", 1, "the first seed of TestSeeds")
	seedCount = flag.Int("seeds", 200, "the number of seeds of TestSeeds")
)

// traced is how much virtual time before a violation a trace shows, in bounds.
const traced = 6

// live runs a seed in a bubble and returns the world when its time is over.
func live(t *testing.T, p *plan, prepare func(w *world)) (w *world) {
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(t, p)
		if prepare != nil {
			prepare(w)
		}
		w.run()
		w.heal()
		w.conclude()
		w.end()
		w.explain()
	})
	return w
}

// explain says what has led to an error that is no violation: a bubble whose test
// has failed ends the test that it is in.
func (w *world) explain() {
	if w.t.Failed() {
		w.t.Logf("seed %d, %+v, %v\n%s", w.plan.seed, w.plan.settings, w.oracle.violations, w.log.trace("", time.Hour))
	}
}

// conclude asserts that all is well again, when nothing is broken any more.
func (w *world) conclude() {
	for _, place := range []string{"a", "b", "c"} {
		n := w.at(place)
		if err := n.cache.healthy(); err != nil {
			w.t.Errorf("%s has not recovered: %v", n.name, err)
		}
		for _, key := range w.keys {
			c := w.get(n, "load", key, true, how{takes: time.Millisecond})
			if c.err != nil && !c.absent {
				w.t.Errorf("%s after recovery: %v", n.name, c.err)
			}
		}
	}
}

// report says what was violated, how to see it again, and what led to it.
func (w *world) report(t *testing.T) {
	if len(w.oracle.violations) == 0 && !t.Failed() {
		return
	}
	t.Errorf("seed %d: %d violations; to see it again: go test -race ./internal/sim -run TestSeeds -first %d -seeds 1",
		w.plan.seed, len(w.oracle.violations), w.plan.seed)
	key := ""
	for i, v := range w.oracle.violations {
		if t.Error(v); i == 0 {
			key = v.key
		}
	}
	t.Logf("%+v\n%s", w.plan.settings, w.log.trace(key, traced*w.plan.settings.bound))
}

func TestSeeds(t *testing.T) {
	began := time.Now()
	for i := range *seedCount {
		seed := *firstSeed + uint64(i)
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			w := live(t, planOf(seed), nil)
			w.cover()
			w.report(t)
		})
	}
	t.Cleanup(func() { t.Logf("%d seeds in %v", *seedCount, time.Since(began).Round(time.Second)) })
}

// This comes after the seeds and the scenarios, which the go tool runs in the
// order of their files.
func TestInterleavingsHaveHappened(t *testing.T) {
	coverage.mu.Lock()
	defer coverage.mu.Unlock()
	if coverage.seen == nil || testing.Short() {
		t.Skip("needs the default seeds and the scenarios, which were not run")
	}
	for _, i := range interleavings {
		n := coverage.seen[i.name]
		more := ""
		if n == often {
			more = " or more"
		}
		t.Logf("%d%s worlds: %s", n, more, i.name)
		if n == 0 {
			t.Errorf("has not happened: %s", i.name)
		}
	}
}
