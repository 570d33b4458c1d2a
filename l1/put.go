package l1

// Ristretto's queue has 32,768 places. Of these at most maxQueued are taken by
// puts and maxWaiting by calls of Wait; the worker needs a few more. So the
// queue is never full, and three things that Ristretto does then never happen:
// a new entry is dropped, the cost of an overwritten one is lost, Del blocks.
const (
	maxQueued  = 30_000
	maxWaiting = 2_000
)

// Put adds an entry, or replaces the older one of its key. It reports false if
// the entry is not kept: it costs more than the whole cache may, the queue is
// full, the cache is closed, or e or its Region is nil. If it reports true the
// entry can still be refused by the admission policy a moment later, or lose
// against a newer one of its key.
//
// Overwriting takes effect at once, a new key's entry as soon as it has passed
// admission, usually within microseconds. Put never blocks.
func (c *Cache) Put(e *Entry) bool {
	if e == nil || e.Region == nil {
		return false
	}
	if e.Cost > c.maxBytes || e.bytes() > c.maxBytes {
		c.account.tooLarge.Add(1)
		return false
	}
	cell := c.guard.enter()
	if cell == nil {
		return false
	}
	defer cell.leave()
	if c.account.queued.Add(1) > maxQueued {
		c.account.queued.Add(-1)
		c.account.dropped.Add(1)
		return false
	}
	e.check = e.Region.check(e.Key)
	e.due = e.firstDue(c.fences.Now())
	return c.hand(e)
}

// hand gives an entry to Ristretto. It takes a place in the queue, which the
// caller has counted.
//
// It is on the account from here until left is called for it, which Ristretto
// does once for each Set that it has taken: when the entry is overwritten,
// evicted or refused.
func (c *Cache) hand(e *Entry) bool {
	c.account.enter(e)
	// A cost of 0 makes Ristretto ask processed for it.
	if c.store.Set(e.Mark.Hash, slot{e, e.Value}, 0) {
		return true
	}
	c.account.leave(e)
	c.account.queued.Add(-1)
	c.account.dropped.Add(1)
	return false
}

// overwrites is what Ristretto asks, under the lock of a part of its store,
// before it replaces an entry.
//
// Where the cache is too full, one that grows has to pass admission like a new
// key's (see refused), because Ristretto makes room only when it adds a key. When
// it overwrites one it merely takes note of the cost: a thousand negative
// entries that become large values one by one would fill any amount of memory.
func (c *Cache) overwrites(s, than slot) bool {
	e, old := s.entry, than.entry
	return e.Supersedes(old) && (e.bytes() <= old.bytes() || !c.overfull())
}

// overfull reports whether the cache is larger than MaxBytes by a sixteenth of
// it. That much is left to overwriting, since the next key to be added brings
// the cache below MaxBytes again.
func (c *Cache) overfull() bool {
	limit := c.maxBytes + c.maxBytes/16
	// The first figure costs nothing, but it includes what is queued.
	return c.account.bytes.Load() > limit && c.maxBytes-c.store.RemainingCost() > limit
}
