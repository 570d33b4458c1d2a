package l1_test

import (
	"sync"
	"testing"

	"github.com/doppio-cache/doppio/l1"
)

func TestCountersLoseNothing(t *testing.T) {
	h := newHarness(t, 1<<20)
	other := h.Region("customers")
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 1000 {
				h.region.Hit()
				h.region.NegativeHit()
				h.region.NegativeHit()
				h.region.Miss()
				other.Miss()
			}
		})
	}
	wg.Wait()
	if got, want := h.region.Counters(), (l1.Counters{Hits: 16_000, NegativeHits: 32_000, Misses: 16_000}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := other.Counters(), (l1.Counters{Misses: 16_000}); got != want {
		t.Errorf("the other region: got %+v, want %+v", got, want)
	}
}

func TestGetCountsNothing(t *testing.T) {
	h := newHarness(t, 1<<20)
	h.Put(h.entry(1, 100, "v"))
	h.Wait()
	h.value(1)
	h.value(2)
	if got := h.region.Counters(); got != (l1.Counters{}) {
		t.Errorf("got %+v", got)
	}
}
