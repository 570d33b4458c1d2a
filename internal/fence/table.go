package fence

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of a fence word: the low bits hold a sequence, which starts as a time
// in µs and must stay exact in a Lua number (2^53 µs is the year 2255); the
// high bits count local voidings of the stripe, see [Table.Void].
const (
	sequenceBits = 53
	sequenceMask = 1<<sequenceBits - 1
	maxVoidings  = 1<<(64-sequenceBits) - 1
)

// never is the lease of a partition that was not heard from yet. It is far
// enough in the past for any bound, and near enough not to overflow.
const never = math.MinInt64 / 4

// forever is the lease of a table that has no peers to hear from.
const forever = math.MaxInt64 / 4

// minStripes is the number of stripes of a small cache, over all partitions.
const minStripes = 1 << 16

// Table holds the fences of all partitions of one instance.
type Table struct {
	base       time.Time
	bound      int64 // ns
	parts      []partition
	mod        uint64 // number of partitions
	powerOf2   bool   // mod is one
	stripeMask uint64
}

// partition is the state of one partition. What every read loads stands apart
// from what only writers touch, so that a hit does not share a cache line with
// the subscriber's bookkeeping.
type partition struct {
	lease      atomic.Int64  // ns since Table.base
	floor      atomic.Uint64 // sequence: everything below is void
	generation atomic.Uint64 // even; odd while stripes are being rewritten
	stripes    []atomic.Uint64
	_          [64]byte

	mu       sync.Mutex    // serializes writers
	last     atomic.Uint64 // highest sequence heard
	voidings atomic.Uint64 // calls of Void
	rewound  atomic.Int64  // when the stripes were emptied last, or did not get a number, on the table's clock
	seen     atomic.Uint64 // highest sequence that Redis is known to have counted; those before it need not have been heard
	_        [64]byte
}

// New returns a table in which nothing has been heard yet: no mark is valid by
// a lease, only by its own age. cacheBytes is the size of the cache that it
// guards; there is at least one stripe per KiB of it, so that the keys that
// share a stripe with an invalidated one stay few.
func New(partitions int, bound time.Duration, cacheBytes int64) *Table {
	stripes := max(minStripes, int(cacheBytes>>10))
	per := 1 << bits.Len(uint(max(1, stripes/partitions)-1))
	t := &Table{
		base:       time.Now(),
		bound:      int64(bound),
		parts:      make([]partition, partitions),
		mod:        uint64(partitions),
		powerOf2:   partitions&(partitions-1) == 0,
		stripeMask: uint64(per - 1),
	}
	for i := range t.parts {
		p := &t.parts[i]
		p.stripes = make([]atomic.Uint64, per)
		p.lease.Store(never)
		p.rewound.Store(never)
		p.generation.Store(2)
	}
	return t
}

// Now is the time on the table's clock: monotonic nanoseconds since New.
func (t *Table) Now() int64 { return int64(time.Since(t.base)) }

// Bound is the bound on staleness that the table enforces.
func (t *Table) Bound() time.Duration { return time.Duration(t.bound) }

// Partitions is the number of partitions.
func (t *Table) Partitions() int { return len(t.parts) }

// Partition is the partition of a hash.
func (t *Table) Partition(hash uint64) int { return int(t.index(hash)) }

// index is hash % mod. Every hit needs it, and a division takes a tenth of a
// hit's time, so for powers of two, like the default, there is none.
func (t *Table) index(hash uint64) uint64 {
	if t.powerOf2 {
		return hash & (t.mod - 1)
	}
	return hash % t.mod
}

func (t *Table) of(hash uint64) (*partition, *atomic.Uint64) {
	p := &t.parts[t.index(hash)]
	// The low bits chose the partition, so the stripe is chosen by high ones.
	return p, &p.stripes[(hash>>32)&t.stripeMask]
}

// Last is the highest sequence heard in partition p.
func (t *Table) Last(p int) uint64 { return t.parts[p].last.Load() }

// Lease is the time on the table's clock at which partition p is known to have
// heard everything, and whether there is such a time.
func (t *Table) Lease(p int) (at int64, ok bool) {
	at = t.parts[p].lease.Load()
	return at, at > never
}

// Live reports whether partition p has a lease within the bound.
func (t *Table) Live(p int) bool {
	lease := t.parts[p].lease.Load()
	return t.Now()-lease <= t.bound
}
