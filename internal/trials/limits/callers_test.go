package limits_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// manyCallers is how many wait at once.
const manyCallers = 10_000

// perNode bounds the goroutines that a node and its client have besides those of
// their callers.
const perNode = 100

// Ten thousand callers on two nodes want a key that takes long to load. It is
// loaded once. They cost no goroutine but their own. Half of them give up and
// leave at once, while the load goes on; the others get the value.
func TestManyCallersOfOneSlowLoad(t *testing.T) {
	for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L1Only, tiered.L2Only} {
		t.Run(mode.String(), func(t *testing.T) {
			b := redistest.Real(t)
			var rs []*tiered.Region[string]
			for range 2 {
				rs = append(rs, region(t, open(t, tiered.Options{Redis: b.Client(t), L1MaxBytes: 1 << 20}), tiered.Config[string]{Name: "items", Mode: mode, LoadTimeout: time.Hour}))
			}
			wanted := int64(1)
			if mode == tiered.L1Only {
				wanted = 2 // nothing is shared, so that each node loads
			}
			waitForOne(t, rs, wanted)
		})
	}
}

// waitForOne has callers of all regions wait for a load that is to be made so
// many times in all.
func waitForOne(t *testing.T, rs []*tiered.Region[string], wanted int64) {
	t.Helper()
	var loads, got, left atomic.Int64
	var unexpected atomic.Pointer[error]
	release := make(chan struct{})
	load := func(ctx context.Context, key string) (string, error) {
		loads.Add(1)
		select {
		case <-release:
			return "of " + key, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	leaving, leave := context.WithCancel(t.Context())
	defer leave()
	before, memory := runtime.NumGoroutine(), heap()
	var stay, depart sync.WaitGroup
	for i := range manyCallers {
		ctx, wg := t.Context(), &stay
		if i%2 == 0 { // one of these leads the flight
			ctx, wg = leaving, &depart
		}
		wg.Go(func() {
			v, err := rs[i/2%len(rs)].GetOrLoad(ctx, "k", load)
			switch {
			case err == nil && v == "of k":
				got.Add(1)
			case errors.Is(err, context.Canceled):
				left.Add(1)
			default:
				unexpected.CompareAndSwap(nil, &err)
			}
		})
	}
	eventually(t, "all callers wait", func() bool {
		n := uint64(0)
		for _, r := range rs {
			n += r.Stats().L1Misses // where there is an L1, each caller has looked into it
		}
		there := runtime.NumGoroutine() >= before+manyCallers
		return there && (n == 0 || n >= manyCallers) && loads.Load() == wanted
	})
	if n, most := runtime.NumGoroutine(), before+manyCallers+perNode*len(rs); n > most {
		t.Errorf("%d goroutines for %d callers, want at most %d", n, manyCallers, most)
	}
	during := heap()
	t.Logf("%d goroutines, %d bytes of heap for each caller", runtime.NumGoroutine(), (during-memory)/manyCallers)
	if each := (during - memory) / manyCallers; each > 8<<10 {
		t.Errorf("each caller takes %d bytes of heap", each)
	}
	leave()
	within(t, "a caller who has given up", depart.Wait)
	if n := left.Load(); n != manyCallers/2 || got.Load() != 0 {
		t.Errorf("%d have left, %d have a value; want %d and none", n, got.Load(), manyCallers/2)
	}
	close(release)
	within(t, "a caller of a load that has ended", stay.Wait)
	if got.Load() != manyCallers/2 || loads.Load() != wanted {
		t.Errorf("%d got the value of %d loads, want %d of %d", got.Load(), loads.Load(), manyCallers/2, wanted)
	}
	if err := unexpected.Load(); err != nil {
		t.Errorf("a caller got %v", *err)
	}
	eventually(t, "the goroutines end", func() bool { return runtime.NumGoroutine() <= before+perNode })
}

// Ten thousand callers of as many keys, while Redis is a black hole: each has its
// load, and nothing remains.
func TestManyCallersOfManyKeysWithoutRedis(t *testing.T) {
	proxy := redistest.Real(t).Proxy(t)
	n := open(t, tiered.Options{Redis: proxy.Client(t), L1MaxBytes: 16 << 20, L2Timeout: 100 * time.Millisecond})
	r := region(t, n, tiered.Config[int]{Name: "items"})
	before := runtime.NumGoroutine()
	proxy.BlackHole(true)
	release := make(chan struct{})
	var loads, answered atomic.Int64
	var wg sync.WaitGroup
	for i := range manyCallers {
		wg.Go(func() {
			v, err := r.GetOrLoad(t.Context(), fmt.Sprint(i), func(context.Context, string) (int, error) {
				loads.Add(1)
				<-release
				return i, nil
			})
			if v == i && err == nil {
				answered.Add(1)
			}
		})
	}
	eventually(t, "all loads are running", func() bool { return loads.Load() == manyCallers })
	// The caller's, the flight's and the load's own.
	if n, most := runtime.NumGoroutine(), before+3*manyCallers+perNode; n > most {
		t.Errorf("%d goroutines for %d loads, want at most %d", n, manyCallers, most)
	}
	close(release)
	within(t, "a caller", wg.Wait)
	if answered.Load() != manyCallers {
		t.Errorf("%d callers got their value, want all %d", answered.Load(), manyCallers)
	}
	proxy.BlackHole(false)
	eventually(t, "the goroutines end", func() bool { return runtime.NumGoroutine() <= before+perNode })
}
