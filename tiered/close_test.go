package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// Close may come at any time, from several sides, while everything is running:
// every call returns, with an answer or with ErrClosed.
func TestCloseWhileEverythingIsRunning(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		for round := range 5 {
			nodes := instances(t, b, 2)
			for _, mode := range modes {
				regions(t, nodes, tiered.Config[int]{Name: mode.String(), Mode: mode})
			}
			n := nodes[0]
			r := region(t, n, tiered.Config[int]{Name: "items"})
			other := region(t, nodes[1], tiered.Config[int]{Name: "items"})
			l1Only := region(t, n, tiered.Config[int]{Name: "l1", Mode: tiered.L1Only})
			slow := func(ctx context.Context, _ string) (int, error) { // until it is told to stop
				<-ctx.Done()
				return 0, ctx.Err()
			}
			quick := (&source[int]{value: 7}).load
			var turn atomic.Int64
			key := func() string { return fmt.Sprint(turn.Add(1) % 50) }
			ctx := t.Context()
			// Another instance holds a lease that calls wait for.
			held := fmt.Sprintf("held %d", round)
			holding := make(chan struct{})
			var holder sync.WaitGroup
			holderCtx, letGo := context.WithCancel(ctx)
			holder.Go(func() {
				_, _ = other.GetOrLoad(ctx, held, func(context.Context, string) (int, error) {
					close(holding)
					<-holderCtx.Done()
					return 7, nil
				})
			})
			<-holding
			calls := map[string]func() error{
				"hit":            func() error { _, err := r.GetOrLoad(ctx, "hot", quick); return err },
				"load":           func() error { _, err := r.GetOrLoad(ctx, key(), quick); return err },
				"load in L1":     func() error { _, err := l1Only.GetOrLoad(ctx, key(), quick); return err },
				"slow load":      func() error { _, err := r.GetOrLoad(ctx, "slow", slow); return err },
				"wait for lease": func() error { _, err := r.GetOrLoad(ctx, held, quick); return err },
				"forced load":    func() error { _, err := r.GetOrLoad(ctx, key(), quick, tiered.ForceLoad()); return err },
				"Get":            func() error { _, err := r.Get(ctx, key()); return err },
				"Get past L1":    func() error { _, err := r.Get(ctx, key(), tiered.BypassL1()); return err },
				"Set":            func() error { return r.Set(ctx, key(), 7) },
				"Set in L1":      func() error { return l1Only.Set(ctx, key(), 7) },
				"Delete":         func() error { return r.Delete(ctx, key(), key()) },
				"Node.Delete":    func() error { return n.Delete(ctx, r.Ref(key()), l1Only.Ref(key())) },
				"Stats":          func() error { n.Stats(); return nil },
				"Ready":          func() error { return n.Ready(ctx) },
			}
			var wg sync.WaitGroup
			var answered atomic.Int64
			for name, call := range calls {
				for range 2 {
					wg.Go(func() {
						for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
							err := call()
							switch {
							case errors.Is(err, tiered.ErrClosed):
								return
							case err != nil && !errors.Is(err, tiered.ErrNotFound):
								t.Errorf("%s: %v", name, err)
								return
							}
							answered.Add(1)
							if name == "Stats" && n.Ready(ctx) != nil {
								return
							}
						}
						t.Errorf("%s: still no ErrClosed", name)
					})
				}
			}
			eventually(t, "everything is running", func() bool { return answered.Load() > 500 })
			for closer := range 3 {
				wg.Go(func() {
					if round%2 == 1 && closer == 0 {
						ctx, cancel := context.WithCancel(ctx)
						cancel()
						if err := n.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, tiered.ErrClosed) {
							t.Errorf("Shutdown: %v", err)
						}
						return
					}
					if err := n.Close(); err != nil {
						t.Errorf("Close: %v", err)
					}
				})
			}
			wg.Wait()
			letGo()
			holder.Wait()
		}
	})
}

// When Close has returned, every call of the node and its regions is refused;
// what only looks is not.
func TestOperationsAfterClose(t *testing.T) {
	nodes := map[string]*tiered.Node{"local": local(t), "shared": instances(t, redistest.Mini(t), 1)[0]}
	for name, n := range nodes {
		t.Run(name, func(t *testing.T) {
			r := region(t, n, tiered.Config[int]{Name: "items"})
			wants(t, r, "k", &source[int]{value: 7}, 7, tiered.SourceLoad)
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			for _, c := range calls() {
				if name == "local" && strings.HasSuffix(c.name, "BypassL1") {
					continue // is no call of a region in L1 only
				}
				if err := c.do(t.Context(), n, r, "k"); !errors.Is(err, tiered.ErrClosed) {
					t.Errorf("%s: %v, want ErrClosed", c.name, err)
				}
			}
			if err := n.Ready(t.Context()); !errors.Is(err, tiered.ErrClosed) {
				t.Errorf("Ready: %v, want ErrClosed", err)
			}
			if err := errors.Join(n.Close(), n.Shutdown(t.Context()), n.Close()); err != nil {
				t.Errorf("closing again: %v", err)
			}
			if s := n.Stats(); s.Regions["items"].Loads != 1 {
				t.Errorf("Stats: %+v", s.Regions)
			}
			if n.Ref("items", "k") != r.Ref("k") || r.Name() != "items" {
				t.Error("Ref or Name is of no use any more")
			}
		})
	}
}

