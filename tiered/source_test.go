package tiered_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// instances opens n nodes of one service on the backend and waits until all
// are ready. Each has a client of its own. These tests are not about time.
func instances(t testing.TB, b *redistest.Backend, n int, change ...func(*tiered.Options)) []*tiered.Node {
	t.Helper()
	nodes := make([]*tiered.Node, n)
	for i := range nodes {
		opts := tiered.Options{Redis: b.Client(t), L2Timeout: patience}
		for _, c := range change {
			c(&opts)
		}
		nodes[i] = open(t, opts)
	}
	for _, node := range nodes {
		ready(t, node)
	}
	return nodes
}

// local opens a node without a shared tier.
func local(t testing.TB) *tiered.Node {
	t.Helper()
	return open(t, tiered.Options{Local: true})
}

// regions declares the same region on several nodes.
func regions[V any](t testing.TB, nodes []*tiered.Node, cfg tiered.Config[V]) []*tiered.Region[V] {
	t.Helper()
	rs := make([]*tiered.Region[V], len(nodes))
	for i, n := range nodes {
		rs[i] = region(t, n, cfg)
	}
	return rs
}

// source is an origin that always answers the same, and counts.
type source[V any] struct {
	calls atomic.Int64
	value V
	err   error
}

func (s *source[V]) load(context.Context, string) (V, error) {
	s.calls.Add(1)
	return s.value, s.err
}

// reads fails the test unless exactly n loads have been made since the last
// time that it was called.
func (s *source[V]) reads(t testing.TB, n int64) {
	t.Helper()
	if got := s.calls.Swap(0); got != n {
		t.Errorf("the origin was asked %d times, want %d", got, n)
	}
}

// read is one GetOrLoad that also says where the value came from.
func read[V any](t testing.TB, r *tiered.Region[V], key string, s *source[V], opts ...tiered.Option) (V, tiered.Info, error) {
	t.Helper()
	var info tiered.Info
	v, err := r.GetOrLoad(t.Context(), key, s.load, append(opts, tiered.WithInfo(&info))...)
	return v, info, err
}

// wants fails the test unless one GetOrLoad gives the value, from there.
func wants[V comparable](t testing.TB, r *tiered.Region[V], key string, s *source[V], want V, from tiered.Source, opts ...tiered.Option) tiered.Info {
	t.Helper()
	v, info, err := read(t, r, key, s, opts...)
	if err != nil || v != want || info.Source != from {
		t.Errorf("GetOrLoad(%q) = %v, %v, from %v; want %v from %v", key, v, err, info.Source, want, from)
	}
	return info
}

// settles waits until key is answered by L1: a new entry passes admission a
// moment after it was put. Until then L2 answers; a load fails the test.
func settles[V any](t testing.TB, r *tiered.Region[V], key string) {
	t.Helper()
	eventually(t, "an L1 hit of "+key, func() bool {
		var info tiered.Info
		_, err := r.Get(t.Context(), key, tiered.WithInfo(&info))
		if err != nil && !errors.Is(err, tiered.ErrAbsent) {
			t.Fatalf("Get(%q): %v", key, err)
		}
		return info.Source == tiered.SourceL1
	})
}

// valueKeys are the names of the values in Redis under the tests' prefix.
func valueKeys(t testing.TB, c redis.UniversalClient) []string {
	t.Helper()
	keys, err := c.Keys(context.WithoutCancel(t.Context()), "test:{*}:v:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// logs is a logger that remembers.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(io.Writer(l), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// lines are those that contain all the words.
func (l *logs) lines(words ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
next:
	for line := range strings.Lines(l.buf.String()) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		found = append(found, line)
	}
	return found
}
