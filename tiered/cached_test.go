package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

func TestCachedIsWhatL1WouldAnswerWith(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		n := instances(t, b, 1)[0]
		items := region(t, n, tiered.Config[int]{Name: "items", Jitter: -1})
		others := region(t, n, tiered.Config[int]{Name: "others"})
		for i := range 5 {
			key := fmt.Sprint(i)
			if err := items.Set(t.Context(), key, i, tiered.WithTags("parity:"+fmt.Sprint(i%2))); err != nil {
				t.Fatal(err)
			}
			settles(t, items, key)
		}
		if err := others.Set(t.Context(), "0", 100); err != nil {
			t.Fatal(err)
		}
		_, _, _ = read(t, items, "absent", &source[int]{err: tiered.ErrNotFound})
		want := map[string]int{"0": 0, "1": 1, "2": 2, "3": 3, "4": 4}
		if got := maps.Collect(items.Cached()); !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		for key := range items.Cached() { // it may be left, and the cache be used meanwhile
			if err := items.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			delete(want, key)
			break
		}
		if got := maps.Collect(items.Cached()); !maps.Equal(got, want) {
			t.Errorf("after a Delete: got %v, want %v", got, want)
		}
		invalidateTags(t, n, "parity:0", "parity:1")
		if got := maps.Collect(items.Cached()); len(got) != 0 {
			t.Errorf("after their tags were invalidated: %v", got)
		}
	})
}

func TestCachedLeavesOutWhatHasExpired(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[int]{Name: "items", Jitter: -1, TTL: time.Minute})
		if err := r.Set(t.Context(), "k", 1); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if got := maps.Collect(r.Cached()); got["k"] != 1 {
			t.Errorf("got %v", got)
		}
		pass(time.Minute)
		if got := maps.Collect(r.Cached()); len(got) != 0 {
			t.Errorf("past its life: %v", got)
		}
	})
}

// What is invalidated, or replaced, while somebody iterates is not yielded after
// that.
func TestCachedWhileValuesChange(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		n := instances(t, b, 1)[0]
		r := region(t, n, tiered.Config[int]{Name: "items", Jitter: -1})
		keys := manyNames(50)
		fill := func(v int) {
			values := make(map[string]int)
			for _, k := range keys {
				values[k] = v
			}
			if err := r.SetMany(t.Context(), values); err != nil {
				t.Fatal(err)
			}
			for _, k := range keys {
				settles(t, r, k)
			}
		}
		fill(1)
		old := 0
		for _, v := range r.Cached() {
			switch v {
			case 1:
				old++
				fill(2)
			case 2:
			default:
				t.Errorf("got %d", v)
			}
		}
		if old != 1 {
			t.Errorf("%d old values", old)
		}
		yielded := 0
		for range r.Cached() {
			if yielded++; yielded == 1 {
				if err := r.Delete(t.Context(), keys...); err != nil {
					t.Fatal(err)
				}
			}
		}
		if yielded != 1 {
			t.Errorf("%d values were yielded, though all were deleted at the first", yielded)
		}
		fill(3)
		yielded = 0
		for range r.Cached() {
			if yielded++; yielded == 1 {
				if err := n.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if yielded != 1 {
			t.Errorf("%d values were yielded, though the node was closed at the first", yielded)
		}
	})
}

// To look is not to read: nothing is counted, kept alive or loaded for it.
func TestCachedIsNoRead(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[int]{
			Name: "items", Jitter: -1, TTL: time.Hour, SlidingTTL: 10 * time.Minute, RefreshAhead: 0.01,
		})
		s := &source[int]{value: 7}
		wants(t, r, "k", s, 7, tiered.SourceLoad)
		pass(time.Second)
		before := r.Stats()
		for range 20 {
			pass(time.Minute)
			for k, v := range r.Cached() {
				if k != "k" || v != 7 {
					t.Errorf("%s has %d", k, v)
				}
			}
		}
		if after := r.Stats(); after.L1Hits != before.L1Hits || after.L1Misses != before.L1Misses || after.Refreshes != 0 {
			t.Errorf("from %+v to %+v", before, after)
		}
		s.reads(t, 1)
		if _, err := r.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("a value that nobody has read is still there: %v", err)
		}
	})
}

// What is yielded is the caller's own, where values are cloned.
func TestCachedClones(t *testing.T) {
	r := region(t, local(t), tiered.Config[[]int]{Name: "items", Clone: slices.Clone[[]int]})
	if err := r.Set(t.Context(), "k", []int{1}); err != nil {
		t.Fatal(err)
	}
	settles(t, r, "k")
	for _, v := range r.Cached() {
		v[0] = 2
	}
	if v, err := r.Get(t.Context(), "k"); err != nil || v[0] != 1 {
		t.Errorf("got %v, %v", v, err)
	}
}

func TestCachedOfNothing(t *testing.T) {
	n := local(t)
	r := region(t, n, tiered.Config[int]{Name: "items"})
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	for range r.Cached() {
		t.Error("a closed node has values")
	}
	aside := region(t, instances(t, redistest.Mini(t), 1)[0], tiered.Config[int]{Name: "items", Mode: tiered.L2Only})
	if err := aside.Set(t.Context(), "k", 1); err != nil {
		t.Fatal(err)
	}
	for range aside.Cached() {
		t.Error("a region without L1 has values there")
	}
	for range (*tiered.Region[int])(nil).Cached() {
		t.Error("a nil region has values")
	}
}

func ExampleRegion_Cached() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Prefix: "shop", Local: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	prices, err := tiered.New(node, tiered.Config[int]{Name: "prices"})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = prices.Set(ctx, "anvil", 100)
	_ = prices.Set(ctx, "rope", 20)
	cached := maps.Collect(prices.Cached())
	for _, key := range slices.Sorted(maps.Keys(cached)) {
		fmt.Println(key, cached[key])
	}
	// Output:
	// anvil 100
	// rope 20
}
