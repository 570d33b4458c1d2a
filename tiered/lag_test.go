package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// laggingOrigin is a database and its replica, to which each commit comes some
// time later. Loads read the replica.
type laggingOrigin struct {
	lag time.Duration

	mu      sync.Mutex
	commits map[string][]time.Time
}

func (o *laggingOrigin) commit(key string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.commits == nil {
		o.commits = make(map[string][]time.Time)
	}
	o.commits[key] = append(o.commits[key], time.Now())
	return len(o.commits[key])
}

// load is the number of commits that have reached the replica.
func (o *laggingOrigin) load(_ context.Context, key string) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, at := range o.commits[key] {
		if time.Since(at) >= o.lag {
			n++
		}
	}
	return n, nil
}

// What is read from a replica that lags behind is not kept beyond its lag: on no
// instance is the old value read later than the lag, and the bound, after the
// Delete. Without OriginLag it would stay until its TTL ends.
func TestALaggingOriginIsNotCached(t *testing.T) {
	const lag = 300 * time.Millisecond
	invalidations := map[string]func(t *testing.T, r *tiered.Region[int], o *laggingOrigin, key string){
		"Delete": func(t *testing.T, r *tiered.Region[int], o *laggingOrigin, key string) {
			o.commit(key)
			if err := r.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		},
		"Mutate": func(t *testing.T, r *tiered.Region[int], o *laggingOrigin, key string) {
			err := r.Mutate(t.Context(), []string{key}, func(context.Context) error { o.commit(key); return nil })
			if err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, invalidate := range invalidations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := instances(t, redistest.Real(t), 2, func(o *tiered.Options) { o.MaxStaleness = bound })
			rs := regions(t, nodes, tiered.Config[int]{Name: "items", Jitter: -1, OriginLag: lag})
			o := &laggingOrigin{lag: lag}
			for round := range 3 {
				key := fmt.Sprint(round)
				for _, r := range rs {
					if _, err := r.GetOrLoad(t.Context(), key, o.load); err != nil {
						t.Fatal(err)
					}
				}
				invalidate(t, rs[0], o, key)
				deleted := time.Now()
				for time.Since(deleted) < lag+2*bound {
					for i, r := range rs {
						begin := time.Now()
						v, err := r.GetOrLoad(t.Context(), key, o.load)
						limit := lag
						if i > 0 {
							limit += bound
						}
						if late := begin.Sub(deleted) - limit; err != nil || v == 0 && late > 0 {
							t.Fatalf("instance %d: %v later than it may be: %v, %v", i, late, v, err)
						}
					}
					pause()
				}
				for _, r := range rs {
					settles(t, r, key)
				}
			}
		})
	}
}

// A queued invalidation leaves a tombstone too when it gets through.
func TestAQueuedInvalidationKnowsTheLag(t *testing.T) {
	const lag = time.Minute
	f := newFleetWith(t, 2, unhurried, func(c *tiered.Config[int]) {
		c.OriginLag = lag
	})
	a, b := f.members[0], f.members[1]
	f.origin.commit("k")
	a.warm(t, "k")
	b.warm(t, "k")
	a.proxy.Refuse(true)
	a.proxy.Cut()
	if err := a.items.Delete(t.Context(), "k"); !errors.Is(err, tiered.ErrUnavailable) {
		t.Fatal(err)
	}
	a.proxy.Refuse(false)
	eventually(t, "nothing is pending", func() bool { return a.Stats().PendingRetries == 0 })
	for _, m := range f.members {
		eventually(t, "what is loaded is not kept", func() bool {
			m.get(t, "k")
			before := m.origin.reads.Load()
			m.get(t, "k")
			return m.origin.reads.Load() > before
		})
	}
}

