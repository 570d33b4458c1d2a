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
	policy := reflect.ValueOf(c.store).Elem().FieldByName("cachePolicy")
	if policy.Type().Elem().Field(0).Type != reflect.TypeFor[sync.Mutex]() {
		panic("Ristretto's policy does not begin with its lock any more")
	}
	lock := (*sync.Mutex)(policy.UnsafePointer())
	lock.Lock()
	before := c.account.queued.Load()
	c.Put(&Entry{Region: c.Region("stall"), Mark: fence.Mark{Hash: 1 << 63}})
	for c.account.queued.Load() > before { // until the worker has taken it up
		runtime.Gosched()
	}
	return lock.Unlock
}

// Held counts what is in the store and what it is accounted for there.
func Held(c *Cache) (entries, bytes int64) {
	c.store.IterValues(func(e *Entry) bool {
		entries++
		bytes += e.bytes()
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
