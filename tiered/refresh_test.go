package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// From the given share of the life on a hit starts one load in the background,
// for which it does not wait.
func TestRefreshAhead(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				r := region(t, b.node(t), tiered.Config[string]{Name: "items", Mode: mode, TTL: 10 * time.Minute, RefreshAhead: 0.5, Jitter: -1})
				f := &flaky{source: source[string]{value: "1"}}
				f.is(t, r, "1", false)
				pass(5*time.Minute - 2*near)
				f.is(t, r, "1", false)
				f.reads(t, 1)
				f.value = "2"
				f.slow.Store(int64(time.Second))
				pass(4 * near)
				if _, err := r.Get(t.Context(), "k"); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				f.reads(t, 0) // it has nothing to load with
				began := time.Now()
				for range 10 {
					f.is(t, r, "1", false)
				}
				if took := time.Since(began); took != 0 {
					t.Errorf("readers waited for %v", took)
				}
				pass(2 * time.Second)
				f.is(t, r, "2", false)
				f.reads(t, 1)
				if s := r.Stats(); s.Refreshes != 1 || s.Loads != 2 {
					t.Errorf("%d refreshes, %d loads, want 1 and 2", s.Refreshes, s.Loads)
				}
				// It has a whole life before it.
				pass(5*time.Minute - 3*time.Second)
				f.is(t, r, "2", false)
				pass(2 * time.Second)
				f.reads(t, 0)
				pass(2 * time.Second)
				f.is(t, r, "2", false)
				pass(2 * time.Second)
				f.reads(t, 1)
			})
		})
	}
}

// What has failed is not tried again before the throttle; the value lives on.
func TestRefreshThatFails(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				r := region(t, b.node(t), tiered.Config[string]{Name: "items", Mode: mode, TTL: 10 * time.Minute, RefreshAhead: 0.5, Jitter: -1})
				f := &flaky{source: source[string]{value: "1"}}
				f.is(t, r, "1", false)
				f.down.Store(true)
				pass(6 * time.Minute)
				f.reads(t, 1)
				for range 10 {
					f.is(t, r, "1", false)
					synctest.Wait()
				}
				f.reads(t, 1)
				pass(tiered.RefreshThrottle - near)
				f.is(t, r, "1", false)
				synctest.Wait()
				f.reads(t, 0)
				pass(2 * near)
				f.is(t, r, "1", false)
				synctest.Wait()
				f.reads(t, 1)
				pass(4*time.Minute - tiered.RefreshThrottle)
				f.fails(t, r)
			})
		})
	}
}

// All instances hit the value when it is due: one of them loads it, and all get
// the new one. Also where it is too large for L1.
func TestRefreshOnceInTheFleet(t *testing.T) {
	for name, change := range map[string]func(*tiered.Config[string]){
		"both tiers": func(*tiered.Config[string]) {},
		"L2 only":    func(c *tiered.Config[string]) { c.Mode = tiered.L2Only },
		"too large":  func(c *tiered.Config[string]) { c.Size = func(string) int64 { return math.MaxInt32 } },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				cfg := tiered.Config[string]{Name: "items", TTL: 10 * time.Minute, RefreshAhead: 0.5, Jitter: -1}
				change(&cfg)
				rs := regions(t, []*tiered.Node{b.node(t), b.node(t), b.node(t)}, cfg)
				f := &flaky{source: source[string]{value: "1"}}
				for _, r := range rs {
					f.is(t, r, "1", false)
					f.is(t, r, "1", false)
				}
				f.reads(t, 1)
				f.value = "2"
				f.slow.Store(int64(time.Second))
				pass(6 * time.Minute)
				var wg sync.WaitGroup
				for _, r := range rs {
					for range 5 {
						wg.Go(func() { f.is(t, r, "1", false) })
					}
				}
				wg.Wait()
				pass(2 * time.Second)
				for _, r := range rs {
					f.is(t, r, "2", false)
				}
				f.reads(t, 1)
			})
		})
	}
}

