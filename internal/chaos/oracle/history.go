package oracle

import (
	"cmp"
	"math"
	"slices"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// never is the time of what has not happened.
const never = math.MaxInt64

// history is what has happened to one key.
type history struct {
	commits []int64                // of version i+1
	hard    [wire.Systems]promises // by what voids a value
	soft    [wire.Systems]promises // also by what ends its life
	acks    [wire.Systems][]due    // of whatever is confirmed, by time; without what is long ago
	ended   [wire.Systems][]int64  // [v]: when the first invalidation that followed version v was confirmed
	intents []intent               // of ending leases without a commit that shows it
	loads   [wire.Systems][]held
}

// due is when something was promised, and by what.
type due struct {
	at  int64
	how wire.Write
}

// promise says, for each version, from when on nobody may read an older one:
// [v] is when the first invalidation that followed v or a later version was
// confirmed. What is beyond its end was never promised.
type promise []due

// note takes in a confirmation. One of version v promises v and all before it,
// so times never fall along a promise, and what is earlier already ends the loop.
func (p *promise) note(version uint64, d due) {
	for uint64(len(*p)) <= version {
		*p = append(*p, due{at: never})
	}
	for v := version; v > 0 && (*p)[v].at > d.at; v-- {
		(*p)[v] = d
	}
}

// missed is when a reader of a version had to know a newer one.
func (p promise) missed(version uint64) due {
	if version+1 < uint64(len(p)) {
		return p[version+1]
	}
	return due{at: never}
}

// promises are those to all, and those to the readers of one instance.
type promises struct {
	all promise
	own map[wire.ID]promise // pending ones included
}

func (p *promises) note(id wire.ID, version uint64, d due, all bool) {
	own := p.own[id]
	own.note(version, d)
	if p.own == nil {
		p.own = make(map[wire.ID]promise)
	}
	p.own[id] = own
	if all {
		p.all.note(version, d)
	}
}

// invalidated takes in an invalidation that is confirmed, or pending.
func (h *history) invalidated(d *wire.Invalidation, id wire.ID) {
	due := due{d.End, d.How}
	h.soft[d.System].note(id, d.Version, due, d.Confirmed)
	if d.How != wire.Expire || d.System == wire.Baseline { // which can only delete
		h.hard[d.System].note(id, d.Version, due, d.Confirmed)
	}
	if d.Confirmed {
		h.confirmed(d.System, d.Version, due)
	}
}

func (h *history) confirmed(s wire.System, version uint64, d due) {
	acks := h.acks[s]
	at, _ := slices.BinarySearchFunc(acks, d.at, func(a due, at int64) int { return cmp.Compare(a.at, at) })
	h.acks[s] = slices.Insert(acks, at, d)
	for uint64(len(h.ended[s])) <= version {
		h.ended[s] = append(h.ended[s], never)
	}
	h.ended[s][version] = min(h.ended[s][version], d.at)
}

// last is what was confirmed last before a moment.
func (h *history) last(s wire.System, at int64) (how wire.Write, ok bool) {
	for _, a := range slices.Backward(h.acks[s]) {
		if a.at < at {
			return a.how, true
		}
	}
	return 0, false
}

// intent is somebody's to end leases, or to do without, in a way that no commit
// shows. Its end is when that is over for certain.
type intent struct {
	number   uint64
	from, to int64
}

// held is a load under a lease.
type held struct {
	wire.Load
	id wire.ID
}

// patience is how long an invalidation that was never confirmed is thought to be
// able to take effect: its process was killed, or it failed for good.
const patience = 20e9

// deleted reports whether an invalidation of the key may have taken effect
// between two moments. One can from the commit that it follows to its
// confirmation.
func (h *history) deleted(s wire.System, from, to int64) bool {
	for i := len(h.commits) - 1; i > 0; i-- { // not the version that is there from the beginning
		commit, end := h.commits[i], int64(never)
		if version := i + 1; version < len(h.ended[s]) {
			end = h.ended[s][version]
		}
		if end == never {
			end = commit + patience
		}
		if commit <= to && end >= from {
			return true
		}
	}
	return s == wire.Doppio && slices.ContainsFunc(h.intents, func(i intent) bool {
		return i.from <= to && min(i.to, i.from+patience) >= from
	})
}

// leaseLife is how long a lease lives in Redis if nobody renews it.
const leaseLife = 5e9

// overlapping returns another load that held its lease when l began, or began
// while l held its own, if there is one that nothing explains. (The reports of two
// instances come in any order.)
func (h *history) overlapping(s wire.System, l *held) *held {
	for i := range h.loads[s] {
		first, second := &h.loads[s][i], l
		if first.Begin > second.Begin {
			first, second = second, first
		}
		// A lease is granted after it was asked for, so this one was alive.
		alive := first.Begin < second.Begin && first.End > second.Begin && second.Begin < first.Lease+leaseLife
		if alive && !h.deleted(s, first.Lease, second.Begin) {
			return &h.loads[s][i]
		}
	}
	return nil
}

// prune forgets what nothing that is judged from now on can depend on.
func (h *history) prune(before int64) {
	for s := range h.loads {
		h.loads[s] = slices.DeleteFunc(h.loads[s], func(l held) bool { return l.End < before })
		if old := slices.IndexFunc(h.acks[s], func(a due) bool { return a.at >= before }); old > 1 {
			h.acks[s] = slices.Delete(h.acks[s], 0, old-1) // the last one before is still the last
		}
	}
	h.intents = slices.DeleteFunc(h.intents, func(i intent) bool { return min(i.to, i.from+patience) < before })
}
