package l1

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/doppio-cache/doppio/internal/fence"
)

// Options says how large a cache is and what judges its entries.
type Options struct {
	// MaxBytes is the memory for all entries, in bytes, keys and the overhead of
	// keeping them included. Required; greater than 0.
	//
	// The policy's counters come on top, see [Stats].PolicyBytes: 384 KiB for a
	// cache of 512 KiB, 6 MiB for one of 64 MiB, never more than 3 MiB or an
	// eighth of MaxBytes, whichever is larger.
	MaxBytes int64

	// Fences decides whether an entry may be served. Required.
	Fences *fence.Table
}

func (o Options) validate() error {
	var problems []error
	if o.MaxBytes <= 0 {
		problems = append(problems, fmt.Errorf("l1: MaxBytes is %d, must be greater than 0", o.MaxBytes))
	}
	if o.Fences == nil {
		problems = append(problems, errors.New("l1: Fences is nil, a cache cannot judge its entries without them"))
	}
	return errors.Join(problems...)
}

// Cache holds the entries of all regions of one instance. It is safe for
// concurrent use.
type Cache struct {
	fences   *fence.Table
	maxBytes int64
	counters int64
	store    *ristretto.Cache[uint64, slot]
	guard    guard
	account  account
	worker   worker

	closing sync.Once
	waiting chan struct{} // holds one for each call of Wait that is inside Ristretto

	regionsMu sync.Mutex
	regions   map[string]*Region
}

// New returns an empty cache, or all that is wrong with opts.
func New(opts Options) (*Cache, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	c := &Cache{
		fences:   opts.Fences,
		maxBytes: opts.MaxBytes,
		counters: counters(opts.MaxBytes),
		guard:    newGuard(),
		waiting:  make(chan struct{}, maxWaiting),
		regions:  make(map[string]*Region),
	}
	store, err := ristretto.NewCache(&ristretto.Config[uint64, slot]{
		NumCounters:        numCounters(c.counters),
		MaxCost:            opts.MaxBytes,
		BufferItems:        64,
		IgnoreInternalCost: true, // it is in entryOverhead
		KeyToHash:          func(hash uint64) (uint64, uint64) { return hash, 0 },
		Cost:               c.processed,
		ShouldUpdate:       c.overwrites,
		OnEvict:            c.evicted,
		OnReject:           c.refused,
		OnExit:             c.left,
		// Entries carry their own end, so there is nothing for it to clean up.
		TtlTickerDurationInSec: 24 * 60 * 60,
	})
	if err != nil {
		return nil, fmt.Errorf("l1: %w", err)
	}
	c.store = store
	return c, nil
}

// Region returns the handle of the region with this name, the same one for the
// same name.
func (c *Cache) Region(name string) *Region {
	c.regionsMu.Lock()
	defer c.regionsMu.Unlock()
	r := c.regions[name]
	if r == nil {
		r = newRegion(name)
		c.regions[name] = r
	}
	return r
}

// allRegions are those that there are. One that is made later finds the guard
// closed.
func (c *Cache) allRegions() []*Region {
	c.regionsMu.Lock()
	defer c.regionsMu.Unlock()
	return slices.Collect(maps.Values(c.regions))
}

// Get returns the entry of a key, and its Value, if there is one that may be
// served and whose life is not over, and the time on the fences' clock at which
// that was decided. hash is the hash of region and key; r is a handle from
// [Cache.Region].
//
// It counts a hit or a miss of r, and allocates nothing; Ristretto replaces its
// buffer of recent keys (512 bytes) once in 64 calls.
func (c *Cache) Get(r *Region, hash uint64, key string) (e *Entry, value any, now int64) {
	cell := c.enter(r)
	if cell == nil {
		return nil, nil, c.fences.Now()
	}
	at := c.fences.Moment(hash)
	s, _ := c.store.Get(hash)
	// It leaves as a hit, before anybody knows, because that is one step instead
	// of two, and because the processor gets on with the entry and its value
	// only after it.
	cell.left.Add(1)
	if e := s.entry; c.holds(e, r, key, &at) && (at.Now < atomic.LoadInt64(&e.due) || e.alive(at.Now)) {
		return e, s.value, at.Now
	}
	cell.misses.Add(1)
	return nil, nil, at.Now
}

// Find is Get without a count, and without a look at the entry's life: compare
// now with its Expires and StaleUntil.
func (c *Cache) Find(r *Region, hash uint64, key string) (e *Entry, now int64) {
	cell := c.enter(r)
	if cell == nil {
		return nil, c.fences.Now()
	}
	at := c.fences.Moment(hash)
	s, _ := c.store.Get(hash)
	cell.left.Add(1)
	cell.uncounted.Add(1)
	if e := s.entry; c.holds(e, r, key, &at) {
		return e, at.Now
	}
	return nil, at.Now
}

// holds reports whether an entry, or nil, is the key's and may be served to a
// read that began at the given moment.
func (c *Cache) holds(e *Entry, r *Region, key string, at *fence.Moment) bool {
	return e != nil && e.check == r.check(key) && c.fences.ValidAt(&e.Mark, at) &&
		(len(e.Tags) == 0 || c.fences.ValidTags(e.Tags, at.Now))
}

// Wait returns when all puts that were queued before it have been applied, or
// at once if the cache is closed. It takes as long as Ristretto needs for its
// queue: some microseconds as a rule, a few milliseconds at worst.
func (c *Cache) Wait() {
	cell := c.guard.enter()
	if cell == nil {
		return
	}
	defer cell.leave()
	c.waiting <- struct{}{}
	c.store.Wait()
	<-c.waiting
}

// Close drops all entries and ends the cache's goroutines. It returns when that
// is done, also to a second caller, and always nil. Afterwards Get finds
// nothing, Put keeps nothing, and Wait returns at once.
func (c *Cache) Close() error {
	c.closing.Do(func() {
		c.guard.close()
		for _, r := range c.allRegions() {
			r.drain()
		}
		c.store.Close()
	})
	return nil
}
