package tiered_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// An instance with another number of partitions than those that live would not
// hear them. It is never ready, says so, and uses neither tier.
func TestLayoutConflict(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		const d = 4 * time.Second
		var log logs
		first := b.node(t, func(o *tiered.Options) { o.MaxStaleness = d })
		old := region(t, first, tiered.Config[int]{Name: "items"})
		s := &source[int]{value: 7}
		wants(t, old, "k", s, 7, tiered.SourceLoad)

		n := open(t, tiered.Options{Redis: b.client(t), MaxStaleness: d, Partitions: 3, Logger: log.logger()})
		began := time.Now()
		err := n.Ready(t.Context())
		if took := time.Since(began); took > time.Second {
			t.Errorf("Ready took %v", took)
		}
		if err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Ready: %v", err)
		}
		for _, want := range []string{`"1.2"`, `"1.3"`, "partitions", "test:layout"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("Ready: %q does not say %s", err, want)
			}
		}
		r := region(t, n, tiered.Config[int]{Name: "items"})
		s.reads(t, 1)
		for range 5 {
			if info := wants(t, r, "k", s, 7, tiered.SourceLoad); info.Remaining != 0 {
				t.Errorf("a value is kept for %v", info.Remaining)
			}
			pass(d)
		}
		s.reads(t, 5)
		if _, err := r.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrUnavailable) {
			t.Errorf("Get: %v, want ErrUnavailable", err)
		}
		// The others cannot hear it: nil would be a promise that nobody keeps.
		if err := r.Delete(t.Context(), "k"); !errors.Is(err, tiered.ErrUnavailable) {
			t.Errorf("Delete: %v, want ErrUnavailable", err)
		}
		if err := r.Set(t.Context(), "k", 8); !errors.Is(err, tiered.ErrUnavailable) {
			t.Errorf("Set: %v, want ErrUnavailable", err)
		}
		err = r.Mutate(t.Context(), []string{"k"}, func(context.Context) error {
			t.Error("Mutate writes, though its tombstones would be where nobody looks")
			return nil
		})
		if !errors.Is(err, tiered.ErrUnavailable) {
			t.Errorf("Mutate: %v, want ErrUnavailable", err)
		}
		if s := n.Stats(); s.L1.Entries != 0 || !s.Degraded || !strings.Contains(s.DegradedReason, "1.2") {
			t.Errorf("%+v", s)
		}
		if got := log.lines("level=ERROR", "layout"); len(got) != 1 {
			t.Errorf("logged %d times, want once: %q", len(got), got)
		}
		wants(t, old, "k", s, 7, tiered.SourceL1) // who was first goes on
		if s := first.Stats(); s.Degraded {
			t.Errorf("the first instance is degraded: %s", s.DegradedReason)
		}

		// The layout is free again a while after the last one that used it.
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		pass(3 * time.Minute)
		ready(t, n)
		s.reads(t, 0)
		wants(t, r, "k", s, 7, tiered.SourceLoad)
		pass(time.Second)
		wants(t, r, "k", s, 7, tiered.SourceL1)
		if s := n.Stats(); s.Degraded || s.PendingRetries != 0 {
			t.Errorf("after the conflict: %+v", s)
		}
	})
}

// The same against a real server, and the other way round: who has more
// partitions is no better.
func TestLayoutConflictOnARealServer(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		for _, partitions := range [][2]int{{1, 256}, {256, 1}, {32, 31}} {
			prefix := redistest.Prefix(t)
			instances(t, b, 1, func(o *tiered.Options) { o.Prefix, o.Partitions = prefix, partitions[0] })
			n := open(t, tiered.Options{Redis: b.Client(t), Prefix: prefix, Partitions: partitions[1], L2Timeout: patience})
			if err := n.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "layout") {
				t.Errorf("%d partitions beside %d: %v", partitions[1], partitions[0], err)
			}
		}
	})
}
