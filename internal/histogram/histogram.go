package histogram

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// The buckets are log-linear: the first ends at 10 µs, and each doubling from
// there on is cut into four of equal width. The index is then found by shifts.
const (
	unit    = 2500 // ns: a quarter of the first bucket, the width of those in the first doubling
	octaves = 23   // 10 µs × 2^23 is 84 s; the last buckets of the 23rd are left out, see below
	buckets = 1 + 4*octaves - 2
)

// Largest is the upper bound of the last bucket that has one: about 63 s.
const Largest = time.Duration(unit * 6 << (octaves - 1))

// Unbounded is the upper bound of the bucket for everything above [Largest].
const Unbounded = time.Duration(1<<63 - 1)

// Histogram counts durations. The zero value is ready for use. It is safe for
// concurrent use and must not be copied.
type Histogram struct {
	counts [buckets + 1]atomic.Uint64 // the last is for what is above Largest
	sum    atomic.Int64
}

// Observe counts one duration. Negative ones count as 0.
func (h *Histogram) Observe(d time.Duration) {
	d = max(d, 0)
	h.counts[index(d)].Add(1)
	h.sum.Add(int64(d))
}

// Snapshot is what has been observed so far.
func (h *Histogram) Snapshot() Snapshot {
	s := Snapshot{Buckets: make([]Bucket, buckets+1)}
	for i := range h.counts {
		n := h.counts[i].Load()
		s.Count += n
		s.Buckets[i] = Bucket{UpperBound: bound(i), Count: n}
	}
	s.Sum = time.Duration(h.sum.Load())
	return s
}

// index is the bucket of d, which is not negative.
func index(d time.Duration) int {
	if d > Largest {
		return buckets
	}
	m := uint64(max(d-1, 0)) / unit // upper bounds are inclusive
	if m < 4 {
		return 0
	}
	o := bits.Len64(m) - 3 // the doubling, from 0
	return 1 + 4*o + int(m>>o&3)
}

// bound is the upper bound of bucket i.
func bound(i int) time.Duration {
	switch i {
	case 0:
		return 4 * unit
	case buckets:
		return Unbounded
	}
	o, part := (i-1)/4, (i-1)%4
	return time.Duration(unit * (5 + part) << o)
}
