package tiered_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

var errDown = errors.New("the origin is down")

// flaky is an origin that can be switched off and slowed down.
type flaky struct {
	source[string]
	down atomic.Bool
	slow atomic.Int64 // how long a load takes
}

func (f *flaky) load(ctx context.Context, _ string) (string, error) {
	f.calls.Add(1)
	if d := time.Duration(f.slow.Load()); d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	if f.down.Load() {
		return "", errDown
	}
	return f.value, f.err
}

// is fails the test unless one GetOrLoad gives the value, stale or not.
func (f *flaky) is(t *testing.T, r *tiered.Region[string], want string, stale bool, opts ...tiered.Option) tiered.Info {
	t.Helper()
	var info tiered.Info
	got, err := r.GetOrLoad(t.Context(), "k", f.load, append(opts, tiered.WithInfo(&info))...)
	if err != nil || got != want || info.Stale != stale {
		t.Errorf("GetOrLoad = %q, %v, stale %v from %v; want %q, stale %v", got, err, info.Stale, info.Source, want, stale)
	}
	return info
}

// fails fails the test unless GetOrLoad returns the origin's error.
func (f *flaky) fails(t *testing.T, r *tiered.Region[string], opts ...tiered.Option) {
	t.Helper()
	if got, err := r.GetOrLoad(t.Context(), "k", f.load, opts...); !errors.Is(err, errDown) {
		t.Errorf("GetOrLoad = %q, %v; want the origin's error", got, err)
	}
}

// When the load fails, the old value is served, in every mode, without a load
// more than once per throttle, until StaleFor is over.
func TestStaleIfError(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				r := region(t, b.node(t), tiered.Config[string]{
					Name: "items", Mode: mode, TTL: time.Minute, StaleFor: time.Hour, Jitter: -1,
				})
				f := &flaky{source: source[string]{value: "old"}}
				f.is(t, r, "old", false)
				f.reads(t, 1)
				f.down.Store(true)
				pass(time.Minute + near)
				served := r.Stats().StaleServed
				for range 10 {
					if info := f.is(t, r, "old", true); info.Remaining != 0 {
						t.Errorf("%v remain of a life that is over", info.Remaining)
					}
				}
				f.reads(t, 1)
				if got := r.Stats().StaleServed - served; got != 10 {
					t.Errorf("StaleServed grew by %d, want 10", got)
				}
				pass(tiered.StaleThrottle)
				f.is(t, r, "old", true)
				f.is(t, r, "old", true)
				f.reads(t, 1)
				if _, err := r.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) {
					t.Errorf("Get: %v; without a load nothing has failed, want ErrNotFound", err)
				}
				// It comes back.
				f.value = "new"
				f.down.Store(false)
				pass(tiered.StaleThrottle)
				f.is(t, r, "new", false)
				f.reads(t, 1)
				f.down.Store(true)
				pass(time.Minute + time.Hour - near)
				f.is(t, r, "new", true)
				pass(2 * near)
				f.fails(t, r)
			})
		})
	}
}

// An instance that has no copy finds the old value in Redis, where it stays for
// StaleFor; negative entries do not stay.
func TestStaleFromRedis(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		cfg := tiered.Config[string]{Name: "items", TTL: time.Minute, StaleFor: time.Hour, NegativeTTL: time.Minute, Jitter: -1}
		rs := regions(t, []*tiered.Node{b.node(t), b.node(t), b.node(t)}, cfg)
		f := &flaky{source: source[string]{value: "old"}}
		f.is(t, rs[0], "old", false)
		if left := b.inRedis(t); left < time.Hour+time.Minute-near {
			t.Errorf("the value stays in Redis for %v, want its life and StaleFor", left)
		}
		pass(2 * time.Minute)
		f.down.Store(true)
		f.reads(t, 1)
		if info := f.is(t, rs[1], "old", true); info.Source != tiered.SourceL2 {
			t.Errorf("from %v, want L2", info.Source)
		}
		f.is(t, rs[1], "old", true, tiered.BypassL1())
		f.fails(t, rs[1], tiered.ForceLoad())
		// An absence that is over is not known any more.
		f.down.Store(false)
		f.err = tiered.ErrNotFound
		if _, err := rs[0].GetOrLoad(t.Context(), "k", f.load); !errors.Is(err, tiered.ErrAbsent) {
			t.Fatal(err)
		}
		f.down.Store(true)
		pass(time.Minute + near)
		for _, r := range rs {
			f.fails(t, r)
		}
	})
}

