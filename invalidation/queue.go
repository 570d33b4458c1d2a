package invalidation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// queue holds the invalidations that Redis has not confirmed, until it does.
// It never holds a value. What it is given, it sends or widens to the whole
// partition, but does not forget.
type queue struct {
	b     *Backplane
	wake  chan struct{}
	count atomic.Int64 // keys and whole partitions that wait; changed under mu

	mu    sync.RWMutex
	parts []waiting
	idle  chan struct{} // closed while nothing waits
}

// waiting is what waits in one partition.
type waiting struct {
	keys   map[entryID]*entry
	hashes map[uint64]int // how many of the keys have this hash
	order  []*entry       // oldest first

	// All keys of these regions are to be invalidated, besides the single ones: a key
	// is not taken for a part of its region, because the two may leave different
	// things in Redis. version counts what was added.
	regions map[string]struct{}
	version uint64
	folded  uint64 // how often the single keys gave way to their regions

	failures int
	err      error // of the last attempt, if it failed
	next     int64 // when to try again, on the fences' clock
	sending  bool
}

type entryID struct{ region, name string }

// entry is one key that waits. version counts how often it was added: an
// attempt that began before the last time does not cover it.
type entry struct {
	key     keyspace.Key
	version uint64
}

func (q *queue) init(b *Backplane) {
	q.b = b
	q.wake = make(chan struct{}, 1)
	q.parts = make([]waiting, b.layout.Partitions())
	q.idle = make(chan struct{})
	close(q.idle)
}

func (q *queue) pending(hash uint64) bool {
	q.mu.RLock()
	defer q.mu.RUnlock()
	w := &q.parts[q.b.layout.Partition(hash)]
	return w.whole() || w.hashes[hash] > 0
}

// whole reports whether the partition as a whole is to be invalidated.
func (w *waiting) whole() bool { return len(w.regions) > 0 }

// add takes over keys. They are queued first and voided second. A reader does
// three things in this order: stamp, pending, read of L2. If its pending comes
// before the key is queued, then so does its stamp, and the voiding rejects
// what it read. Were the key voided first: void, reader's stamp, reader's
// pending (false), queue, reader's L2 read of the value that the invalidation
// has not removed yet; nothing rejects that until the retry succeeds.
func (q *queue) add(keys []keyspace.Key) {
	if len(keys) == 0 {
		return
	}
	var overflown []int
	q.mu.Lock()
	for _, k := range keys {
		p := q.b.layout.Partition(k.Hash)
		if q.addLocked(p, k) {
			overflown = append(overflown, p)
		}
	}
	q.mu.Unlock()
	for _, k := range keys {
		q.b.fences.Void(k.Hash)
	}
	for _, p := range overflown {
		q.b.fences.VoidPartition(p)
		q.b.counters.overflows.Add(1)
		q.b.counters.flushes.overflow.Add(1)
	}
	kick(q.wake)
}

// addLocked queues one key, and reports whether that made its partition
// overflow. The caller holds q.mu.
func (q *queue) addLocked(p int, k keyspace.Key) (overflow bool) {
	w := &q.parts[p]
	id := entryID{k.Region, k.Name}
	if e := w.keys[id]; e != nil {
		e.version++
		return false
	}
	if q.count.Load() >= int64(q.b.opts.QueueLimit) {
		overflow = !w.whole() || len(w.keys) > 0
		q.foldLocked(p)
		q.widenLocked(p, k.Region)
		return overflow
	}
	if w.keys == nil {
		w.keys, w.hashes = make(map[entryID]*entry), make(map[uint64]int)
	}
	e := &entry{key: k}
	w.keys[id] = e
	w.hashes[k.Hash]++
	w.order = append(w.order, e)
	q.counted(1)
	return false
}

// addPartition takes over the invalidation of all keys of these regions in
// partition p.
func (q *queue) addPartition(p int, regions []string) {
	q.mu.Lock()
	for _, r := range regions {
		q.widenLocked(p, r)
	}
	q.mu.Unlock()
	q.b.fences.VoidPartition(p) // after it was queued, as in add
	kick(q.wake)
}

// foldLocked replaces the partition's keys by the whole of their regions. The
// caller holds q.mu.
func (q *queue) foldLocked(p int) {
	w := &q.parts[p]
	for id := range w.keys {
		q.widenLocked(p, id.region)
	}
	q.counted(-len(w.keys))
	w.keys, w.hashes, w.order = nil, nil, nil
	w.folded++
}

// widenLocked adds a region of the partition. The caller holds q.mu.
func (q *queue) widenLocked(p int, region string) {
	w := &q.parts[p]
	if !w.whole() {
		w.regions = make(map[string]struct{})
		q.counted(1)
	}
	w.regions[region] = struct{}{}
	w.version++
}

