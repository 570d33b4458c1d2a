package tiered

import (
	"math"
	"sync/atomic"
)

// barCount is the number of bars: keys that share one share their fate.
const barCount = 512

// bars are times by the hash of a key, on the fences' clock: what was made before them is
// not to be used any more in some way. The zero bars bar nothing.
type bars []atomic.Int64

func newBars() bars {
	b := make(bars, barCount)
	for i := range b {
		b[i].Store(math.MinInt64) // a value may have been made before the clock began
	}
	return b
}

// of is a key's bar.
func (b bars) of(hash uint64) int64 {
	if b == nil {
		return math.MinInt64
	}
	return b[hash>>32%barCount].Load()
}

// raise sets a key's bar. It never lowers it: whoever took the time first may come
// last.
func (b bars) raise(hash uint64, now int64) {
	if b == nil {
		return
	}
	bar := &b[hash>>32%barCount]
	for {
		if was := bar.Load(); was >= now || bar.CompareAndSwap(was, now) {
			return
		}
	}
}