// A call that Close meets between two of its steps gets ErrClosed, not an error
// that would mean that Redis is unwell or that something is queued. What was loaded may
// be returned all the same.
func TestCloseBetweenTwoSteps(t *testing.T) {
	tests := []struct {
		name  string
		steps int
		do    func(ctx context.Context, r *tiered.Region[int], key string) error
	}{
		{"load", 3, func(ctx context.Context, r *tiered.Region[int], key string) error {
			_, err := r.GetOrLoad(ctx, key, loaded)
			return err
		}},
		{"Get", 1, func(ctx context.Context, r *tiered.Region[int], key string) error {
			_, err := r.Get(ctx, key)
			return err
		}},
		{"Set", 2, func(ctx context.Context, r *tiered.Region[int], key string) error { return r.Set(ctx, key, 7) }},
		{"Delete", 1, func(ctx context.Context, r *tiered.Region[int], key string) error { return r.Delete(ctx, key) }},
	}
	b := redistest.Mini(t)
	for _, tt := range tests {
		for n := 1; n <= tt.steps; n++ {
			t.Run(fmt.Sprintf("%s %d", tt.name, n), func(t *testing.T) {
				node, proxy := lonely(t, b)
				r := region(t, node, tiered.Config[int]{Name: "items"})
				for _, warm := range tests { // Redis knows the scripts
					_ = warm.do(t.Context(), r, "warm")
				}
				var struck atomic.Int64
				h := proxy.Hold(step(t.Name(), n, &struck))
				done := make(chan error, 1)
				go func() { done <- tt.do(t.Context(), r, t.Name()) }()
				h.Wait(t)
				if err := node.Close(); err != nil {
					t.Error(err)
				}
				var pending *tiered.PendingError
				err := <-done
				if err == nil && tt.name == "load" && n == tt.steps {
					return // the fill gave up before the caller did
				}
				if !errors.Is(err, tiered.ErrClosed) || errors.Is(err, tiered.ErrUnavailable) || errors.As(err, &pending) {
					t.Errorf("got %v, want ErrClosed", err)
				}
			})
		}
	}
}

// The client is the caller's.
func TestCloseLeavesTheClientOpen(t *testing.T) {
	b := redistest.Mini(t)
	client := b.Client(t)
	n := open(t, tiered.Options{Redis: client})
	ready(t, n)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Errorf("the client after Close: %v", err)
	}
}

// Closing the client first is a mistake, and no disaster.
func TestClientClosedBeforeTheNode(t *testing.T) {
	b := redistest.Mini(t)
	client := b.Client(t)
	n := open(t, tiered.Options{Redis: client})
	ready(t, n)
	r := region(t, n, tiered.Config[int]{Name: "items"})
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	wants(t, r, "k", &source[int]{value: 7}, 7, tiered.SourceLoad)
	var pending *tiered.PendingError
	if err := r.Delete(t.Context(), "k"); !errors.As(err, &pending) {
		t.Errorf("Delete: %v, want a PendingError", err)
	}
	if err := n.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// Close ends loads that heed their context, and does not wait for those that do
// not. Their callers get ErrClosed.
func TestCloseAndRunningLoads(t *testing.T) {
	inEachMode(t, func(t *testing.T, n *tiered.Node, mode tiered.Mode) {
		r := region(t, n, tiered.Config[int]{Name: "items", Mode: mode})
		release := make(chan struct{})
		defer close(release)
		loads := map[string]func(context.Context, string) (int, error){
			"heeds its context":   func(ctx context.Context, _ string) (int, error) { <-ctx.Done(); return 0, ctx.Err() },
			"ignores its context": func(context.Context, string) (int, error) { <-release; return 7, nil },
		}
		var wg sync.WaitGroup
		for name, load := range loads {
			for range 3 {
				wg.Go(func() {
					if v, err := r.GetOrLoad(t.Context(), name, load); !errors.Is(err, tiered.ErrClosed) || errors.Is(err, tiered.ErrLoadTimeout) {
						t.Errorf("a load that %s: %d, %v; want ErrClosed", name, v, err)
					}
				})
			}
		}
		synctest.Wait()
		began := time.Now()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("Close took %v", took)
		}
		wg.Wait()
	})
}

// Close does not wait for Redis, even if its client would.
func TestCloseWithRedisHanging(t *testing.T) {
	t.Parallel()
	a := newFleet(t, 0).joinHasty(t)
	a.proxy.BlackHole(true)
	var wg sync.WaitGroup
	for i := range 20 {
		key := fmt.Sprint(i)
		wg.Go(func() { _ = a.items.Delete(t.Context(), key) })
		wg.Go(func() { _, _ = a.items.Get(t.Context(), key) })
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}
