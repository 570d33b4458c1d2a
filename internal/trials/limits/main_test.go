package limits_test

import (
	"context"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// patience is an L2Timeout for tests in which only the machine may be slow, and
// bounds what only a broken library makes wait.
const patience = 30 * time.Second

// open opens a node, with settings for tests where none are given.
func open(t *testing.T, opts tiered.Options) *tiered.Node {
	t.Helper()
	opts.Prefix, opts.Logger = "limits", slog.New(slog.DiscardHandler)
	if opts.L2Timeout == 0 {
		opts.L2Timeout = patience
	}
	n, err := tiered.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := n.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return n
}

func region[V any](t *testing.T, n *tiered.Node, cfg tiered.Config[V]) *tiered.Region[V] {
	t.Helper()
	r, err := tiered.New(n, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond) //nolint:forbidigo // the interval of a poll
	}
}

// within fails the test if f does not return.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		t.Fatalf("%s hangs", what)
	}
}

// heap is the memory in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools have let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
