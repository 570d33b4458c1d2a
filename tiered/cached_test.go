package tiered_test

import (
	"context"
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

func TestCachedOfNothing(t *testing.T) {
	n := local(t)
	r := region(t, n, tiered.Config[int]{Name: "items"})
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	for range r.Cached() {
		t.Error("a closed node has values")
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
