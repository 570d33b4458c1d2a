package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// Redis down at Open is no error. The node answers from the origin, says what
// is the matter, queues invalidations, and recovers by itself.
func TestRedisDownAtOpen(t *testing.T) {
	tests := []struct {
		name       string
		fail, mend func(s *redistest.Server, p *redistest.Proxy)
		why        string
	}{
		{"nothing listens",
			func(s *redistest.Server, _ *redistest.Proxy) { s.Kill() },
			func(s *redistest.Server, _ *redistest.Proxy) { s.Restart() }, ""},
		{"connections are refused",
			func(_ *redistest.Server, p *redistest.Proxy) { p.Refuse(true) },
			func(_ *redistest.Server, p *redistest.Proxy) { p.Refuse(false) }, ""},
		{"nothing answers",
			func(_ *redistest.Server, p *redistest.Proxy) { p.BlackHole(true) },
			func(_ *redistest.Server, p *redistest.Proxy) { p.BlackHole(false) }, "answer"},
		{"Redis hangs",
			func(s *redistest.Server, _ *redistest.Proxy) { s.Pause() },
			func(s *redistest.Server, _ *redistest.Proxy) { s.Resume() }, "answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			proxy := redistest.NewProxy(t, server.Addr())
			client := proxy.Client(t)
			tt.fail(server, proxy)
			n := open(t, tiered.Options{Redis: client, MaxStaleness: bound, L2Timeout: 100 * time.Millisecond})
			r := region(t, n, tiered.Config[int]{Name: "items"})
			s := &source[int]{value: 7}

			eventually(t, "the node knows why", func() bool { return strings.Contains(n.Stats().DegradedReason, tt.why) })
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			err := n.Ready(ctx)
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "32 of 32 partitions") || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("Ready: %v, want the context's error and why", err)
			}
			if stats := n.Stats(); !stats.Degraded || stats.DegradedReason == "" {
				t.Errorf("degraded: %v, %q", stats.Degraded, stats.DegradedReason)
			}
			within(t, "a load", func() { wants(t, r, "k", s, 7, tiered.SourceLoad) })
			within(t, "Get", func() {
				if _, err := r.Get(t.Context(), "none"); !errors.Is(err, tiered.ErrUnavailable) || errors.Is(err, tiered.ErrNotFound) {
					t.Errorf("Get: %v, want ErrUnavailable", err)
				}
			})
			var pending *tiered.PendingError
			within(t, "Set", func() {
				if err := r.Set(t.Context(), "set", 8); !errors.As(err, &pending) || !errors.Is(err, tiered.ErrUnavailable) {
					t.Errorf("Set: %v, want a PendingError that is an ErrUnavailable", err)
				}
			})
			within(t, "Delete", func() {
				if err := r.Delete(t.Context(), "k", "other"); !errors.As(err, &pending) || len(pending.Refs) != 2 {
					t.Errorf("Delete: %v, want a PendingError of two keys", err)
				}
			})
			if got := n.Stats().PendingRetries; got != 3 {
				t.Errorf("%d invalidations are pending, want 3", got)
			}

			tt.mend(server, proxy)
			ready(t, n)
			eventually(t, "nothing is pending", func() bool {
				stats := n.Stats()
				return stats.PendingRetries == 0 && !stats.Degraded
			})
			eventually(t, "Redis has answered", func() bool { // in time, also on a machine that stalls
				if _, err = r.Get(t.Context(), "set"); err == nil {
					t.Error("the value of a Set that failed is there after all")
				}
				return !errors.Is(err, tiered.ErrUnavailable)
			})
			if !errors.Is(err, tiered.ErrNotFound) {
				t.Errorf("the value of a Set that failed: %v", err)
			}
			eventually(t, "values are cached", func() bool {
				_, info, err := read(t, r, "k", s)
				return err == nil && info.Source == tiered.SourceL1
			})
			second := region(t, open(t, tiered.Options{Redis: server.Client(t), MaxStaleness: bound, L2Timeout: patience}), tiered.Config[int]{Name: "items"})
			eventually(t, "the value is shared", func() bool {
				_, info, err := read(t, second, "k", s)
				return err == nil && info.Source == tiered.SourceL2 || info.Source == tiered.SourceL1
			})
		})
	}
}

