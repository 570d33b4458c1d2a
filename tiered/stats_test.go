package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// counts are the counters of a region, without its histograms.
type counts struct {
	l1Hits, l1Misses, l2Hits, l2Misses, negativeHits              uint64
	loads, loadErrors, leaseWaits, fillsRejected, reloads         uint64
	foreign, undecodable, encodeErrors, l2Calls, loadCallsMeasure uint64
}

func countsOf(r interface{ Stats() tiered.RegionStats }) counts {
	s := r.Stats()
	return counts{
		s.L1Hits, s.L1Misses, s.L2Hits, s.L2Misses, s.NegativeHits,
		s.Loads, s.LoadErrors, s.LeaseWaits, s.FillsRejected, s.Reloads,
		s.Foreign, s.Undecodable, s.EncodeErrors, s.L2Latency.Count, s.LoadLatency.Count,
	}
}

// Each counter counts what it says, and nothing else counts it: every step
// says what it adds.
func TestRegionStatsCountEachStep(t *testing.T) {
	type step struct {
		name string
		do   func(t *testing.T, r, other *tiered.Region[int]) error
		adds counts
	}
	seven, missing, broken := &source[int]{value: 7}, &source[int]{err: tiered.ErrNotFound}, &source[int]{err: errors.New("broken")}
	get := func(key string, opts ...tiered.Option) func(*testing.T, *tiered.Region[int], *tiered.Region[int]) error {
		return func(t *testing.T, r, _ *tiered.Region[int]) error {
			t.Helper()
			_, err := r.Get(t.Context(), key, opts...)
			return err
		}
	}
	load := func(key string, s *source[int], opts ...tiered.Option) func(*testing.T, *tiered.Region[int], *tiered.Region[int]) error {
		return func(t *testing.T, r, _ *tiered.Region[int]) error {
			t.Helper()
			_, err := r.GetOrLoad(t.Context(), key, s.load, opts...)
			return err
		}
	}
	elsewhere := func(key string, s *source[int]) func(*testing.T, *tiered.Region[int], *tiered.Region[int]) error {
		return func(t *testing.T, _, other *tiered.Region[int]) error {
			t.Helper()
			_, err := other.GetOrLoad(t.Context(), key, s.load)
			return err
		}
	}
	var info tiered.Info
	steps := []step{
		{"Get of nothing", get("a"), counts{l1Misses: 1, l2Misses: 1, l2Calls: 1}},
		{"a load", load("a", seven), counts{l1Misses: 1, l2Misses: 1, l2Calls: 3, loads: 1, loadCallsMeasure: 1}},
		{"an L1 hit", load("a", seven), counts{l1Hits: 1}},
		{"an L1 hit of Get", get("a"), counts{l1Hits: 1}},
		{"an L1 hit with options", load("a", seven, tiered.WithInfo(&info)), counts{l1Hits: 1}},
		{"past L1", get("a", tiered.BypassL1()), counts{l2Hits: 1, l2Calls: 1}},
		{"a forced load", load("a", seven, tiered.ForceLoad()), counts{l2Calls: 3, loads: 1, loadCallsMeasure: 1}},
		{"a load elsewhere", elsewhere("b", seven), counts{}},
		{"an L2 hit", load("b", seven), counts{l1Misses: 1, l2Hits: 1, l2Calls: 1}},
		{"a load that fails", load("c", broken), counts{l1Misses: 1, l2Misses: 1, l2Calls: 2, loads: 1, loadErrors: 1, loadCallsMeasure: 1}},
		{"a load that finds nothing", load("d", missing), counts{l1Misses: 1, l2Misses: 1, l2Calls: 3, loads: 1, loadCallsMeasure: 1}},
		{"a negative L1 hit", load("d", missing), counts{l1Hits: 1, negativeHits: 1}},
		{"a negative L1 hit with options", get("d", tiered.WithInfo(&info)), counts{l1Hits: 1, negativeHits: 1}},
		{"a negative L2 hit", get("d", tiered.BypassL1()), counts{l2Hits: 1, negativeHits: 1, l2Calls: 1}},
		{"Set", func(t *testing.T, r, _ *tiered.Region[int]) error { t.Helper(); return r.Set(t.Context(), "e", 7) }, counts{l2Calls: 2}},
		{"Delete", func(t *testing.T, r, _ *tiered.Region[int]) error { t.Helper(); return r.Delete(t.Context(), "e") }, counts{}},
		{"a key that is invalid", get(""), counts{l1Misses: 1}},
		{"an option that is invalid", load("a", seven, tiered.WithTTL(0)), counts{}},
	}
	inBubble(t, func(t *testing.T, b *bubble) {
		rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, tiered.Config[int]{Name: "items"})
		for _, s := range steps {
			before := countsOf(rs[0])
			_ = s.do(t, rs[0], rs[1]) // what they return is tested elsewhere
			synctest.Wait()
			got, want := countsOf(rs[0]), sum(before, s.adds)
			if got != want {
				t.Errorf("%s:\ncounted %+v\nwant    %+v", s.name, got, want)
			}
		}
	})
}