// A Delete during a refresh wins.
func TestDeleteDuringARefresh(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			f := newFleetWith(t, 2, tiered.Options{MaxStaleness: bound, L2Timeout: patience}, func(c *tiered.Config[int]) {
				c.Mode, c.RefreshAhead = mode, 1e-9
			})
			a, b := f.members[0], f.members[1]
			f.origin.commit("k")
			a.get(t, "k")
			h := f.origin.holdNext()
			eventually(t, "a refresh is under way", func() bool {
				a.get(t, "k")
				select {
				case <-h.read:
					return true
				default:
					return false
				}
			})
			want := f.origin.commit("k")
			heard := a.Stats().Received
			if err := b.items.Delete(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the Delete is heard", func() bool { return a.Stats().Received > heard })
			if mode == tiered.L1Only {
				close(h.release) // a miss joins the load, and loads again when that has ended
			}
			if v := a.get(t, "k"); v != want {
				t.Errorf("version %d after the Delete was heard, want %d", v, want)
			}
			if mode != tiered.L1Only {
				close(h.release)
			}
			eventually(t, "the refresh has ended", func() bool { return f.origin.now.Load() == 0 })
			for range 100 {
				if v := a.get(t, "k") + b.get(t, "k"); v != 2*want {
					t.Fatalf("versions %d after a refresh from before the Delete has ended, want twice %d", v, want)
				}
			}
		})
	}
}

// G1a, G1b and G3 hold while everything is loaded anew all the time.
func TestGuaranteesWithRefreshAhead(t *testing.T) {
	guaranteesHold(t, func(c *tiered.Config[int]) {
		c.TTL, c.RefreshAhead, c.StaleFor = 200*time.Millisecond, 0.01, time.Second
	}, func(s tiered.RegionStats) bool { return s.Refreshes > 0 })
}

// Loads ahead of time are bounded in number.
func TestRefreshesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := region(t, local(t), tiered.Config[int]{Name: "items", TTL: time.Hour, RefreshAhead: 0.5, Jitter: -1})
		s := &source[int]{value: 1}
		const keys = 500
		for i := range keys {
			if _, err := r.GetOrLoad(t.Context(), fmt.Sprint(i), s.load); err != nil {
				t.Fatal(err)
			}
		}
		pass(31 * time.Minute)
		var running, most atomic.Int64
		slow := func(context.Context, string) (int, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(time.Second) //nolint:forbidigo // moves the bubble's clock
			return 2, nil
		}
		for i := range keys {
			if v, err := r.GetOrLoad(t.Context(), fmt.Sprint(i), slow); v != 1 || err != nil {
				t.Fatal(v, err)
			}
		}
		synctest.Wait()
		if n := running.Load(); n < 2 || n > 100 {
			t.Errorf("%d loads at once, want several, and not as many as there are keys", n)
		}
		pass(2 * time.Second)
		if s := r.Stats(); s.Refreshes != uint64(most.Load()) {
			t.Errorf("%d refreshes, want %d", s.Refreshes, most.Load())
		}
	})
}

func TestRefreshAheadConfig(t *testing.T) {
	for _, share := range []float64{-0.1, 1, 1.5, math.NaN(), math.Inf(1)} {
		if _, err := tiered.New(local(t), tiered.Config[int]{Name: "items", RefreshAhead: share}); err == nil || !strings.Contains(err.Error(), "RefreshAhead") {
			t.Errorf("%v: %v, want an error that names it", share, err)
		}
	}
}

