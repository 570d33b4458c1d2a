package l1

import (
	"reflect"
	"runtime"
	"sync"

	"github.com/doppio-cache/doppio/internal/fence"
)

// What tests of package l1_test need from inside.

// EntryOverhead is what an entry is accounted for besides its value and key.
const EntryOverhead = entryOverhead

// MaxQueued is how many puts may be queued.
const MaxQueued = maxQueued

// Stall keeps the worker from going on until release is called: it holds the
// lock of Ristretto's policy. Get and Put do not need that (Put does where the
// cache is too full).
func Stall(c *Cache) (release func()) {
	lock := firstField[sync.Mutex](reflect.ValueOf(c.store).Elem().FieldByName("cachePolicy"))
	lock.Lock()
	before := c.account.queued.Load()
	c.Put(&Entry{Region: c.Region("stall"), Mark: fence.Mark{Hash: 1 << 63}})
	for c.account.queued.Load() > before { // until the worker has taken it up
		runtime.Gosched()
	}
	return lock.Unlock
}

// Lock keeps everybody from the part of Ristretto's store that holds a hash
// until unlock is called.
func Lock(c *Cache, hash uint64) (unlock func()) {
	shards := reflect.ValueOf(c.store).Elem().FieldByName("storedItems").Elem().Elem().FieldByName("shards")
	lock := firstField[sync.RWMutex](shards.Index(int(hash % uint64(shards.Len()))))
	lock.Lock()
	return lock.Unlock
}

// firstField is the first field of the struct that pointer points to.
func firstField[T any](pointer reflect.Value) *T {
	if pointer.Type().Elem().Field(0).Type != reflect.TypeFor[T]() {
		panic("Ristretto has changed inside: " + pointer.Type().String())
	}
	return (*T)(pointer.UnsafePointer())
}

// Inside is the number of calls inside the guard, and whether it is closed.
func Inside(c *Cache) (n int64, closed bool) {
	for i := range c.guard.cells {
		n += c.guard.cells[i].inside.Load()
	}
	for _, r := range c.allRegions() {
		for i := range r.cells {
			n += int64(r.cells[i].inside())
		}
	}
	return n, c.guard.closed.Load()
}

// Held counts what is in the store and what it is accounted for there.
func Held(c *Cache) (entries, bytes int64) {
	c.store.IterValues(func(s slot) bool {
		entries++
		bytes += s.entry.bytes()
		return false
	})
	return entries, bytes
}

// Charged is what the policy thinks that the store holds.
func Charged(c *Cache) int64 { return c.maxBytes - c.store.RemainingCost() }

// Queued is the number of puts that are not processed yet.
func Queued(c *Cache) int64 { return c.account.queued.Load() }

// Sizing is what the policy is sized to for a cache of maxBytes.
func Sizing(maxBytes int64) (sketch, asked, bytes int64) {
	n := counters(maxBytes)
	return n, numCounters(n), policyBytes(n)
}