func sum(a, b counts) counts {
	return counts{
		a.l1Hits + b.l1Hits, a.l1Misses + b.l1Misses, a.l2Hits + b.l2Hits, a.l2Misses + b.l2Misses, a.negativeHits + b.negativeHits,
		a.loads + b.loads, a.loadErrors + b.loadErrors, a.leaseWaits + b.leaseWaits, a.fillsRejected + b.fillsRejected, a.reloads + b.reloads,
		a.foreign + b.foreign, a.undecodable + b.undecodable, a.encodeErrors + b.encodeErrors, a.l2Calls + b.l2Calls, a.loadCallsMeasure + b.loadCallsMeasure,
	}
}

// LeaseWaits, FillsRejected and Reloads, which take two instances or two
// callers to come about.
func TestRegionStatsOfContention(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, tiered.Config[int]{Name: "items"})
		var wg sync.WaitGroup
		release := make(chan struct{})
		held := func(_ context.Context, _ string) (int, error) { <-release; return 7, nil }
		wg.Go(func() { _, _ = rs[0].GetOrLoad(t.Context(), "k", held) })
		synctest.Wait()
		wg.Go(func() { _, _ = rs[1].GetOrLoad(t.Context(), "k", held) })
		synctest.Wait()
		pass(time.Second) // it looks many times, and counts once
		if got := rs[1].Stats(); got.LeaseWaits != 1 || got.Loads != 0 {
			t.Errorf("while it waits: %d lease waits, %d loads, want 1 and 0", got.LeaseWaits, got.Loads)
		}
		close(release)
		wg.Wait()
		if got := rs[1].Stats(); got.LeaseWaits != 1 || got.Loads != 0 || got.L2Hits != 0 && got.L2Hits != 1 {
			t.Errorf("after it: %+v", got)
		}

		// A load that began before a Delete on its own instance: Redis rejects the
		// fill, and the caller loads again.
		loads := 0
		_, err := rs[0].GetOrLoad(t.Context(), "late", func(ctx context.Context, _ string) (int, error) {
			if loads++; loads == 1 {
				if err := rs[0].Delete(ctx, "late"); err != nil {
					t.Error(err)
				}
			}
			return loads, nil
		})
		if err != nil || loads != 2 {
			t.Errorf("%d loads, %v; want 2", loads, err)
		}
		if got := rs[0].Stats(); got.FillsRejected != 1 || got.Reloads != 1 || got.LeaseWaits != 0 {
			t.Errorf("%d fills rejected, %d reloads, %d lease waits; want 1, 1, 0", got.FillsRejected, got.Reloads, got.LeaseWaits)
		}
		if v, err := rs[1].Get(t.Context(), "late"); v != 2 || err != nil {
			t.Errorf("cached: %d, %v; want what was loaded after the Delete", v, err)
		}
	})
}

