package l1

import "github.com/dgraph-io/ristretto/v2"

// worker is the state of the one goroutine of Ristretto's that works off the
// queue. It calls processed, refused and evicted, holding no lock, and nobody
// else touches this. It alone adds keys to the store and takes them out, so a
// key that it finds there, or not, stays so during the call.
type worker struct {
	processed uint64 // puts that have left the queue
	removable uint64 // at this count no Del is in the queue
}

// processed is called for each put that leaves the queue, before anything else
// is done with it. It returns what the policy is to note as the cost of its key.
//
// That is the cost of the entry which is there, if there is one, and not
// necessarily of this put. Ristretto's Set changes the store and then queues the
// cost, so of two goroutines that overwrite a key the first may be the second in
// the queue; and a put that lost against a newer entry is queued all the same.
// Since every change of the store is followed by a call of this, the last call
// sees the last change.
func (c *Cache) processed(s slot) int64 {
	e := s.entry
	c.account.queued.Add(-1)
	c.worker.processed++
	if present := c.present(e.Mark.Hash); present != nil {
		return present.bytes()
	}
	return e.bytes()
}

// refused is called for each put that was queued as a new key's and not added.
// If there is no such key, the policy found it not worth the room. Otherwise
// the key was already there when its turn came, for one of three reasons:
//
//   - Put(1), Put(2) for a new key: both were queued as new, and the first was
//     added. Ristretto would throw the second away. It is the newer one, so it
//     is handed over again and now overwrites. It comes back here only if a
//     still newer one overtakes it, so this ends.
//   - It lost against a newer entry when it was put (see overwrites); Ristretto
//     then goes on as for a new key.
//   - It won, but would have made a cache that is too full larger still. The key
//     is taken out, so that the next entry put for it passes admission, which
//     makes room for it. This entry is not put in its place at once: between
//     the two steps a newer one may have been put, and would be gone.
func (c *Cache) refused(item *ristretto.Item[slot]) {
	e, present := item.Value.entry, c.present(item.Key)
	switch {
	case present == nil:
		c.account.refused.Add(1)
	case !e.Supersedes(present):
		c.account.outdated.Add(1)
	case e.bytes() <= present.bytes() || !c.overfull():
		c.rehand(e)
	default:
		c.account.refused.Add(1)
		c.remove(item.Key)
	}
}

// present is the entry that the store has under a hash, or nil.
func (c *Cache) present(hash uint64) *Entry {
	// A Get counts as an access. It is not to count for a key that is not there:
	// it would pass admission because it asks for it.
	if _, ok := c.store.GetTTL(hash); !ok {
		return nil
	}
	s, _ := c.store.Get(hash)
	return s.entry
}

// rehand hands over an entry from the worker's own goroutine. At most one place
// of the queue is taken here for the one that has just been given back.
func (c *Cache) rehand(e *Entry) {
	c.account.queued.Add(1)
	c.hand(e)
}

// remove takes a key out of the store and the policy, unless the Del of an
// earlier call may still be queued. Dels are not counted like puts, and were
// the queue ever full, sending to it from the goroutine that empties it would
// be the end. The queue is first in, first out: the Del has left it when one
// more put has been processed than were before it.
func (c *Cache) remove(hash uint64) {
	if c.worker.processed < c.worker.removable {
		return
	}
	c.store.Del(hash)
	c.worker.removable = c.worker.processed + uint64(c.account.queued.Load()) + 1
}

// evicted is called for each entry that had to make room, and by Close for all
// that are left.
func (c *Cache) evicted(*ristretto.Item[slot]) {
	if !c.guard.closed.Load() {
		c.account.evictions.Add(1)
	}
}

// left is called, from any goroutine, for each put that ends; e is nil for a Del
// that found nothing.
func (c *Cache) left(s slot) {
	if s.entry != nil {
		c.account.leave(s.entry)
	}
}
