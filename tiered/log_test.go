package tiered_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/tiered"
)

// lines is what was logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// all are the lines so far.
func (l *lines) all(t *testing.T) (all []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(l.buf.Bytes()) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// uselessObserver is an Observer that is of no use.
type uselessObserver struct{}

func (uselessObserver) Observe(context.Context, tiered.Operation) (context.Context, func(error)) {
	panic("observer")
}

// Whichever part of a node logs something, the line says whose it is.
func TestLinesOfALogSayWhoseTheyAre(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: nowhere(t)})
	t.Cleanup(func() { _ = client.Close() })
	var log lines
	n := open(t, tiered.Options{
		Redis: client, Prefix: "shop", MaxStaleness: bound, L2Timeout: 20 * time.Millisecond,
		Observer: uselessObserver{}, Logger: slog.New(slog.NewJSONHandler(&log, nil)),
	})
	r := region(t, n, tiered.Config[int]{Name: "items", Tags: func(string, int) []string { return []string{""} }})
	_, err := r.GetOrLoad(t.Context(), "k", func(context.Context, string) (int, error) { return 1, nil })
	succeeds(t, err)
	if err := r.Delete(t.Context(), "k"); err == nil {
		t.Error("Delete without Redis: no error")
	}
	want := []string{
		"degraded: invalidations are not confirmed as usual", "redis is unavailable",
		"the Observer panicked; said once, the operation goes on without it",
		"closed with invalidations that Redis has not confirmed",
	}
	missing := func() (missing []string) {
		said := make(map[any]bool)
		for _, line := range log.all(t) {
			said[line["msg"]] = true
		}
		for _, msg := range want {
			if !said[msg] {
				missing = append(missing, msg)
			}
		}
		return missing
	}
	eventually(t, "all but the last were said", func() bool { return len(missing()) == 1 })
	succeeds(t, n.Close())
	if missing := missing(); len(missing) > 0 {
		t.Errorf("not said: %q", missing)
	}
	for _, line := range log.all(t) {
		if line["doppio"] != "shop" {
			t.Errorf("it does not say whose it is: %v", line)
		}
	}
}