// Histograms measure the operations, not their callers.
func TestLatencies(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[int]{Name: "items"})
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				_, _ = r.GetOrLoad(t.Context(), "k", func(context.Context, string) (int, error) { pass(time.Second); return 7, nil })
			})
		}
		wg.Wait()
		s := r.Stats()
		if s.LoadLatency.Count != 1 || s.LoadLatency.Sum != time.Second {
			t.Errorf("%d loads took %v, want one of 1s", s.LoadLatency.Count, s.LoadLatency.Sum)
		}
		// A look, a lease, a fill; and a second look if a flight has begun beside
		// the first caller's.
		if n := s.L2Latency.Count; n < 3 || n > 4 || s.L2Latency.Sum != 0 {
			t.Errorf("%d calls to Redis took %v, want 3 or 4 that took no time in the bubble", n, s.L2Latency.Sum)
		}
	})
}

// The node's part.
func TestNodeStats(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		nodes := instances(t, b, 2, func(o *tiered.Options) { o.L1MaxBytes = 1 << 20 })
		rs := regions(t, nodes, tiered.Config[int]{Name: "items"})
		if s := nodes[0].Stats(); s.Sent != 0 || s.Received != 0 || s.PendingRetries != 0 || s.Gaps != 0 {
			t.Errorf("at the start: %+v", s)
		}
		const keys = 10
		for i := range keys {
			if err := rs[0].Delete(t.Context(), fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := rs[0].Set(t.Context(), "k", 7); err != nil {
			t.Fatal(err)
		}
		for i, n := range nodes {
			eventually(t, fmt.Sprintf("instance %d has heard all", i), func() bool { return n.Stats().Received == keys+1 })
			s := n.Stats()
			if s.Lag.Count != keys+1 {
				t.Errorf("instance %d: %d lags are measured, want %d", i, s.Lag.Count, keys+1)
			}
			if want := uint64(keys+1) * uint64(1-i); s.Sent != want {
				t.Errorf("instance %d has sent %d, want %d", i, s.Sent, want)
			}
			if s.Degraded || s.DegradedReason != "" || s.Gaps != 0 || s.PendingRetries != 0 || s.RetryOverflows != 0 || s.Resubscriptions != 0 {
				t.Errorf("instance %d, with nothing wrong: %+v", i, s)
			}
			if s.LeaseAge < 0 {
				t.Errorf("instance %d: lease age %v", i, s.LeaseAge)
			}
		}
		eventually(t, "the value of Set is in L1", func() bool { return nodes[0].Stats().L1.Entries == 1 })
		if s := nodes[0].Stats().L1; s.Bytes <= 0 || s.MaxBytes != 1<<20 || s.Evictions != 0 || s.Rejected != 0 {
			t.Errorf("L1: %+v", s)
		}
		s := nodes[0].Stats()
		if len(s.Regions) != 1 || s.Regions["items"].L2Latency.Count == 0 {
			t.Errorf("regions: %+v", s.Regions)
		}
	})
}

// L1 never grows beyond its bound for long, and says what it has thrown out.
func TestL1StatsOfASmallCache(t *testing.T) {
	const maxBytes, value, entries = 64 << 10, 1 << 10, 500
	n := open(t, tiered.Options{Local: true, L1MaxBytes: maxBytes})
	r := region(t, n, tiered.Config[[]byte]{Name: "items", MaxL1Bytes: maxBytes})
	s := &source[[]byte]{value: make([]byte, value)}
	for i := range entries {
		if _, _, err := read(t, r, fmt.Sprint(i), s); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all puts have been applied", func() bool {
		l1 := n.Stats().L1
		return l1.Entries+int64(l1.Evictions+l1.Rejected) == entries
	})
	if l1 := n.Stats().L1; l1.Bytes > maxBytes+maxBytes/16 || l1.Entries == 0 || l1.Entries > maxBytes/value {
		t.Errorf("%+v", l1)
	}
}

func TestStatsOfALocalNode(t *testing.T) {
	n := local(t)
	r := region(t, n, tiered.Config[int]{Name: "items"})
	wants(t, r, "k", &source[int]{value: 7}, 7, tiered.SourceLoad)
	s := n.Stats()
	if s.Degraded || s.Sent != 0 || s.LeaseAge != 0 || s.L1.Entries != 1 || s.Regions["items"].Loads != 1 || s.Regions["items"].L2Misses != 0 {
		t.Errorf("%+v", s)
	}
}
