package l1

import (
	"hash/maphash"
	"sync/atomic"
)

// Region is a handle that the entries of one region share, and its counters.
// Get one from [Cache.Region]. It is safe for concurrent use.
//
// Get counts nothing, because whether an entry that has expired is a hit is for
// its caller to say: call exactly one of Hit, NegativeHit and Miss for each
// look-up that is to be counted.
type Region struct {
	name  string
	seed  maphash.Seed
	cells []counterCell
}

// counterCell is one share of a region's counters, in two cache lines of its
// own; see guardCell.
type counterCell struct {
	hits, negativeHits, misses atomic.Uint64
	_                          [104]byte
}

// Counters is a snapshot of a region's counters.
type Counters struct {
	Hits         uint64 // look-ups answered with a value
	NegativeHits uint64 // look-ups answered with "there is no such thing"; not among Hits
	Misses       uint64 // look-ups that L1 could not answer
}

func newRegion(name string) *Region {
	return &Region{name: name, seed: maphash.MakeSeed(), cells: make([]counterCell, cellCount())}
}

// check is what an entry's region and key are compared by. The hash by which an
// entry is found has 64 bits and is the same on all instances, so keys that
// share it can be found, and made. Comparing the keys themselves would settle
// it, but they lie in cache lines of their own, which a hit would wait for. So a
// second hash is compared, whose seed nobody knows: two keys of a process agree
// in both with a probability of 2^-128, and none can be made to.
func (r *Region) check(key string) uint64 { return maphash.String(r.seed, key) }

// Name is the name that the region was made with.
func (r *Region) Name() string { return r.name }

// Hit counts a look-up that was answered with a value.
func (r *Region) Hit() { r.cell().hits.Add(1) }

// NegativeHit counts a look-up that was answered with a negative entry.
func (r *Region) NegativeHit() { r.cell().negativeHits.Add(1) }

// Miss counts a look-up that L1 could not answer.
func (r *Region) Miss() { r.cell().misses.Add(1) }

func (r *Region) cell() *counterCell { return &r.cells[cellIndex(len(r.cells))] }

// Counters sums up what was counted so far. What is counted meanwhile may be in
// it or not.
func (r *Region) Counters() Counters {
	var sum Counters
	for i := range r.cells {
		cell := &r.cells[i]
		sum.Hits += cell.hits.Load()
		sum.NegativeHits += cell.negativeHits.Load()
		sum.Misses += cell.misses.Load()
	}
	return sum
}
