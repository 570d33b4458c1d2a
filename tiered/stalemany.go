package tiered

import (
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
)

// batchStale is what a call for several keys knows of values past their lives. It
// does for each key what fetchOrStale does for one.
type batchStale struct {
	throttled []bool           // by index of the key: not to be loaded for a while
	began     []fence.Stamp    // by index of the key: taken before its flight was joined
	soft      <-chan time.Time // when the call takes stale values; nil: never
	over      bool             // soft has said so
}

// staleMany begins that, and answers for keys that L1 has a stale value of and
// that are not to be loaded now. It returns nil where no value may be served past
// its life, and the keys that are left.
func (b *batch) staleMany(keys []keyspace.Key, answers []answered, todo []int, arrival int64) (left []int) {
	if b.region.stale.period <= 0 || b.kind != flightLoad && b.kind != flightBypassLoad {
		return todo
	}
	b.past = &batchStale{throttled: make([]bool, len(keys)), began: make([]fence.Stamp, len(keys))}
	left = todo[:0]
	for _, i := range todo {
		if b.past.throttled[i] = b.region.stale.throttle.holds(keys[i].Hash, arrival); b.past.throttled[i] && !b.mayLive(keys[i], b.kind) {
			if out, ok := b.serveStale(keys[i], b.kind, nil); ok {
				answers[i] = answered{outcome: out, final: true}
				continue
			}
		}
		left = append(left, i)
	}
	return left
}

// settledStale answers for a key that is not to be loaded now, and of which the
// look into Redis has found a stale value.
func (b *batch) settledStale(i int, f *flight, held *staleCopy, a *answered) bool {
	if b.past == nil || !b.past.throttled[i] {
		return false
	}
	return b.giveStale(f, held, a)
}

// giveStale answers with a stale value, if there is one that may be served.
func (b *batch) giveStale(f *flight, held *staleCopy, a *answered) bool {
	out, ok := b.serveStale(f.key, b.kind, held)
	if ok {
		*a = answered{outcome: out, final: true}
	}
	return ok
}

// slow answers for the i-th key, whose load is slower than Config.SoftTimeout.
func (b *batch) slow(i int, f *flight, held *staleCopy, a *answered) bool {
	b.past.over = true
	if !b.giveStale(f, held, a) {
		return false // there is nothing else to be had
	}
	b.leaveAlone(&b.past.began[i])
	return true
}

// vouched reports whether a stale value that was found good some time ago still is.
// As in [region.serveStale], whether an invalidation is pending is asked first.
func (r *region) vouched(k keyspace.Key, out *outcome) bool {
	n := r.node
	if n.conflicted() || n.backplane != nil && n.backplane.Pending(k.Hash) {
		return false
	}
	now, ok := n.fences.Valid(&out.mark)
	return ok && n.fences.ValidTags(out.tags, now)
}
