package tiered_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// What Set stores is what all instances read, from the tiers of the mode.
func TestSetByMode(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		nodes := instances(t, b, 2)
		for _, mode := range modes {
			t.Run(mode.String(), func(t *testing.T) {
				rs := regions(t, nodes, tiered.Config[string]{Name: mode.String(), Mode: mode})
				old := &source[string]{value: "old"}
				for _, r := range rs {
					read(t, r, "k", old)
				}
				if err := rs[0].Set(t.Context(), "k", "new"); err != nil {
					t.Fatal(err)
				}
				if v, err := rs[0].Get(t.Context(), "k"); v != "new" || err != nil {
					t.Errorf("where it was set: %q, %v", v, err)
				}
				eventually(t, "the other instance's copy is gone", func() bool {
					v, err := rs[1].Get(t.Context(), "k")
					if mode == tiered.L1Only {
						return errors.Is(err, tiered.ErrNotFound) // values stay where they are set
					}
					return v == "new" && err == nil
				})
			})
		}
	})
}

// lonely opens a node that hears no message, not even of what it does itself,
// and does not probe in the time of a test: what it knows, it knows from the
// answers to its calls.
func lonely(t *testing.T, b *redistest.Backend) (*tiered.Node, *redistest.Proxy) {
	t.Helper()
	proxy := b.Proxy(t)
	proxy.DropMessages(allMessages)
	n := open(t, tiered.Options{Redis: proxy.Client(t), MaxStaleness: time.Hour, L2Timeout: patience})
	ready(t, n)
	return n, proxy
}

// After a Set has returned, its own instance does not return the older value,
// even if the new one is not in L1, or not in Redis.
func TestSetVoidsTheOlderCopyItself(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		n, proxy := lonely(t, b)
		r := region(t, n, tiered.Config[string]{Name: "items", MaxL1Bytes: 100})
		set := func(key string) {
			t.Helper()
			if err := r.Set(t.Context(), key, "old"); err != nil {
				t.Fatal(err)
			}
			settles(t, r, key)
		}

		set("large")
		large := strings.Repeat("x", 200)
		if err := r.Set(t.Context(), "large", large); err != nil {
			t.Fatal(err)
		}
		if v, err := r.Get(t.Context(), "large"); v != large || err != nil {
			t.Errorf("after a Set of a value that L1 does not take: %.10q, %v", v, err)
		}

		set("lost")
		var struck atomic.Int64
		proxy.CutBefore(step("lost", 2, &struck), 1) // the fill
		err := r.Set(t.Context(), "lost", "new")
		var pending *tiered.PendingError
		if !errors.Is(err, tiered.ErrUnavailable) || errors.As(err, &pending) {
			t.Errorf("Set that was cut off after its invalidation: %v, want an ErrUnavailable that is no PendingError", err)
		}
		if v, err := r.Get(t.Context(), "lost"); !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("after it: %q, %v; want ErrNotFound", v, err)
		}
	})
}

// Something newer that comes between the two steps of a Set wins, and that is
// no error.
func TestSetLosesAgainstWhatIsNewer(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		n, proxy := lonely(t, b)
		r := region(t, n, tiered.Config[string]{Name: "items"})
		other := regions(t, instances(t, b, 1), tiered.Config[string]{Name: "items"})[0]
		newer := map[string]struct {
			do   func(key string) error
			want string
		}{
			"Delete": {func(key string) error { return other.Delete(t.Context(), key) }, ""},
			"Set":    {func(key string) error { return other.Set(t.Context(), key, "newer") }, "newer"},
		}
		for key, tt := range newer {
			var struck atomic.Int64
			if err := r.Set(t.Context(), "warm", "up"); err != nil { // Redis knows the scripts
				t.Fatal(err)
			}
			h := proxy.Hold(step(key, 2, &struck))
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := r.Set(t.Context(), key, "older"); err != nil {
					t.Errorf("Set that lost against a %s: %v", key, err)
				}
			})
			h.Wait(t)
			if err := tt.do(key); err != nil {
				t.Fatal(err)
			}
			h.ReleaseAndWait(t)
			wg.Wait()
			for i, r := range []*tiered.Region[string]{r, other} {
				if v, err := r.Get(t.Context(), key); v != tt.want || err != nil && !errors.Is(err, tiered.ErrNotFound) {
					t.Errorf("instance %d, after a %s: %q, %v; want %q", i, key, v, err, tt.want)
				}
			}
		}
		if got := r.Stats().FillsRejected; got != 2 {
			t.Errorf("%d rejected fills are counted, want 2", got)
		}
	})
}

