package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// modes are the ways a region can be kept, for what holds in all of them.
var modes = []tiered.Mode{tiered.BothTiers, tiered.L1Only, tiered.L2Only}

// inEachMode runs fn in a bubble for each mode, with a node of the bubble.
func inEachMode(t *testing.T, fn func(t *testing.T, n *tiered.Node, mode tiered.Mode)) {
	t.Helper()
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) { fn(t, b.node(t), mode) })
		})
	}
}

// A caller whose context ends leaves at once; the load goes on, and the others
// get its value.
func TestCallerLeavesAndTheLoadGoesOn(t *testing.T) {
	inEachMode(t, func(t *testing.T, n *tiered.Node, mode tiered.Mode) {
		r := region(t, n, tiered.Config[int]{Name: "items", Mode: mode})
		release := make(chan struct{})
		loads := 0
		load := func(ctx context.Context, _ string) (int, error) {
			loads++
			select {
			case <-release:
				return 7, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		const callers = 10
		errs := make([]error, callers)
		values := make([]int, callers)
		var leaving, staying sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for i := range callers {
			if i%2 == 0 { // the first among them: it leads the flight
				leaving.Go(func() { values[i], errs[i] = r.GetOrLoad(ctx, "k", load) })
			} else {
				staying.Go(func() { values[i], errs[i] = r.GetOrLoad(t.Context(), "k", load) })
			}
			synctest.Wait()
		}
		before := time.Now()
		cancel()
		leaving.Wait()
		if waited := time.Since(before); waited != 0 {
			t.Errorf("the callers that left took %v", waited)
		}
		close(release)
		staying.Wait()
		for i, err := range errs {
			switch {
			case i%2 == 0 && !errors.Is(err, context.Canceled):
				t.Errorf("caller %d left and got %d, %v", i, values[i], err)
			case i%2 == 1 && (err != nil || values[i] != 7):
				t.Errorf("caller %d stayed and got %d, %v", i, values[i], err)
			}
		}
		if loads != 1 {
			t.Errorf("%d loads, want 1", loads)
		}
		var info tiered.Info
		if v, err := r.Get(t.Context(), "k", tiered.WithInfo(&info)); v != 7 || err != nil {
			t.Errorf("the value is not cached: %d, %v", v, err)
		}
	})
}

// The same where the only caller leaves: what it has set off is not wasted.
func TestTheLoadGoesOnForNobody(t *testing.T) {
	inEachMode(t, func(t *testing.T, n *tiered.Node, mode tiered.Mode) {
		r := region(t, n, tiered.Config[int]{Name: "items", Mode: mode})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := r.GetOrLoad(ctx, "k", func(ctx context.Context, _ string) (int, error) {
			pass(2 * time.Second)
			return 7, ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, tiered.ErrLoadTimeout) {
			t.Errorf("the caller got %v, want its own deadline", err)
		}
		pass(2 * time.Second)
		if v, err := r.Get(t.Context(), "k"); v != 7 || err != nil {
			t.Errorf("after the load: %d, %v", v, err)
		}
	})
}

// A caller whose context has ended gets no load, but is given what is there
// without waiting.
func TestContextThatHasEnded(t *testing.T) {
	inEachMode(t, func(t *testing.T, n *tiered.Node, mode tiered.Mode) {
		r := region(t, n, tiered.Config[int]{Name: "items", Mode: mode})
		s := &source[int]{value: 7}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.GetOrLoad(ended, "k", s.load); !errors.Is(err, context.Canceled) {
			t.Errorf("GetOrLoad: %v", err)
		}
		if _, err := r.Get(ended, "k"); !errors.Is(err, context.Canceled) {
			t.Errorf("Get: %v", err)
		}
		s.reads(t, 0)
		if mode == tiered.L2Only {
			return
		}
		wants(t, r, "k", s, 7, tiered.SourceLoad)
		pass(time.Millisecond)
		if v, err := r.GetOrLoad(ended, "k", s.load); v != 7 || err != nil {
			t.Errorf("an L1 hit: %d, %v", v, err)
		}
	})
}

type contextKey struct{}

// A load sees the values of its caller's context, but neither its cancellation
// nor its deadline; it has LoadTimeout.
func TestContextOfALoad(t *testing.T) {
	inEachMode(t, func(t *testing.T, n *tiered.Node, mode tiered.Mode) {
		r := region(t, n, tiered.Config[int]{Name: "items", Mode: mode, LoadTimeout: time.Minute})
		for _, opts := range [][]tiered.Option{nil, {tiered.ForceLoad()}} {
			ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), contextKey{}, "trace 42"), time.Hour)
			_, err := r.GetOrLoad(ctx, "k", func(ctx context.Context, key string) (int, error) {
				cancel()
				if err := ctx.Err(); err != nil {
					t.Errorf("the caller's cancellation reached the load: %v", err)
				}
				if got := ctx.Value(contextKey{}); got != "trace 42" {
					t.Errorf("the load sees %v, want the caller's value", got)
				}
				if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) != time.Minute {
					t.Errorf("the load has %v, want LoadTimeout", time.Until(deadline))
				}
				if key != "k" {
					t.Errorf("the load is asked for %q", key)
				}
				return 7, nil
			}, opts...)
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			synctest.Wait()
		}
	})
}