// With SoftTimeout a call waits no longer than that where there is a stale value;
// the load goes on, and what it brings is stored.
func TestSoftTimeout(t *testing.T) {
	const soft = 100 * time.Millisecond
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				r := region(t, b.node(t), tiered.Config[string]{
					Name: "items", Mode: mode, TTL: time.Minute, StaleFor: time.Hour, SoftTimeout: soft, Jitter: -1,
				})
				f := &flaky{source: source[string]{value: "old"}}
				f.slow.Store(int64(3 * time.Second))
				began := time.Now()
				f.is(t, r, "old", false) // there is nothing else to be served
				if took := time.Since(began); took != 3*time.Second {
					t.Errorf("the first load took %v, want 3s", took)
				}
				pass(time.Minute + near)
				f.reads(t, 1)
				f.value = "new"
				began = time.Now()
				var wg sync.WaitGroup
				for range 5 {
					wg.Go(func() {
						f.is(t, r, "old", true)
						if took := time.Since(began); took > soft+time.Second/100 {
							t.Errorf("a call waited for %v, want the soft timeout", took)
						}
					})
				}
				wg.Wait()
				// It is known to be slow now.
				began = time.Now()
				f.is(t, r, "old", true)
				if took := time.Since(began); took != 0 {
					t.Errorf("a later call waited for %v, want not at all", took)
				}
				pass(3 * time.Second)
				f.is(t, r, "new", false)
				f.reads(t, 1)
			})
		})
	}
}

// A deleted value is gone, not stale: in memory, in Redis, on other instances,
// and while Redis has not confirmed it.
func TestDeletedIsNotStale(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		for _, mode := range modes {
			cfg := tiered.Config[string]{Name: mode.String(), Mode: mode, TTL: time.Minute, StaleFor: time.Hour, SoftTimeout: time.Second, Jitter: -1}
			rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, cfg)
			f := &flaky{source: source[string]{value: "old"}}
			for _, r := range rs {
				f.is(t, r, "old", false)
			}
			pass(2 * time.Minute)
			f.down.Store(true)
			for _, r := range rs {
				f.is(t, r, "old", true)
			}
			if err := rs[0].Delete(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			for _, r := range rs {
				f.fails(t, r)
			}
			// Deleted while the load is under way, before the soft timeout.
			f.down.Store(false)
			pass(tiered.StaleThrottle)
			f.is(t, rs[0], "old", false)
			pass(2 * time.Minute)
			f.down.Store(true)
			f.slow.Store(int64(2 * time.Second))
			var wg sync.WaitGroup
			wg.Go(func() { f.fails(t, rs[0]) })
			pass(time.Second / 2)
			if err := rs[1].Delete(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			wg.Wait()
		}
	})
}

// What a newer value could not replace is not served after it: neither a value
// that may not be cached, nor an absence that is not remembered.
func TestStaleDoesNotGoBack(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				r := region(t, b.node(t), tiered.Config[string]{
					Name: "items", Mode: mode, TTL: time.Minute, StaleFor: time.Hour, NegativeTTL: -1, Jitter: -1,
					TTLFor: func(_ string, v string) time.Duration {
						if v == "not to be cached" {
							return -1
						}
						return 0
					},
				})
				for _, end := range []func(f *flaky){
					func(f *flaky) { f.value = "not to be cached" },
					func(f *flaky) { f.err = tiered.ErrNotFound },
				} {
					f := &flaky{source: source[string]{value: "old"}}
					f.is(t, r, "old", false)
					pass(2 * time.Minute)
					end(f)
					if got, err := r.GetOrLoad(t.Context(), "k", f.load); got != f.value && !errors.Is(err, tiered.ErrAbsent) {
						t.Errorf("GetOrLoad = %q, %v", got, err)
					}
					pass(near)
					f.down.Store(true)
					f.fails(t, r)
				}
			})
		})
	}
}

