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
// back to version 1. Or F1 lands first and keeps version 1, and F2 lands with
// version 2, which is too large to be kept. So whoever lands raises the fence to
// the sequence of what it read, if another flight was in the air with it at any
// time.
//
// Keys share counters, by hash. What that costs is a flight where a glance would
// have done, or a fence raised without need: a miss, now and then.
type airspace struct {
	flights [16384]atomic.Uint64 // in the high half those that ever took off, in the low half those in the air
}

const (
	oneTakeOff = 1<<32 + 1
	inTheAir   = 1<<32 - 1
)

// ticket is what a flight needs to land.
type ticket struct {
	counter *atomic.Uint64
	at      uint64 // what the counter showed after the take-off
}

// placeOf is which counter the flights of a key are counted on.
func placeOf(hash uint64) int { return int(hash >> 40 % uint64(len(airspace{}.flights))) }

func (a *airspace) counter(hash uint64) *atomic.Uint64 { return &a.flights[placeOf(hash)] }

func (a *airspace) takeOff(hash uint64) ticket {
	c := a.counter(hash)
	return ticket{c, c.Add(oneTakeOff)}
}

// takeOffAlone is takeOff if no flight of the key is in the air.
func (a *airspace) takeOffAlone(hash uint64) (t ticket, ok bool) {
	c := a.counter(hash)
	before := c.Load()
	if before&inTheAir != 0 || !c.CompareAndSwap(before, before+oneTakeOff) {
		return t, false
	}
	return ticket{c, before + oneTakeOff}, true
}

// land reports whether another flight of the key was in the air at any time
// since the take-off.
func (t ticket) land() (met bool) {
	now := t.counter.Add(^uint64(0)) // one less in the air
	return t.at&inTheAir > 1 || now&inTheAir > 0 || now>>32 != t.at>>32
}

// land ends a flight's time in the air, see [airspace].
func (f *flight) land(t ticket, out *outcome) {
	if t.land() && out != nil {
		f.node.fences.Answered(&out.mark)
	}
}
