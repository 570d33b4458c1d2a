package l1

import (
	"runtime"

	"github.com/doppio-cache/doppio/internal/fence"
)

// What tests of package l1_test need from inside.

// EntryOverhead is what an entry is accounted for besides its value and key.
const EntryOverhead = entryOverhead

// MaxQueued is how many puts may be queued.
const MaxQueued = maxQueued

// StallShard is the part of Ristretto's store that Stall holds up: no key whose
// hash has this low byte may be used meanwhile.
const StallShard = 255

// Stall keeps the worker from going on until release is called: it holds a read
// lock of one part of the store and makes the worker add an entry to that part.
func Stall(c *Cache) (release func()) {
	r := c.Region("stall")
	c.Put(&Entry{Region: r, Key: "held", Mark: fence.Mark{Hash: StallShard}})
	c.Wait()
	held, let, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		c.store.IterValues(func(e *Entry) (stop bool) {
			if e.Region != r {
				return false
			}
			close(held)
			<-let
			return true
		})
	}()
	<-held
	before := c.account.queued.Load()
	c.Put(&Entry{Region: r, Key: "stalls", Mark: fence.Mark{Hash: StallShard + 256}})
	for c.account.queued.Load() > before { // until the worker has taken it up
		runtime.Gosched()
	}
	return func() {
		close(let)
		<-done
	}
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