// A load that began before a Delete which could not reach Redis must not store
// its value there, though nobody has taken its lease away.
func TestLoadDoesNotFillWhileAnInvalidationIsPending(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		proxy := b.Proxy(t)
		n := open(t, tiered.Options{Redis: proxy.Client(t), L2Timeout: patience})
		ready(t, n)
		r := region(t, n, tiered.Config[string]{Name: "items"})
		other := regions(t, instances(t, b, 1), tiered.Config[string]{Name: "items"})[0]
		layout, err := keyspace.New("test", tiered.DefaultPartitions)
		if err != nil {
			t.Fatal(err)
		}
		partition := layout.Partition(keyspace.Hash("items", "k"))
		invalidates := redistest.AllOf(redistest.Argument(layout.Value(partition, "items", "k")), func(args [][]byte) bool {
			// Sequence, value and lease; a fill has the region's clearing as well.
			return len(args) > 2 && bytes.Equal(args[2], []byte("3"))
		})
		loading, release := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		var once sync.Once
		value := "old"
		wg.Go(func() {
			v, err := r.GetOrLoad(t.Context(), "k", func(context.Context, string) (string, error) {
				v := value
				once.Do(func() { close(loading); <-release })
				return v, nil
			})
			if v != "new" || err != nil {
				t.Errorf("the caller got %q, %v; want what was loaded after its own instance's Delete", v, err)
			}
		})
		<-loading
		value = "new"
		proxy.CutBefore(invalidates, 1<<30)
		var pending *tiered.PendingError
		if err := r.Delete(t.Context(), "k"); !errors.As(err, &pending) {
			t.Errorf("Delete: %v, want a PendingError", err)
		}
		close(release)
		wg.Wait()
		if v, err := other.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("Redis has %q, %v; want nothing", v, err)
		}
		if got := r.Stats().FillsRejected; got != 1 {
			t.Errorf("%d rejected fills are counted, want 1", got)
		}
		proxy.ClearRules()
		eventually(t, "nothing is pending", func() bool { return n.Stats().PendingRetries == 0 })
	})
}

// While nobody vouches for the partition of a tag, what a Set brings is not stored,
// and the Set says so: nothing newer has won.
func TestSetWithTagsOfAPartitionThatIsNotProbed(t *testing.T) {
	f := newFleet(t, 2)
	a, b := f.members[0], f.members[1]
	if err := a.items.Set(t.Context(), "warm", 1, tiered.WithTags("x")); err != nil {
		t.Fatal(err)
	}
	a.proxy.CutBefore(redistest.Argument("test:layout"), 1<<30) // the probes
	eventually(t, "a Set with tags is refused", func() bool {
		err := a.items.Set(t.Context(), "k", 1, tiered.WithTags("x"))
		many := a.items.SetMany(t.Context(), map[string]int{"l": 1, "m": 1}, tiered.WithTags("x"))
		if err == nil {
			if v, err := b.items.Get(t.Context(), "k"); v != 1 || err != nil {
				t.Fatalf("Set returned nil, and the value is not there: %v, %v", v, err)
			}
		}
		var pending *tiered.PendingError
		if err != nil && (!errors.Is(err, tiered.ErrUnavailable) || errors.As(err, &pending)) {
			t.Fatalf("Set: %v, want an ErrUnavailable that is no PendingError", err)
		}
		return err != nil && errors.Is(many, tiered.ErrUnavailable)
	})
	// In Redis: b's copy goes when the message comes.
	if _, err := b.items.Get(t.Context(), "k", tiered.BypassL1()); !errors.Is(err, tiered.ErrNotFound) {
		t.Errorf("the old value is still there: %v", err)
	}
	if err := a.items.Set(t.Context(), "k", 2); err != nil {
		t.Errorf("without tags: %v", err)
	}
}

// A Set with tags that comes right after Open waits for the first probe, and is
// stored.
func TestSetWithTagsRightAfterOpen(t *testing.T) {
	b := redistest.Real(t)
	instances(t, b, 1)
	n := open(t, tiered.Options{Redis: b.Client(t), L2Timeout: patience})
	r := region(t, n, tiered.Config[int]{Name: "items"})
	if err := r.Set(t.Context(), "k", 1, tiered.WithTags("x")); err != nil {
		t.Fatal(err)
	}
	if v, err := r.Get(t.Context(), "k"); v != 1 || err != nil {
		t.Errorf("got %v, %v", v, err)
	}
}