// Without Redis a copy may be served past its life for as long as the instance
// can vouch for it: for the bound.
func TestStaleWithoutRedis(t *testing.T) {
	f := newFleetWith(t, 2, tiered.Options{MaxStaleness: bound, L2Timeout: patience}, func(c *tiered.Config[int]) {
		c.TTL, c.StaleFor = 10*time.Millisecond, time.Hour
	})
	a, b := f.members[0], f.members[1]
	f.origin.commit("k")
	a.warm(t, "k")
	down := func(context.Context, string) (int, error) { return 0, errDown }
	eventually(t, "stale", func() bool {
		var info tiered.Info
		v, err := a.items.GetOrLoad(t.Context(), "k", down, tiered.WithInfo(&info))
		if err != nil || v != 1 {
			t.Fatalf("%v, %v", v, err)
		}
		return info.Stale
	})
	a.proxy.Refuse(true)
	cut := time.Now()
	f.origin.commit("k")
	if err := b.items.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	deleted := time.Now()
	for {
		begin := time.Now()
		_, err := a.items.GetOrLoad(t.Context(), "k", down)
		if err == nil && begin.Sub(deleted) > bound {
			t.Fatalf("served %v after the Delete, %v after Redis was lost", begin.Sub(deleted), begin.Sub(cut))
		}
		if errors.Is(err, errDown) && begin.Sub(deleted) > bound {
			break
		}
	}
	a.proxy.Refuse(false)
}

// An invalidation that Redis has not confirmed counts at once where it was made.
func TestStaleWhilePending(t *testing.T) {
	f := newFleetWith(t, 1, tiered.Options{MaxStaleness: bound}, func(c *tiered.Config[int]) {
		c.TTL, c.StaleFor = 10*time.Millisecond, time.Hour
	})
	a := f.members[0]
	f.origin.commit("k")
	a.get(t, "k")
	down := func(context.Context, string) (int, error) { return 0, errDown }
	a.proxy.BlackHole(true)
	var pending *tiered.PendingError
	if err := a.items.Delete(t.Context(), "k"); !errors.As(err, &pending) {
		t.Fatalf("Delete: %v, want a PendingError", err)
	}
	if v, err := a.items.GetOrLoad(t.Context(), "k", down); err == nil {
		t.Errorf("%d was served while its invalidation was pending", v)
	}
	a.proxy.BlackHole(false)
	eventually(t, "confirmed", func() bool { return a.Stats().PendingRetries == 0 })
	if v, err := a.items.GetOrLoad(t.Context(), "k", down); err == nil {
		t.Errorf("%d was served after its invalidation", v)
	}
}

// G1a, G1b and G3 hold for what is served stale: an origin that fails, values
// that die all the time, Deletes, and lost messages.
func TestGuaranteesWithStaleValues(t *testing.T) {
	guaranteesHold(t, func(c *tiered.Config[int]) {
		c.TTL, c.StaleFor, c.SoftTimeout = 5*time.Millisecond, time.Hour, time.Millisecond
	}, func(s tiered.RegionStats) bool { return s.StaleServed > 0 })
}