// A load that takes longer than LoadTimeout is given up, whether it heeds its
// context or not. The error says so in both ways.
func TestLoadTimeout(t *testing.T) {
	loads := map[string]func(ctx context.Context) (int, error){
		"heeds its context":   func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() },
		"wraps what it got":   func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, fmt.Errorf("select: %w", ctx.Err()) },
		"says something else": func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, errors.New("connection reset") },
		"returns the cause":   func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, context.Cause(ctx) },
		"ignores its context": func(context.Context) (int, error) { pass(time.Minute); return 7, nil },
		"says not found too late": func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, fmt.Errorf("%w: %w", tiered.ErrNotFound, ctx.Err())
		},
	}
	for name, load := range loads {
		t.Run(name, func(t *testing.T) {
			inEachMode(t, func(t *testing.T, n *tiered.Node, mode tiered.Mode) {
				r := region(t, n, tiered.Config[int]{Name: "items", Mode: mode, LoadTimeout: 10 * time.Second})
				began := time.Now()
				var wg sync.WaitGroup
				for range 3 {
					wg.Go(func() {
						_, err := r.GetOrLoad(t.Context(), "k", func(ctx context.Context, _ string) (int, error) { return load(ctx) })
						if !errors.Is(err, tiered.ErrLoadTimeout) || !errors.Is(err, context.DeadlineExceeded) {
							t.Errorf("got %v, want an ErrLoadTimeout that is a DeadlineExceeded", err)
						}
						if errors.Is(err, tiered.ErrNotFound) && name != "says not found too late" {
							t.Errorf("%v says that there is no such thing", err)
						}
						if took := time.Since(began); took != 10*time.Second {
							t.Errorf("it took %v, want LoadTimeout", took)
						}
					})
				}
				wg.Wait()
				synctest.Wait() // the lease is released in the background
				s := &source[int]{value: 8}
				wants(t, r, "k", s, 8, tiered.SourceLoad) // nothing is remembered, nothing is in the way
				if waits := r.Stats().LeaseWaits; waits != 0 {
					t.Errorf("%d waits for a lease", waits)
				}
				pass(time.Minute) // a load that ignored its context ends
				if v, err := r.Get(t.Context(), "k"); err == nil && v != 8 {
					t.Errorf("what came too late is cached: %d", v)
				}
			})
		})
	}
}

// A value that comes just in time is an answer, though its load ran out of time
// right after.
func TestLoadThatReturnsAValueAtItsDeadline(t *testing.T) {
	inEachMode(t, func(t *testing.T, n *tiered.Node, mode tiered.Mode) {
		r := region(t, n, tiered.Config[int]{Name: "items", Mode: mode, LoadTimeout: time.Second})
		v, err := r.GetOrLoad(t.Context(), "k", func(context.Context, string) (int, error) {
			pass(time.Second - 1)
			return 7, nil
		})
		if v != 7 || err != nil {
			t.Errorf("got %d, %v", v, err)
		}
	})
}

// LoadTimeout is also how long a call waits for another instance's load before
// it loads by itself.
func TestWaitForAnotherInstancesLoadIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		slow := region(t, b.node(t), tiered.Config[int]{Name: "items", LoadTimeout: time.Hour})
		quick := region(t, b.node(t), tiered.Config[int]{Name: "items", LoadTimeout: time.Minute})
		release := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			if v, err := slow.GetOrLoad(t.Context(), "k", func(context.Context, string) (int, error) { <-release; return 7, nil }); v != 7 || err != nil {
				t.Errorf("the slow load: %d, %v", v, err)
			}
		})
		synctest.Wait()
		began := time.Now()
		info := wants(t, quick, "k", &source[int]{value: 8}, 8, tiered.SourceLoad)
		if waited := time.Since(began); waited < time.Minute || waited > time.Minute+time.Second {
			t.Errorf("it waited for %v, want about LoadTimeout", waited)
		}
		if info.Remaining != 0 {
			t.Errorf("a value loaded past another's lease is kept for %v, want not at all", info.Remaining)
		}
		if waits := quick.Stats().LeaseWaits; waits != 1 {
			t.Errorf("%d lease waits, want 1", waits)
		}
		close(release)
		wg.Wait()
		wants(t, quick, "k", &source[int]{}, 7, tiered.SourceL2)
	})
}

// Who sees first that time is up, the load or who waits for it, makes no
// difference. With many at once, both happen.
func TestLoadTimeoutOfManyAtOnce(t *testing.T) {
	inEachMode(t, func(t *testing.T, n *tiered.Node, mode tiered.Mode) {
		r := region(t, n, tiered.Config[int]{Name: "items", Mode: mode, LoadTimeout: 10 * time.Second})
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				_, err := r.GetOrLoad(t.Context(), fmt.Sprint(i), func(ctx context.Context, _ string) (int, error) {
					<-ctx.Done()
					return 0, ctx.Err()
				})
				if !errors.Is(err, tiered.ErrLoadTimeout) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want an ErrLoadTimeout that is a DeadlineExceeded", err)
				}
			})
		}
		wg.Wait()
	})
}

// A LoadTimeout that is meant to be none waits for another instance's load.
func TestLoadTimeoutWithoutEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		rs := regions(t, []*tiered.Node{b.node(t), b.node(t), b.node(t)}, tiered.Config[string]{Name: "items", LoadTimeout: math.MaxInt64, Jitter: -1})
		f := &flaky{source: source[string]{value: "v"}}
		f.slow.Store(int64(3 * time.Second))
		var wg sync.WaitGroup
		wg.Go(func() { f.is(t, rs[0], "v", false) })
		pass(time.Second)
		wg.Go(func() { f.is(t, rs[1], "v", false) })
		wg.Go(func() {
			got, err := rs[2].GetOrLoadMany(t.Context(), []string{"k"}, func(ctx context.Context, keys []string) (map[string]string, error) {
				v, err := f.load(ctx, keys[0])
				return map[string]string{keys[0]: v}, err
			})
			if err != nil || got["k"] != "v" {
				t.Errorf("GetOrLoadMany = %v, %v", got, err)
			}
		})
		wg.Wait()
		f.reads(t, 1)
	})
}
