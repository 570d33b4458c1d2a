package limits_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// waiting counts the operations that have begun and not ended: those that wait
// for Redis, or for their load.
type waiting struct{ now atomic.Int64 }

func (w *waiting) Observe(ctx context.Context, _ tiered.Operation) (context.Context, func(error)) {
	w.now.Add(1)
	return ctx, func(error) { w.now.Add(-1) }
}

// stuck are calls that wait for Redis, each with keys of its own, and how many
// operations of each are under way while it does.
var stuck = map[string]func(ctx context.Context, n *tiered.Node, r *tiered.Region[int]) error{
	"Get": func(ctx context.Context, _ *tiered.Node, r *tiered.Region[int]) error {
		_, err := r.Get(ctx, "get")
		return err
	},
	"Get past L1": func(ctx context.Context, _ *tiered.Node, r *tiered.Region[int]) error {
		_, err := r.Get(ctx, "past", tiered.BypassL1())
		return err
	},
	"GetOrLoad": func(ctx context.Context, _ *tiered.Node, r *tiered.Region[int]) error {
		_, err := r.GetOrLoad(ctx, "load", seven)
		return err
	},
	"forced load": func(ctx context.Context, _ *tiered.Node, r *tiered.Region[int]) error {
		_, err := r.GetOrLoad(ctx, "force", seven, tiered.ForceLoad())
		return err
	},
	"Set": func(ctx context.Context, _ *tiered.Node, r *tiered.Region[int]) error {
		return r.Set(ctx, "set", 1)
	},
	"Delete": func(ctx context.Context, _ *tiered.Node, r *tiered.Region[int]) error {
		return r.Delete(ctx, "delete")
	},
	"Node.Delete": func(ctx context.Context, n *tiered.Node, r *tiered.Region[int]) error {
		return n.Delete(ctx, r.Ref("one"), n.Ref("other", "two"))
	},
}

func seven(context.Context, string) (int, error) { return 7, nil }

// While calls of every kind wait in a Redis that says nothing, everything that
// needs no Redis goes on: hits, figures, new regions, loads of L1-only regions.
// And Close ends it all. So no lock that these take is held during I/O.
func TestNoLockIsHeldDuringIO(t *testing.T) {
	proxy := redistest.Real(t).Proxy(t)
	var w waiting
	n := open(t, tiered.Options{
		// Nothing but Close ends a call: neither the client's patience nor ours.
		Redis:    proxy.Client(t, func(o *redis.Options) { o.ReadTimeout, o.WriteTimeout = -1, -1 }),
		Observer: &w, L1MaxBytes: 1 << 20, L2Timeout: time.Hour, MaxStaleness: time.Hour,
	})
	r := region(t, n, tiered.Config[int]{Name: "items"})
	memory := region(t, n, tiered.Config[int]{Name: "memory", Mode: tiered.L1Only})
	for i := range 64 {
		if _, err := r.GetOrLoad(t.Context(), key(i), seven); err != nil {
			t.Fatal(err)
		}
		settles(t, r, key(i))
	}
	proxy.BlackHole(true)

	var wg sync.WaitGroup
	for name, call := range stuck {
		wg.Go(func() {
			if err := call(t.Context(), n, r); !errors.Is(err, tiered.ErrClosed) {
				t.Errorf("%s after Close: %v, want ErrClosed", name, err)
			}
		})
	}
	eventually(t, "all calls wait for Redis", func() bool { return w.now.Load() >= int64(len(stuck)) })

	for _, proceed := range []struct {
		what string
		do   func()
	}{
		{"hits of other keys", func() {
			for i := range 64 {
				reads(t, r, key(i), none, 7, tiered.SourceL1)
			}
		}},
		{"Stats", func() {
			if s := n.Stats(); s.L1.Entries < 64 || r.Stats().L1Hits < 64 {
				t.Errorf("%+v", s)
			}
		}},
		{"a new region", func() { region(t, n, tiered.Config[int]{Name: "new"}) }},
		{"a load beside Redis", func() { reads(t, memory, "k", seven, 7, tiered.SourceLoad) }},
		{"a caller whose context ends", func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if _, err := r.GetOrLoad(ctx, "load", seven); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("joining the load that waits: %v", err)
			}
			if _, err := r.Get(ctx, "another"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Get: %v", err)
			}
			var pending *tiered.PendingError
			if err := r.Delete(ctx, "another"); !errors.As(err, &pending) {
				t.Errorf("Delete: %v, want a PendingError", err)
			}
		}},
		{"Ready", func() {
			if err := n.Ready(t.Context()); err != nil {
				t.Error(err)
			}
		}},
		{"Close", func() {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		}},
		{"the calls after Close", wg.Wait},
	} {
		within(t, proceed.what, proceed.do)
	}
	proxy.BlackHole(false) // ends what the client still waits for
}

func key(i int) string { return fmt.Sprintf("k%d", i) }

// A logger may write to a disk that hangs. No call waits for it.
func TestNoCallWaitsForTheLogger(t *testing.T) {
	server := redistest.Start(t)
	h := &hangingHandler{release: make(chan struct{})}
	n, err := tiered.Open(t.Context(), tiered.Options{
		Redis: server.Client(t), Prefix: "limits", L1MaxBytes: 1 << 20,
		MaxStaleness: 400 * time.Millisecond, L2Timeout: 100 * time.Millisecond, Logger: slog.New(h),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := region(t, n, tiered.Config[int]{Name: "items"})
	within(t, "Ready", func() {
		if err := n.Ready(t.Context()); err != nil {
			t.Error(err)
		}
	})
	h.hang.Store(true)
	server.Kill()
	for i := 0; h.hanging.Load() == 0; i++ {
		within(t, "a read", func() {
			if v, err := r.GetOrLoad(t.Context(), fmt.Sprint(i), seven); v != 7 || err != nil {
				t.Errorf("%d, %v", v, err)
			}
			_, _ = r.Get(t.Context(), fmt.Sprint(i))
			_ = r.Delete(t.Context(), fmt.Sprint(i))
			_ = n.Stats()
		})
	}
	server.Restart()
	eventually(t, "Redis is used again, whatever the logger does", func() bool {
		s := n.Stats()
		return !s.Degraded && s.PendingRetries == 0
	})
	close(h.release) // Close waits for what it has started
	within(t, "Close", func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
}

// hangingHandler is a handler that hangs while told to.
type hangingHandler struct {
	hang    atomic.Bool
	hanging atomic.Int64
	release chan struct{}
}

func (h *hangingHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h *hangingHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *hangingHandler) WithGroup(string) slog.Handler            { return h }

func (h *hangingHandler) Handle(context.Context, slog.Record) error {
	if h.hang.Load() {
		h.hanging.Add(1)
		<-h.release
	}
	return nil
}
