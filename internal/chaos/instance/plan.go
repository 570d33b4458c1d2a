package instance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// plan says which keys there are, and which of them belong together.
type plan struct {
	regions   wire.Regions
	instances uint32
}

// group is how many keys of a region have a tag in common, and how many are
// read in one call: about so many.
const group = 8

// shares are of a hundred reads how many are of each region.
var shares = [wire.Kinds]int{wire.Items: 54, wire.Lives: 30, wire.Cleared: 6, wire.Owned: 10}

// full reports whether all operations are in use.
func (p *plan) full() bool { return len(p.regions) > 1 }

// choice chooses keys, some of them much more often than others.
type choice struct {
	*rand.Rand
	among *plan
	zipf  [wire.Kinds]*rand.Zipf
}

func (p *plan) choice(random *rand.Rand, skew float64) *choice {
	c := &choice{Rand: random, among: p}
	for k := range p.regions {
		c.zipf[k] = rand.NewZipf(random, skew, 1, uint64(p.regions[k].Keys-1))
	}
	return c
}

// of is a key of a region.
func (c *choice) of(k wire.Kind) uint32 { return c.among.regions.First(k) + uint32(c.zipf[k].Uint64()) }

// any is a key of any region.
func (c *choice) any() uint32 {
	if !c.among.full() {
		return c.of(wire.Items)
	}
	n := c.IntN(100)
	k := wire.Items
	for ; n >= shares[k]; k++ {
		n -= shares[k]
	}
	return c.of(k)
}

// several are different keys of one region.
func (c *choice) several(k wire.Kind, n int) (keys []uint32) {
	seen := make(map[uint32]bool)
	for range n {
		if key := c.of(k); !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	return keys
}

// evenly are different keys of one region, each as likely as the other.
func (c *choice) evenly(k wire.Kind, n int) (keys []uint32) {
	for range n {
		key := c.among.regions.First(k) + c.Uint32N(c.among.regions[k].Keys)
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// place is where a key is: its region, and which of the keys there it is.
func (p *plan) place(key uint32) (k wire.Kind, index uint32) {
	k = p.regions.Of(key)
	return k, key - p.regions.First(k)
}

// valueTag is the tag that is known from a value, and how far the keys that have
// it are apart.
func (p *plan) valueTag(key uint32) string {
	k, index := p.place(key)
	first, step := p.spread(k, index)
	return fmt.Sprintf("%v/%d+%d", k, first, step)
}

// spread are the index of the first of the keys of a value's tag, and how far
// they are apart.
func (p *plan) spread(k wire.Kind, index uint32) (first, step uint32) {
	step = max(1, p.regions[k].Keys/group)
	if k == wire.Owned {
		step -= step % p.instances // they have one owner
		step = max(step, p.instances)
	}
	return index % step, step
}

// valueTagged are the keys with the same tag, known from their values, as key.
func (p *plan) valueTagged(key uint32) (keys []uint32) {
	k, index := p.place(key)
	first, step := p.spread(k, index)
	for i := first; i < p.regions[k].Keys; i += step {
		keys = append(keys, p.regions.First(k)+i)
	}
	return keys
}

// callTag is the tag that calls give; empty for half of the shelves, and where
// keys have owners.
func (p *plan) callTag(key uint32) string {
	k, index := p.place(key)
	if shelf := index / group; k != wire.Owned && shelf%2 == 0 {
		return k.String() + "#" + strconv.Itoa(int(shelf))
	}
	return ""
}

// shelf are the keys that are read together with key. They have the same
// callTag.
func (p *plan) shelf(key uint32) (keys []uint32) {
	k, index := p.place(key)
	for i := index - index%group; i < min(p.regions[k].Keys, index-index%group+group); i++ {
		keys = append(keys, p.regions.First(k)+i)
	}
	return keys
}

// owned are some of the keys that an instance owns.
func (c *choice) owned(instance, n int) (keys []uint32) {
	p := c.among
	for _, key := range c.several(wire.Owned, n) {
		_, index := p.place(key)
		index = index - index%p.instances + uint32(instance)
		if key = p.regions.First(wire.Owned) + index; index < p.regions[wire.Owned].Keys && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}
