package instance

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

func TestPlan(t *testing.T) {
	const instances = 3
	sizes := wire.Regions{{Keys: 100, TTL: time.Hour}, {Keys: 20, TTL: time.Hour}, {Keys: 17, TTL: time.Hour}, {Keys: 50, TTL: time.Hour}}
	p := &plan{sizes, instances}
	byTag := make(map[string][]uint32)
	for key := range sizes.Keys() {
		byTag[p.valueTag(key)] = append(byTag[p.valueTag(key)], key)
		if tag := p.callTag(key); tag != "" {
			byTag[tag] = append(byTag[tag], key)
		}
	}
	owner := func(key uint32) uint32 {
		_, index := p.place(key)
		return index % instances
	}
	for key := range sizes.Keys() {
		k, _ := p.place(key)
		// Who changes all keys of a tag changes exactly those that have it.
		if got, want := p.valueTagged(key), byTag[p.valueTag(key)]; !slices.Equal(got, want) {
			t.Errorf("key %d has tag %s, which %v have, not %v", key, p.valueTag(key), want, got)
		}
		if tag := p.callTag(key); tag != "" && !slices.Equal(p.shelf(key), byTag[tag]) {
			t.Errorf("key %d is given tag %s, which %v have, not %v", key, tag, byTag[tag], p.shelf(key))
		}
		for _, other := range p.shelf(key) {
			if p.callTag(other) != p.callTag(key) {
				t.Errorf("keys %d and %d are read in one call and have other tags", key, other)
			}
		}
		for _, other := range p.valueTagged(key) {
			if k == wire.Owned && owner(other) != owner(key) {
				t.Errorf("keys %d and %d have a tag and two owners", key, other)
			}
		}
	}
	c := p.choice(rand.New(rand.NewPCG(1, 1)), 1.1)
	for range 200 {
		for i := range instances {
			for _, key := range c.owned(i, 6) {
				if k, _ := p.place(key); k != wire.Owned || owner(key) != uint32(i) {
					t.Fatalf("key %d of %v is not instance %d's", key, k, i)
				}
			}
		}
		for k := range wire.Kinds {
			for _, key := range append(c.several(k, 4), c.evenly(k, 4)...) {
				if got, _ := p.place(key); got != k {
					t.Fatalf("key %d is of %v, not %v", key, got, k)
				}
			}
		}
	}
}
