package tiered

import (
	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l1"
)

// staleCopy is a value past its life that a caller has read from Redis itself.
//
// One that another call has read will not do. A read of the old value is under
// way when somebody replaces it; another caller gets the new one and returns;
// whoever comes then must not be given the old one.
type staleCopy struct {
	wanted    bool // look for it
	value     any
	mark      fence.Mark
	tags      []fence.Mark
	until     int64 // on the fences' clock; 0: there is none
	validator Validator
	made      int64 // on that clock too
}

// hasStale reports whether L1 has a copy that could be served past its life.
func (r *region) hasStale(k keyspace.Key, kind flightKind) bool {
	if !r.usesL1() || kind.bypasses() {
		return false
	}
	e, now := r.node.l1.Find(r.l1, k.Hash, k.Name)
	return e != nil && r.mayServeStale(e, now)
}

// mayServeStale reports whether a copy in L1 that was found valid could be served past
// its life.
func (r *region) mayServeStale(e *l1.Entry, now int64) bool {
	return !e.Negative && now < r.staleEnd(e) && e.Mark.T0 >= r.stale.of(e.Mark.Hash)
}

// mayLive reports whether Redis may have the value of a copy in L1 with some of its life
// left: Config.L1TTL has ended that of the copy alone. Then Redis is asked, also while
// the key is not to be loaded, because a load ahead of time or a forced one has failed.
func (r *region) mayLive(k keyspace.Key, kind flightKind) bool {
	if !r.usesL2() || !r.usesL1() || kind.bypasses() {
		return false
	}
	e, now := r.node.l1.Find(r.l1, k.Hash, k.Name)
	return e != nil && !e.Lapsed && now < e.StaleUntil-int64(r.stale.period)
}

// staleEnd is until when a copy in L1 may be served stale. The life of one that
// nobody has read for Config.SlidingTTL was over then.
func (r *region) staleEnd(e *l1.Entry) int64 {
	if at, unread := e.Unread(); unread {
		return min(e.StaleUntil, at+int64(r.stale.period))
	}
	return e.StaleUntil
}

// staleUntil is until when a copy that expires in L1 may be served past its life; 0:
// not at all. Where L1 is the only tier, that is the value's end.
func (r *region) staleUntil(p *copyOf, expires int64) int64 {
	if r.stale.period <= 0 || p.negative {
		return 0
	}
	if !r.usesL2() {
		return expires + int64(p.past)
	}
	return p.since + int64(min(p.life+p.past, maxLife))
}
