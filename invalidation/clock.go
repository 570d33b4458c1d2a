package invalidation

import (
	"math"
	"sync/atomic"
)

// clock knows the time on Redis's clock.
type clock struct {
	offset atomic.Int64 // ns from the fences' clock to Redis's; unknown until the first answer
}

const unknown = math.MinInt64

func (c *clock) init() { c.offset.Store(unknown) }

// set takes in that Redis's clock showed micros at a moment after t0. Until
// then it can have gone on by no more than ours, so micros + (now − t0) never
// underestimates: it is what Redis would show had it read its clock at t0.
func (c *clock) set(micros, t0 int64) { c.offset.Store(micros*1000 - t0) }

func (c *clock) now(local int64) (micros int64, ok bool) {
	offset := c.offset.Load()
	if offset == unknown {
		return 0, false
	}
	return (offset + local) / 1000, true
}
