package tiered_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// Shutdown waits for the loads that are running, and takes no new ones; hits
// and Deletes go on meanwhile.
func TestShutdownWaitsForRunningLoads(t *testing.T) {
	inEachMode(t, func(t *testing.T, n *tiered.Node, mode tiered.Mode) {
		r := region(t, n, tiered.Config[int]{Name: "items", Mode: mode})
		wants(t, r, "hot", &source[int]{value: 7}, 7, tiered.SourceLoad)
		release := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			v, err := r.GetOrLoad(t.Context(), "k", func(ctx context.Context, _ string) (int, error) { <-release; return 8, ctx.Err() })
			if v != 8 || err != nil {
				t.Errorf("the running load: %d, %v", v, err)
			}
		})
		synctest.Wait()
		down := make(chan error, 1)
		go func() { down <- n.Shutdown(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-down:
			t.Fatalf("Shutdown returned %v while a load was running", err)
		default:
		}
		s := &source[int]{value: 9}
		if _, _, err := read(t, r, "new", s); !errors.Is(err, tiered.ErrClosed) {
			t.Errorf("a new load: %v, want ErrClosed", err)
		}
		s.reads(t, 0)
		if err := r.Set(t.Context(), "set", 1); !errors.Is(err, tiered.ErrClosed) {
			t.Errorf("a new Set: %v, want ErrClosed", err)
		}
		if mode != tiered.L2Only {
			if v, err := r.Get(t.Context(), "hot"); v != 7 || err != nil {
				t.Errorf("a hit: %d, %v", v, err)
			}
		}
		if err := r.Delete(t.Context(), "hot"); err != nil {
			t.Errorf("Delete: %v", err)
		}
		if _, err := tiered.New(n, tiered.Config[int]{Name: "late"}); !errors.Is(err, tiered.ErrClosed) {
			t.Errorf("New: %v, want ErrClosed", err)
		}
		close(release)
		wg.Wait()
		if err := <-down; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// Shutdown waits until Redis has confirmed what is queued.
func TestShutdownDeliversPendingInvalidations(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	a, b := f.joinHasty(t), f.members[0]
	f.origin.commit("k")
	b.warm(t, "k")
	a.proxy.Data().BlackHole(true)
	want := f.origin.commit("k")
	var pending *tiered.PendingError
	if err := a.items.Delete(t.Context(), "k"); !errors.As(err, &pending) {
		t.Fatalf("got %v, want a PendingError", err)
	}
	down := make(chan error, 1)
	go func() { down <- a.Shutdown(t.Context()) }()
	eventually(t, "the node is shutting down", func() bool {
		_, err := a.items.GetOrLoad(t.Context(), "new", f.origin.load)
		return errors.Is(err, tiered.ErrClosed)
	})
	select {
	case err := <-down:
		t.Fatalf("Shutdown returned %v with an invalidation pending", err)
	default:
	}
	a.proxy.Data().BlackHole(false)
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if v, err := b.items.Get(t.Context(), "k", tiered.BypassL1()); err == nil && v != want {
		t.Errorf("Redis still has version %d after Shutdown", v)
	}
}

// A Shutdown that has no more time says what it has given up, and closes.
func TestShutdownOutOfTime(t *testing.T) {
	t.Run("loads", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bubble) {
			n := b.node(t)
			r := region(t, n, tiered.Config[int]{Name: "items"})
			var wg sync.WaitGroup
			wg.Go(func() {
				_, err := r.GetOrLoad(t.Context(), "k", func(ctx context.Context, _ string) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
				if !errors.Is(err, tiered.ErrClosed) {
					t.Errorf("the running load: %v, want ErrClosed", err)
				}
			})
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			err := n.Shutdown(ctx)
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "loads still running") {
				t.Errorf("Shutdown: %v, want that loads were still running", err)
			}
			if took := time.Since(began); took != time.Second {
				t.Errorf("Shutdown took %v, want 1s", took)
			}
			wg.Wait()
			if err := n.Ready(t.Context()); !errors.Is(err, tiered.ErrClosed) {
				t.Errorf("the node is not closed: %v", err)
			}
		})
	})
	t.Run("invalidations", func(t *testing.T) {
		t.Parallel()
		a := newFleet(t, 0).joinHasty(t)
		a.proxy.BlackHole(true)
		if err := a.items.Delete(t.Context(), "k"); err == nil {
			t.Fatal("Delete got through a black hole")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := a.Shutdown(ctx)
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "1 keys") {
			t.Errorf("Shutdown: %v, want that one key was given up", err)
		}
		if err := a.Ready(t.Context()); !errors.Is(err, tiered.ErrClosed) {
			t.Errorf("the node is not closed: %v", err)
		}
	})
}

// Of a node where nothing is running a Shutdown that has no time says nothing.
func TestShutdownOfAnIdleNodeNeedsNoTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 { // which of two things that have happened is seen first is left to chance
		n, err := tiered.Open(t.Context(), tiered.Options{Local: true, Prefix: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Shutdown(ctx); err != nil {
			t.Fatalf("Shutdown: %v", err)
		}
	}
}
