package tiered

import "sync/atomic"

// airspace counts the flights of each key that are under way at once. There is
// more than one where their kinds differ (a Get beside a GetOrLoad) or where an
// invalidation made a later caller begin a flight of its own.
//
// It is here for the rule that the value of a key never goes back on one
// instance. Flight F1 reads version 1 from Redis and its reply is slow. Another
// instance sets version 2; its message is not here yet. Flight F2, of another
// kind, reads version 2 and its caller returns. Now F1 puts version 1 into L1,
// where nothing voids it until the message arrives, and the next caller goes
// back to version 1. So whoever lands first, while others are in the air,
// raises the fence to the sequence of what it read.
//
// Keys share counters, by hash. What that costs is a flight where a glance would
// have done, or a fence raised without need: a miss, now and then.
type airspace struct {
	flights [8192]atomic.Int32
}

func (a *airspace) of(hash uint64) *atomic.Int32 { return &a.flights[hash>>40%uint64(len(a.flights))] }

func (a *airspace) takeOff(hash uint64) { a.of(hash).Add(1) }

// takeOffAlone is takeOff if no flight of the key is in the air.
func (a *airspace) takeOffAlone(hash uint64) bool { return a.of(hash).CompareAndSwap(0, 1) }

// land reports whether other flights of the key are still in the air.
func (a *airspace) land(hash uint64) (others bool) { return a.of(hash).Add(-1) > 0 }