// Without Redis there is one load for each key and bound, not one for each read:
// what was loaded is kept in L1 for MaxStaleness, and no longer.
func TestLoadsWithoutRedisAreKeptForTheBound(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		const d = 4 * time.Minute
		n := b.node(t, func(o *tiered.Options) { o.MaxStaleness = d })
		r := region(t, n, tiered.Config[int]{Name: "items", TTL: time.Hour, Jitter: -1})
		b.redis.SetError("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")
		s := &source[int]{value: 7}
		wants(t, r, "k", s, 7, tiered.SourceLoad)
		pass(d - time.Second)
		wants(t, r, "k", s, 7, tiered.SourceL1)
		pass(time.Second + 1)
		wants(t, r, "k", s, 7, tiered.SourceLoad)

		// It does not live longer because Redis comes back.
		b.redis.SetError("")
		pass(d - time.Second)
		if s := n.Stats(); s.Degraded {
			t.Fatalf("not recovered: %s", s.DegradedReason)
		}
		wants(t, r, "k", s, 7, tiered.SourceL1)
		pass(time.Second + 1)
		if _, err := r.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("%v, want ErrNotFound: it was never stored in Redis", err)
		}
		s.reads(t, 2)
	})
}

// A value that was loaded under a lease and could not be stored lives in L1 for
// the bound at most, like one that was loaded without Redis.
func TestValueThatCouldNotBeStoredIsKeptForTheBound(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		const d = 4 * time.Minute
		n := b.node(t, func(o *tiered.Options) { o.MaxStaleness = d })
		r := region(t, n, tiered.Config[int]{Name: "items", TTL: time.Hour, Jitter: -1})
		var info tiered.Info
		v, err := r.GetOrLoad(t.Context(), "k", func(context.Context, string) (int, error) {
			b.redis.SetError("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.")
			return 7, nil
		}, tiered.WithInfo(&info))
		if v != 7 || err != nil {
			t.Fatalf("%d, %v", v, err)
		}
		b.redis.SetError("")
		if info.Remaining <= 0 || info.Remaining > d {
			t.Errorf("%v remain, want some, but at most the bound", info.Remaining)
		}
		pass(d - time.Second)
		wants(t, r, "k", &source[int]{}, 7, tiered.SourceL1)
		pass(time.Second + 1)
		if _, err := r.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("%v after the bound, want ErrNotFound", err)
		}
	})
}

// A primary that has lost its replicas refuses writes and answers reads. It may
// have been replaced, so what it has counts for the bound and no longer: neither
// from L1 nor from there is anything older served. Nobody waits for it meanwhile.
func TestRedisThatRefusesWritesIsNotReadFromAfterTheBound(t *testing.T) {
	t.Parallel()
	f := newFleetWith(t, 2, tiered.Options{MaxStaleness: bound, L2Timeout: 2 * patience})
	m, other := f.members[0], f.members[1]
	var keys []string
	for i := range 300 {
		keys = append(keys, fmt.Sprint("k", i))
		f.origin.commit(keys[i])
		other.get(t, keys[i])
	}
	m.warm(t, keys[0])
	admin := f.server.Client(t)
	for _, k := range keys { // and their Deletes go to another primary
		f.origin.commit(k)
	}
	if err := admin.ConfigSet(t.Context(), "min-replicas-to-write", "1").Err(); err != nil {
		t.Fatal(err)
	}
	refuses := time.Now()
	old := 0
	for i := 1; time.Since(refuses) < 3*bound && !t.Failed(); i++ {
		// Each is read for the first time at some moment, and then again and again.
		for _, k := range keys[:min(i, len(keys))] {
			begin := time.Now()
			within(t, "a read", func() {
				if m.get(t, k) != 2 {
					old++
					if begin.Sub(refuses) > bound {
						t.Errorf("a read that began %v after the primary had refused writes returned version 1", begin.Sub(refuses))
					}
				}
			})
		}
	}
	if old == 0 {
		t.Error("no read has returned the older version: nothing was tested")
	}
	within(t, "Get", func() {
		if _, err := m.items.Get(t.Context(), keys[0], tiered.BypassL1()); !errors.Is(err, tiered.ErrUnavailable) {
			t.Errorf("Get: %v, want ErrUnavailable", err)
		}
	})
	if err := admin.ConfigSet(t.Context(), "min-replicas-to-write", "0").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is read from again", func() bool {
		_, err := m.items.Get(t.Context(), keys[0], tiered.BypassL1())
		return err == nil
	})
}