// Refresh loads anew, waits for it, and leaves what it could not load.
func TestExplicitRefresh(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		rs := regions(t, instances(t, b, 2), tiered.Config[string]{Name: "items"})
		s := &source[string]{value: "1"}
		keys := make([]string, 20)
		for i := range keys {
			keys[i] = fmt.Sprint("k", i)
			wants(t, rs[1], keys[i], s, "1", tiered.SourceLoad)
		}
		load := func(_ context.Context, key string) (string, error) {
			switch key {
			case "k3":
				return "", errDown
			case "k4":
				return "", tiered.ErrNotFound
			}
			return "2", nil
		}
		err := rs[0].Refresh(t.Context(), load, keys...)
		if !errors.Is(err, errDown) || !strings.Contains(err.Error(), "k3") || strings.Contains(err.Error(), "k4") {
			t.Errorf("Refresh: %v, want the error of k3 alone", err)
		}
		for _, key := range keys {
			want := "2"
			switch key {
			case "k3":
				want = "1"
			case "k4":
				want = ""
			}
			eventually(t, "the other instance has heard of it", func() bool {
				v, _ := rs[1].Get(t.Context(), key)
				return v == want
			})
		}
		bound := tiered.Bind(rs[1], func(i int) string { return keys[i] }, func(context.Context, int) (string, error) { return "3", nil })
		if err := bound.Refresh(t.Context(), 0, 3); err != nil {
			t.Error(err)
		}
		for _, key := range []string{"k0", "k3"} {
			if v, err := rs[1].Get(t.Context(), key); v != "3" || err != nil {
				t.Errorf("%s is %q, %v", key, v, err)
			}
		}
		var none *tiered.Region[string]
		if err := none.Refresh(t.Context(), load, "k"); err == nil {
			t.Error("no error of a nil region")
		}
	})
}

// Neither a hit that is not due yet, nor one that is and has been attended to,
// allocates anything.
func TestHitOfARefreshedRegionAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations are counted without the race detector, which allocates itself")
	}
	for _, share := range []float64{0.99, 1e-9} {
		r := region(t, local(t), tiered.Config[int]{Name: "items", RefreshAhead: share, StaleFor: time.Hour, TTL: time.Hour})
		down := func(context.Context, string) (int, error) { return 0, errDown }
		up := func(context.Context, string) (int, error) { return 1000, nil }
		ctx := t.Context()
		if _, err := r.GetOrLoad(ctx, "k", up); err != nil {
			t.Fatal(err)
		}
		settles(t, r, "k")
		_, _ = r.GetOrLoad(ctx, "k", down) // starts the refresh, if it is due
		eventually(t, "the refresh has failed", func() bool { return share > 0.5 || r.Stats().LoadErrors == 1 })
		if n := testing.AllocsPerRun(1000, func() { _, _ = r.GetOrLoad(ctx, "k", down) }); n != 0 {
			t.Errorf("share %v: %v allocations for each hit", share, n)
		}
	}
}

// What a load ahead of time brings is in no tier unless Redis has taken it: what
// it was to replace is still there, and is read again.
func TestRefreshWhoseFillIsLostDoesNotGoBack(t *testing.T) {
	const life, share = 10 * time.Second, 0.02
	f := newFleet(t, 1, func(c *tiered.Config[int]) {
		c.TTL, c.RefreshAhead = life, share
	})
	a := f.members[0]
	f.origin.commit("warm")
	a.warm(t, "warm") // Redis knows the scripts
	f.origin.commit("k")
	a.warm(t, "k")
	f.origin.commit("k") // and nobody says so
	var info tiered.Info
	eventually(t, "a refresh is due", func() bool {
		if _, err := a.items.Get(t.Context(), "k", tiered.WithInfo(&info)); err != nil {
			t.Error(err)
		}
		return info.Remaining < life-life/40
	})
	var struck atomic.Int64
	h := a.proxy.Hold(step("k", 2, &struck)) // get-or-lease, then the fill
	a.get(t, "k")
	h.Wait(t)
	h.CutClient()
	end := time.Now().Add(3 * bound)
	last := 0
	eventually(t, "some bounds have passed", func() bool {
		v, err := a.items.Get(t.Context(), "k", tiered.WithInfo(&info))
		if err == nil && v < last {
			t.Fatalf("went back from %d to %d (from %v)", last, v, info.Source)
		}
		if err == nil {
			last = v
		}
		return time.Now().After(end)
	})
	if last == 0 || struck.Load() == 0 {
		t.Errorf("last read %d, %d fills were lost", last, struck.Load())
	}
}