func TestStaleConfig(t *testing.T) {
	tests := []struct {
		name string
		cfg  tiered.Config[int]
		want string // "": it is good
	}{
		{"off", tiered.Config[int]{}, ""},
		{"both", tiered.Config[int]{StaleFor: time.Hour, SoftTimeout: time.Second}, ""},
		{"negative StaleFor", tiered.Config[int]{StaleFor: -1}, "StaleFor is negative"},
		{"negative SoftTimeout", tiered.Config[int]{StaleFor: 1, SoftTimeout: -1}, "SoftTimeout is negative"},
		{"SoftTimeout alone", tiered.Config[int]{SoftTimeout: 1}, "without StaleFor"},
		{"SoftTimeout of the default LoadTimeout", tiered.Config[int]{StaleFor: 1, SoftTimeout: tiered.DefaultLoadTimeout}, "not shorter than LoadTimeout"},
		{"SoftTimeout above LoadTimeout", tiered.Config[int]{StaleFor: 1, SoftTimeout: 2, LoadTimeout: 1}, "not shorter than LoadTimeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Name = "items"
			_, err := tiered.New(local(t), tt.cfg)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// A copy in L1 that must not be served any more does not keep the one that Redis has
// from being served.
func TestStaleFromRedisWhereTheCopyInL1WillNotDo(t *testing.T) {
	cfg := tiered.Config[string]{
		Name: "items", TTL: time.Minute, StaleFor: time.Hour, Jitter: -1,
		TTLFor: func(_, v string) time.Duration {
			if v == "2" {
				return -1
			}
			return 0
		},
	}
	t.Run("a newer value was served and not kept", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bubble) {
			rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, cfg)
			f := &flaky{source: source[string]{value: "1"}}
			f.is(t, rs[0], "1", false)
			pass(time.Minute + time.Second)
			f.value = "2"
			f.is(t, rs[0], "2", false)
			b.evict(t)
			f.value = "3"
			f.is(t, rs[1], "3", false) // nothing is replaced, so nobody hears of it
			pass(time.Minute + time.Second)
			f.down.Store(true)
			f.is(t, rs[0], "3", true)
		})
	})
	t.Run("it is gone when the load has failed", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bubble) {
			n := b.node(t)
			r := region(t, n, cfg)
			other := region(t, n, tiered.Config[string]{Name: "other"})
			f := &flaky{source: source[string]{value: "1"}}
			f.is(t, r, "1", false)
			pass(time.Minute + time.Second)
			var info tiered.Info
			v, err := r.GetOrLoad(t.Context(), "k", func(ctx context.Context, _ string) (string, error) {
				if err := other.Clear(ctx); err != nil { // voids the copies of all regions
					t.Error(err)
				}
				return "", errDown
			}, tiered.WithInfo(&info))
			if v != "1" || err != nil || !info.Stale || info.Source != tiered.SourceL2 {
				t.Errorf("got %q, %v, %+v, want what Redis has", v, err, info)
			}
		})
	})
}

// An instance that has just started serves what was made before that.
func TestStaleFromBeforeTheStart(t *testing.T) {
	for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L2Only} {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				cfg := tiered.Config[string]{Name: "items", Mode: mode, TTL: time.Minute, StaleFor: time.Hour, Jitter: -1}
				first := b.node(t)
				f := &flaky{source: source[string]{value: "old"}}
				f.is(t, region(t, first, cfg), "old", false)
				if err := first.Close(); err != nil {
					t.Fatal(err)
				}
				pass(2 * time.Minute)
				f.down.Store(true)
				r := region(t, b.node(t), cfg)
				f.is(t, r, "old", true)
				f.is(t, r, "old", true) // while it is not to be loaded
				r = region(t, b.node(t), cfg)
				got, err := r.GetOrLoadMany(t.Context(), []string{"k"}, func(context.Context, []string) (map[string]string, error) { return nil, errDown })
				if err != nil || got["k"] != "old" {
					t.Errorf("GetOrLoadMany = %v, %v", got, err)
				}
			})
		})
	}
}