// counted changes the number of what waits. The caller holds q.mu.
func (q *queue) counted(n int) {
	before := q.count.Load()
	now := q.count.Add(int64(n))
	switch {
	case before == 0 && now > 0:
		q.idle = make(chan struct{})
	case before > 0 && now == 0:
		close(q.idle)
	}
}

// distrust lets no attempt that is under way take anything out of the queue.
func (q *queue) distrust(p int) {
	if q.count.Load() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	w := &q.parts[p]
	w.version++
	for _, e := range w.order {
		e.version++
	}
}

// hurry lets partition p be tried at once: its primary has just answered.
func (q *queue) hurry(p int) {
	if q.count.Load() == 0 {
		return
	}
	q.mu.Lock()
	q.parts[p].next, q.parts[p].failures = 0, 0
	q.mu.Unlock()
	kick(q.wake)
}

// size is the number of keys and of whole partitions that wait.
func (q *queue) size() (keys, partitions int) {
	if q.count.Load() == 0 {
		return 0, 0
	}
	q.mu.RLock()
	defer q.mu.RUnlock()
	for i := range q.parts {
		keys += len(q.parts[i].keys)
		if q.parts[i].whole() {
			partitions++
		}
	}
	return keys, partitions
}

func (q *queue) drain(ctx context.Context) error {
	q.mu.RLock()
	idle := q.idle
	q.mu.RUnlock()
	select {
	case <-idle:
		return nil
	default:
	}
	for p := range q.parts {
		q.hurry(p)
	}
	var why error
	select {
	case <-idle:
		return nil
	case <-q.b.ctx.Done():
		why = ErrClosed
	case <-ctx.Done():
		why = ctx.Err()
	}
	keys, partitions := q.size()
	if keys+partitions == 0 {
		return nil
	}
	what := fmt.Sprintf("%d keys and %d whole partitions wait for Redis's confirmation", keys, partitions)
	cause := q.cause()
	if cause != nil {
		what += " (" + cause.Error() + ")"
	}
	return &waitError{what, why, cause}
}

// batch is what one attempt sends.
type batch struct {
	partition int
	keys      []keyspace.Key
	regions   []string // if not empty: all keys of these, and no single ones

	entries  []*entry
	versions []uint64 // of the entries, or of the regions, at the begin of the attempt
	folded   uint64
}

// maxBatch bounds the keys of one attempt.
const maxBatch = 256

// due returns a batch for each partition that may be tried now, and how long to
// wait for the next one if there is none.
func (q *queue) due(now int64) (batches []batch, wait time.Duration) {
	wait = time.Hour
	if q.count.Load() == 0 {
		return nil, wait
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for p := range q.parts {
		w := &q.parts[p]
		switch {
		case w.sending || !w.whole() && len(w.order) == 0:
		case w.next > now:
			wait = min(wait, time.Duration(w.next-now))
		default:
			w.sending = true
			batches = append(batches, w.batch(p))
		}
	}
	return batches, wait
}

// batch is the regions that wait, or the oldest of the keys: where both do, they
// take turns, so that neither keeps the other waiting that is refused. The caller
// holds the queue's mutex.
func (w *waiting) batch(p int) batch {
	if w.whole() && (len(w.order) == 0 || w.failures%2 == 0) {
		return batch{partition: p, regions: slices.Sorted(maps.Keys(w.regions)), versions: []uint64{w.version}}
	}
	t := batch{partition: p, folded: w.folded, entries: slices.Clone(w.order[:min(maxBatch, len(w.order))])}
	for _, e := range t.entries {
		t.keys = append(t.keys, e.key)
		t.versions = append(t.versions, e.version)
	}
	return t
}

// done takes a batch that Redis has confirmed out of the queue, apart from
// what was added again meanwhile: that may stand for a write which came after
// the invalidation. The fences have been raised before, see retry.
func (q *queue) done(t batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := &q.parts[t.partition]
	w.sending, w.failures, w.next, w.err = false, 0, 0, nil
	if len(t.regions) > 0 {
		if w.version == t.versions[0] {
			w.regions = nil
			q.counted(-1)
		}
		return
	}
	if w.folded != t.folded {
		return // they gave way to their regions meanwhile, which wait
	}
	w.order = w.order[len(t.entries):]
	for i, e := range t.entries {
		if e.version != t.versions[i] {
			w.order = append(w.order, e)
			continue
		}
		delete(w.keys, entryID{e.key.Region, e.key.Name})
		if w.hashes[e.key.Hash]--; w.hashes[e.key.Hash] == 0 {
			delete(w.hashes, e.key.Hash)
		}
		q.counted(-1)
	}
	if len(w.order) == 0 {
		w.order = nil // do not keep what it pointed to
	}
}

// failed notes that a batch could not be sent, or that its outcome is unknown.
func (q *queue) failed(t batch, err error, now int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := &q.parts[t.partition]
	w.sending, w.err = false, err
	w.failures++
	w.next = now + int64(backoff(w.failures, firstResend, lastResend))
}
