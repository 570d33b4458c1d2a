package l1

import (
	"math"
	"math/bits"
)

// meanEntryBytes is the mean size of an entry that the policy is sized for,
// with the overhead: a key of some 20 bytes and a value of some 170. A cache
// with smaller entries has fewer counters for each, one with larger entries
// more; neither changes the hit ratio much, since the number is generous.
const meanEntryBytes = 512

// Bounds on the number of counters: of a cache too small to matter, and of one
// so large (13 GiB) that the counters take 768 MiB.
const (
	minCounters = 1 << 10
	maxCounters = 1 << 28
)

// counters is the size of the policy's frequency sketch for a cache of maxBytes:
// a power of two.
//
// Ristretto advises 10 counters for each entry. The sketch forgets (halves all
// counts) after as many accesses as it has counters, so a cache of 1,000
// entries would forget every 10,000 accesses, too soon to tell a key that is
// read now and then from one that is read once. So there are 100 for each entry
// up to 1,000 entries, 10 from 100,000 on, and in between a number that falls
// with the square root of the entries.
func counters(maxBytes int64) int64 {
	entries := float64(maxBytes) / meanEntryBytes
	each := min(100, max(10, 100*math.Sqrt(1000/entries)))
	wanted := int64(min(maxCounters, max(minCounters, entries*each)))
	return 1 << bits.Len64(uint64(wanted-1))
}

// numCounters is what to ask Ristretto for so that its sketch has the given
// number of counters. It rounds up to a power of two both the sketch and the
// bits of the filter before it, of which it wants 9.6 a counter; with five
// sixths of a power of two both come out just full.
func numCounters(counters int64) int64 { return counters * 5 / 6 }

// policyBytes is the memory of the policy's counters: four rows of 4 bits each,
// and a byte of the filter.
func policyBytes(counters int64) int64 { return 3 * counters }
