package tiered_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

func TestClearInvalidatesTheRegionAndNoOther(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		nodes := instances(t, b, 3)
		items := regions(t, nodes, tiered.Config[int]{Name: "items", Jitter: -1})
		others := regions(t, nodes, tiered.Config[int]{Name: "others", Jitter: -1})
		s := &source[int]{value: 1}
		const keys = 50
		for i := range nodes {
			for k := range keys {
				_, _, _ = read(t, items[i], fmt.Sprint(k), s)
				_, _, _ = read(t, others[i], fmt.Sprint(k), s)
			}
		}
		s.reads(t, 2*keys)
		if err := items[0].Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := items[0].Get(t.Context(), "0"); !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("on the instance that cleared: %v", err)
		}
		for i := range nodes {
			for k := range keys {
				key := fmt.Sprint(k)
				eventually(t, "the region is empty", func() bool {
					_, err := items[i].Get(t.Context(), key)
					return errors.Is(err, tiered.ErrNotFound)
				})
				if v, err := others[i].Get(t.Context(), key); v != 1 || err != nil {
					t.Fatalf("another region: %v, %v", v, err)
				}
			}
		}
		s.reads(t, 0)
	})
}

func TestALoadDoesNotSurviveClear(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		nodes := instances(t, b, 2)
		rs := regions(t, nodes, tiered.Config[int]{Name: "items", Jitter: -1})
		for i := range rs {
			o := newOrigin()
			key := fmt.Sprint(i)
			o.commit(key)
			held := o.holdNext()
			var wg sync.WaitGroup
			wg.Go(func() {
				if v, err := rs[0].GetOrLoad(t.Context(), key, o.load); i == 0 && (err != nil || v != 2) {
					t.Errorf("the caller that loads got version %d, %v; want 2", v, err)
				}
			})
			<-held.read
			o.commit(key)
			if err := rs[i].Clear(t.Context()); err != nil {
				t.Fatal(err)
			}
			close(held.release)
			wg.Wait()
			eventually(t, "everybody has version 2", func() bool {
				for _, r := range rs {
					if v, err := r.GetOrLoad(t.Context(), key, o.load); err != nil || v != 2 {
						return false
					}
				}
				return true
			})
		}
	})
}

// A Clear that Redis does not confirm holds here at once, and for all when Redis
// is back; messages may be lost.
func TestAnUnconfirmedClearIsPending(t *testing.T) {
	f := newFleet(t, 2)
	a, b := f.members[0], f.members[1]
	f.origin.commit("k")
	a.warm(t, "k")
	b.warm(t, "k")
	b.proxy.DropMessages(allMessages)
	a.proxy.Refuse(true)
	a.proxy.Cut()
	f.origin.commit("k")
	err := a.items.Clear(t.Context())
	var pending *tiered.PendingError
	if !errors.As(err, &pending) || pending.Region != "items" {
		t.Fatalf("got %v, want a PendingError of the region", err)
	}
	if got := a.get(t, "k"); got != 2 {
		t.Errorf("here: version %d, want 2", got)
	}
	a.proxy.Refuse(false)
	eventually(t, "version 2 there", func() bool { return b.get(t, "k") == 2 })
	eventually(t, "nothing is pending", func() bool { return a.Stats().PendingRetries == 0 })
}

func TestClearOfALocalNode(t *testing.T) {
	n := local(t)
	r := region(t, n, tiered.Config[int]{Name: "items"})
	for i := range 100 {
		if err := r.Set(t.Context(), fmt.Sprint(i), i); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if v, err := r.Get(t.Context(), fmt.Sprint(i)); !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("key %d: %v, %v", i, v, err)
		}
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Clear(t.Context()); !errors.Is(err, tiered.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if err := (*tiered.Region[int])(nil).Clear(t.Context()); err == nil {
		t.Error("a nil region was cleared")
	}
}

// A tool clears a region of which it knows only the name.
func TestNodeClear(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		nodes := instances(t, b, 2)
		items := region(t, nodes[0], tiered.Config[int]{Name: "items", Jitter: -1})
		s := &source[int]{value: 1}
		_, _, _ = read(t, items, "k", s)
		succeeds(t, nodes[1].Clear(t.Context(), "items"))
		eventually(t, "the region is empty", func() bool {
			_, err := items.Get(t.Context(), "k")
			return errors.Is(err, tiered.ErrNotFound)
		})
		for _, name := range []string{"", "a:b"} {
			if err := nodes[1].Clear(t.Context(), name); !errors.Is(err, tiered.ErrInvalidOption) {
				t.Errorf("Clear of %q: %v", name, err)
			}
		}
	})
	if err := (*tiered.Node)(nil).Clear(t.Context(), "items"); err == nil {
		t.Error("a nil node clears")
	}
}
