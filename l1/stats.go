package l1

import "sync/atomic"

// Stats is a snapshot of a cache. Its figures are read one after the other, so
// they need not agree to the last entry.
type Stats struct {
	Entries     int64 // entries held, those queued for admission included
	Bytes       int64 // what they are accounted for, see [Entry].Cost
	MaxBytes    int64 // as given in [Options]
	PolicyBytes int64 // memory of the admission policy's counters, not part of Bytes

	Evictions uint64 // entries that had to make room for others
	Refused   uint64 // puts that the admission policy found not worth the room
	Outdated  uint64 // puts that lost against a newer entry of their key
	Dropped   uint64 // puts that found the queue full
	TooLarge  uint64 // puts that cost more than the whole cache may
}

// Stats returns a snapshot. It is cheap and works on a closed cache, too.
func (c *Cache) Stats() Stats {
	a := &c.account
	return Stats{
		Entries:     a.entries.Load(),
		Bytes:       a.bytes.Load(),
		MaxBytes:    c.maxBytes,
		PolicyBytes: policyBytes(c.counters),
		Evictions:   a.evictions.Load(),
		Refused:     a.refused.Load(),
		Outdated:    a.outdated.Load(),
		Dropped:     a.dropped.Load(),
		TooLarge:    a.tooLarge.Load(),
	}
}

// account is what the cache knows about what it holds. Only puts and what
// follows from them touch it, never a Get.
type account struct {
	entries, bytes atomic.Int64
	queued         atomic.Int64 // puts that Ristretto has not processed yet

	evictions, refused, outdated, dropped, tooLarge atomic.Uint64
}

func (a *account) enter(e *Entry) {
	a.entries.Add(1)
	a.bytes.Add(e.bytes())
}

func (a *account) leave(e *Entry) {
	a.entries.Add(-1)
	a.bytes.Add(-e.bytes())
}