func TestOriginLagHasNoTags(t *testing.T) {
	n := instances(t, redistest.Mini(t), 1)[0]
	tags := func(string, int) []string { return nil }
	for name, cfg := range map[string]tiered.Config[int]{
		"with Tags": {Name: "a", OriginLag: time.Second, Tags: tags},
		"negative":  {Name: "b", OriginLag: -1},
		"in L1":     {Name: "c", OriginLag: time.Second, Mode: tiered.L1Only},
	} {
		if _, err := tiered.New(n, cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	r := region(t, n, tiered.Config[int]{Name: "items", OriginLag: time.Second})
	if err := r.Clear(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Clear: %v", err)
	}
	if err := r.Set(t.Context(), "k", 1, tiered.WithTags("x")); !errors.Is(err, tiered.ErrInvalidOption) {
		t.Errorf("Set with tags: %v", err)
	}
	if _, _, err := read(t, r, "k", &source[int]{}, tiered.WithTags("x")); !errors.Is(err, tiered.ErrInvalidOption) {
		t.Errorf("GetOrLoad with tags: %v", err)
	}
}

// A key that is queued keeps its tombstone where a Clear of another region is queued
// too, before or after it.
func TestAQueuedInvalidationKnowsTheLagBesideAClear(t *testing.T) {
	const lag = time.Minute
	f := newFleetWith(t, 2, unhurried, func(c *tiered.Config[int]) {
		c.OriginLag = lag
	})
	a := f.members[0]
	other := region(t, a.Node, tiered.Config[int]{Name: "other"})
	f.origin.commit("before")
	f.origin.commit("after")
	a.warm(t, "before")
	a.warm(t, "after")
	a.proxy.Refuse(true)
	a.proxy.Cut()
	for _, err := range []error{
		a.items.Delete(t.Context(), "before"), other.Clear(t.Context()), a.items.Delete(t.Context(), "after"),
	} {
		if !errors.Is(err, tiered.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	a.proxy.Refuse(false)
	eventually(t, "nothing is pending", func() bool { return a.Stats().PendingRetries == 0 })
	for i, m := range f.members {
		for _, key := range []string{"before", "after"} {
			for range 10 {
				before := m.origin.reads.Load()
				if m.get(t, key); m.origin.reads.Load() == before {
					t.Fatalf("instance %d: what was loaded of %s, within OriginLag of the Delete, is kept", i, key)
				}
			}
		}
	}
}

// What is set is stored. Within the lag nothing that is loaded is: not when the
// value's life ends before, not when it is to be replaced, and not when the Set has
// lost its value on the way.
func TestSetInARegionThatLags(t *testing.T) {
	const lag = time.Minute
	f := newFleetWith(t, 2, unhurried, func(c *tiered.Config[int]) {
		c.OriginLag = lag
	})
	a, b := f.members[0], f.members[1]
	loads := func(key string, opts ...tiered.Option) {
		t.Helper()
		for i, m := range f.members {
			for range 5 {
				before := f.origin.reads.Load()
				if m.get(t, key, opts...); f.origin.reads.Load() == before {
					t.Fatalf("instance %d: what was loaded of %s, within OriginLag of the Set, is kept", i, key)
				}
			}
		}
	}
	set := func(key string, v int, opts ...tiered.Option) {
		t.Helper()
		if err := a.items.Set(t.Context(), key, v, opts...); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"k", "short", "lost", "many"} {
		f.origin.commit(key) // 1 is what the replica goes on having
		a.warm(t, key)
	}

	set("k", 2)
	for i, m := range f.members {
		eventually(t, "the value that was set is read", func() bool { return m.get(t, "k") == 2 })
		if v := m.get(t, "k", tiered.ForceLoad()); v != 1 {
			t.Errorf("instance %d: a forced load brings %d", i, v)
		}
		if v := m.get(t, "k"); v != 2 {
			t.Errorf("instance %d: a forced load has replaced what was set by %d", i, v)
		}
	}
	set("k", 3)
	eventually(t, "it is set again", func() bool { return b.get(t, "k") == 3 && a.get(t, "k") == 3 })

	set("short", 2, tiered.WithTTL(20*time.Millisecond))
	eventually(t, "its life is over", func() bool { return a.get(t, "short") == 1 && b.get(t, "short") == 1 })
	loads("short")

	var struck atomic.Int64
	a.proxy.CutBefore(step("lost", 2, &struck), 1) // the fill
	if err := a.items.Set(t.Context(), "lost", 2); !errors.Is(err, tiered.ErrUnavailable) {
		t.Fatalf("a Set whose fill is lost: %v", err)
	}
	eventually(t, "b has heard of it", func() bool {
		before := f.origin.reads.Load()
		b.get(t, "lost")
		return f.origin.reads.Load() > before
	})
	eventually(t, "a reaches Redis again", func() bool { return a.items.Set(t.Context(), "other", 1) == nil })
	loads("lost")
	set("lost", 3)
	eventually(t, "it is set again", func() bool { return a.get(t, "lost") == 3 && b.get(t, "lost") == 3 })

	if err := a.items.SetMany(t.Context(), map[string]int{"many": 2, "more": 2}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "many are set", func() bool { return b.get(t, "many") == 2 })
	if v := b.get(t, "many", tiered.ForceLoad()); v != 1 || b.get(t, "many") != 2 {
		t.Errorf("a forced load has brought %d, and replaced what was set", v)
	}
}