// The pause goes by the value's life, not by that of a copy which L1TTL ends earlier.
func TestRefreshThrottleWithL1TTL(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[string]{Name: "items", TTL: 10 * time.Minute, L1TTL: 2 * time.Second, RefreshAhead: 0.5, Jitter: -1})
		f := &flaky{source: source[string]{value: "1"}}
		f.is(t, r, "1", false)
		pass(6 * time.Minute)
		f.down.Store(true)
		f.reads(t, 1)
		for range 6000 { // a minute
			f.is(t, r, "1", false)
			pass(10 * time.Millisecond)
		}
		if n := f.calls.Load(); n < 5 || n > 13 {
			t.Errorf("%d loads in a minute, want one in %v", n, tiered.RefreshThrottle)
		}
	})
}

// Where L1 is the only tier, L1TTL ends the value's life, and the share is of that. It
// counts from when the load began, as the life does.
func TestRefreshAheadWhereL1TTLEndsTheLife(t *testing.T) {
	for name, node := range map[string]func(*testing.T, *bubble) *tiered.Node{
		"shared": func(t *testing.T, b *bubble) *tiered.Node { return b.node(t) },
		"local":  func(t *testing.T, _ *bubble) *tiered.Node { return local(t) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				r := region(t, node(t, b), tiered.Config[string]{
					Name: "items", Mode: tiered.L1Only, TTL: time.Hour, L1TTL: 10 * time.Minute, RefreshAhead: 0.8, LoadTimeout: time.Hour, Jitter: -1,
				})
				f := &flaky{source: source[string]{value: "1"}}
				f.slow.Store(int64(2 * time.Minute))
				f.is(t, r, "1", false)
				f.reads(t, 1)
				f.slow.Store(0)
				f.value = "2"
				pass(6*time.Minute - near)
				f.is(t, r, "1", false)
				synctest.Wait()
				f.reads(t, 0)
				pass(2 * near)
				f.is(t, r, "1", false)
				synctest.Wait()
				f.reads(t, 1)
				f.is(t, r, "2", false)
				pass(8 * time.Minute)
				f.down.Store(true) // from now on: the pause is of what is left, two minutes
				for range 120 {
					f.is(t, r, "2", false)
					pass(time.Second - near)
				}
				if n := f.calls.Swap(0); n < 20 || n > 40 {
					t.Errorf("%d loads in two minutes, want one in %v", n, tiered.RefreshThrottle)
				}
			})
		})
	}
}

// A Get keeps a sliding value, and leaves the load ahead of time to a call that has
// something to load with.
func TestRefreshOfASlidingValueThatIsRead(t *testing.T) {
	for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L1Only} {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				r := region(t, b.node(t), tiered.Config[string]{Name: "items", Mode: mode, TTL: time.Hour, SlidingTTL: 8 * time.Minute, RefreshAhead: 0.5, Jitter: -1})
				f := &flaky{source: source[string]{value: "1"}}
				f.is(t, r, "1", false)
				get := func() {
					t.Helper()
					if _, err := r.Get(t.Context(), "k"); err != nil {
						t.Fatal(err)
					}
				}
				for range 50 { // for 50 minutes it is kept by Gets alone
					pass(time.Minute)
					get()
				}
				f.reads(t, 1)
				f.is(t, r, "1", false)
				synctest.Wait()
				f.reads(t, 1)
				if n := r.Stats().Refreshes; n != 1 {
					t.Errorf("%d refreshes, want 1", n)
				}
			})
		})
	}
}

// A sliding value that was to be loaded ahead of time longer ago than SlidingTTL is read
// from Redis once, also where nobody has loaded it yet.
func TestASlidingValueWhoseRefreshIsOverdue(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		cfg := tiered.Config[string]{Name: "items", TTL: time.Hour, SlidingTTL: 4 * time.Minute, RefreshAhead: 0.5, StaleFor: 30 * time.Minute, Jitter: -1}
		rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, cfg)
		f := &flaky{source: source[string]{value: "v"}}
		f.is(t, rs[0], "v", false)
		for range 50 { // read by Gets alone
			pass(time.Minute)
			if _, err := rs[0].Get(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 {
			if v, err := rs[1].Get(t.Context(), "k"); v != "v" || err != nil {
				t.Fatal(v, err)
			}
			pass(near)
		}
		if n := rs[1].Stats().L2Hits; n != 1 {
			t.Errorf("%d reads from Redis, want 1", n)
		}
	})
}