// A call has found the old value in Redis and waits for its load. Another one, past
// L1, gets a newer value, which is kept nowhere: Redis has gone. The first must not
// be answered with the old one after that.
func TestStaleIsNotServedAfterWhatWasNotKept(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[string]{
			Name: "items", Mode: tiered.L2Only, TTL: time.Minute, StaleFor: time.Hour, SoftTimeout: 2 * time.Second, Jitter: -1,
		})
		f := &flaky{source: source[string]{value: "old"}}
		f.is(t, r, "old", false)
		pass(2 * time.Minute)
		var wg sync.WaitGroup
		wg.Go(func() {
			v, err := r.GetOrLoad(t.Context(), "k", func(context.Context, string) (string, error) {
				time.Sleep(10 * time.Second) //nolint:forbidigo // moves the bubble's clock
				return "new", nil
			})
			if v != "new" || err != nil {
				t.Errorf("got %q, %v; want the new value, which another call has had", v, err)
			}
		})
		pass(time.Second)
		b.redis.SetError("gone")
		f.value = "new"
		f.is(t, r, "new", false, tiered.BypassL1())
		b.redis.SetError("")
		wg.Wait()
		pass(10 * time.Second) // also if it has been given up, the load ends
	})
}

// Where L1 is the only tier, a life that L1TTL has ended is over.
func TestStaleForCountsFromL1TTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := region(t, local(t), tiered.Config[string]{Name: "items", TTL: time.Hour, L1TTL: time.Minute, StaleFor: time.Minute, Jitter: -1})
		f := &flaky{source: source[string]{value: "v"}}
		f.is(t, r, "v", false)
		f.down.Store(true)
		pass(time.Minute + near)
		f.is(t, r, "v", true)
		pass(time.Minute)
		f.fails(t, r)
	})
}

// A load ahead of time, or a forced one, has failed, so that the key is not to be
// loaded for a while. What L1TTL has ended in memory lives on in Redis, and is not
// stale.
func TestWhatLivesInRedisIsNotStale(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		cfg := tiered.Config[string]{Name: "items", TTL: time.Hour, L1TTL: time.Minute, StaleFor: time.Hour, Jitter: -1}
		rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, cfg)
		f := &flaky{source: source[string]{value: "v"}}
		for _, r := range rs {
			f.is(t, r, "v", false)
		}
		pass(time.Minute + near)
		f.down.Store(true)
		for _, r := range rs {
			f.fails(t, r, tiered.ForceLoad())
		}
		info := f.is(t, rs[0], "v", false)
		wantInfo(t, "in Redis", info, tiered.Info{Source: tiered.SourceL2, Remaining: 59 * time.Minute, StaleRemaining: time.Hour, Age: time.Minute})
		got, err := rs[1].GetOrLoadMany(t.Context(), []string{"k"}, func(context.Context, []string) (map[string]string, error) { return nil, errDown })
		if err != nil || got["k"] != "v" {
			t.Errorf("GetOrLoadMany = %v, %v", got, err)
		}
		for i, r := range rs {
			if n := r.Stats().StaleServed; n != 0 {
				t.Errorf("instance %d served %d stale values", i, n)
			}
		}
	})
}

// A load that took longer than the bound while Redis was away is no reason not to serve
// what it has brought, when the life of that is over.
func TestStaleAfterALongLoadWithoutRedis(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[string]{
			Name: "items", Mode: tiered.L1Only, TTL: time.Hour, StaleFor: time.Hour, LoadTimeout: time.Hour, Jitter: -1,
		})
		f := &flaky{source: source[string]{value: "v"}}
		b.redis.SetError(outOfReach)
		f.slow.Store(int64(10 * time.Minute))
		f.is(t, r, "v", false)
		f.slow.Store(0)
		b.redis.SetError("")
		pass(2 * time.Minute)
		f.is(t, r, "v", false)
		f.reads(t, 1)
		pass(time.Hour)
		f.down.Store(true)
		f.is(t, r, "v", true)
	})
}
