package l1

import (
	"hash/maphash"
	"runtime"
	"sync/atomic"
)

// Region is a handle that the entries of one region share, and its counters.
// Get one from [Cache.Region]. It is safe for concurrent use.
type Region struct {
	name  string
	seed  maphash.Seed
	cells []counterCell
	idle  int64 // see KeepWhileRead; 0: off
}

// counterCell is one share of a region's counters, in two cache lines of its
// own; see guardCell. It is also a guard like guardCell: a look-up that is
// inside Ristretto has entered and has not left yet. So what a hit has to count
// anyway is its way out.
type counterCell struct {
	entered, left     atomic.Uint64
	misses, uncounted atomic.Uint64 // look-ups among left that are no hits
	negativeHits      atomic.Uint64
	_                 [88]byte
}

// enter is [guard.enter] for look-ups. Whoever gets a cell must count itself
// into left.
func (c *Cache) enter(r *Region) *counterCell {
	if c.guard.closed.Load() {
		return nil
	}
	cell := r.cell()
	cell.entered.Add(1)
	if c.guard.closed.Load() {
		cell.left.Add(1)
		cell.uncounted.Add(1)
		return nil
	}
	return cell
}

// inside is the number of look-ups inside. Those that have left are counted
// first: with the two steps the other way round, one that comes and goes between
// them would make up for one that is inside.
func (cell *counterCell) inside() uint64 {
	left := cell.left.Load()
	return cell.entered.Load() - left
}

// drain returns when all look-ups have left. The guard must be closed.
func (r *Region) drain() {
	for i := range r.cells {
		for r.cells[i].inside() != 0 {
			runtime.Gosched()
		}
	}
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

// NegativeHit says that the hit which was counted last was a negative entry: the
// caller has to look at the value anyway, and a hit that is none need not.
func (r *Region) NegativeHit() { r.cell().negativeHits.Add(1) }

func (r *Region) cell() *counterCell { return &r.cells[cellIndex(len(r.cells))] }

// Counters sums up what was counted so far. What is counted meanwhile may be in
// it or not; a look-up may be taken for a hit until it has been counted as a
// miss, some nanoseconds later.
func (r *Region) Counters() Counters {
	var sum Counters
	var notHits uint64
	for i := range r.cells { // before the look-ups, of which they are a part
		cell := &r.cells[i]
		sum.NegativeHits += cell.negativeHits.Load()
		sum.Misses += cell.misses.Load()
		notHits += cell.uncounted.Load()
	}
	for i := range r.cells {
		sum.Hits += r.cells[i].left.Load()
	}
	notHits += sum.NegativeHits + sum.Misses
	sum.Hits -= notHits
	return sum
}
