package l1_test

import (
	"sync"
	"testing"

	"github.com/doppio-cache/doppio/l1"
)

func TestCountersLoseNothing(t *testing.T) {
	h := newHarness(t, 1<<20)
	other := h.Region("customers")
	negative := h.entry(2, 100, nil)
	negative.Negative = true
	expired := h.entry(3, 100, "v")
	expired.Expires = 0
	for _, e := range []*l1.Entry{h.entry(1, 100, "v"), negative, expired} {
		h.Put(e)
	}
	h.Wait()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 1000 {
				h.Get(h.region, hash(1), name(1))
				for range 2 {
					h.Get(h.region, hash(2), name(2))
					h.region.NegativeHit()
				}
				h.Get(h.region, hash(3), name(3))
				h.Get(h.region, hash(4), name(4))
				h.Get(other, hash(1), name(1))
				h.Find(h.region, hash(1), name(1))
			}
		})
	}
	wg.Wait()
	if got, want := h.region.Counters(), (l1.Counters{Hits: 16_000, NegativeHits: 32_000, Misses: 32_000}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := other.Counters(), (l1.Counters{Misses: 16_000}); got != want {
		t.Errorf("the other region: got %+v, want %+v", got, want)
	}
}
