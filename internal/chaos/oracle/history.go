package oracle

import (
	"math"
	"slices"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// never is the time of what has not happened.
const never = math.MaxInt64

// history is what has happened to one key.
type history struct {
	commits []int64 // of version i+1
	acks    [wire.Systems][]ack
	loads   [wire.Systems][]held
}

// ack is a Delete that has returned.
type ack struct {
	version uint64
	at      int64
	id      wire.ID
	own     bool // counts on its own instance only: it is pending
}

// held is a load under a lease.
type held struct {
	wire.Load
	id wire.ID
}

// deadlines says, for each version, from when on nobody may read an older one.
// It is made of the acks that are known at a time.
type deadlines struct {
	all []int64             // [v]: when the first Delete that followed v or a later version returned
	own map[wire.ID][]int64 // the same for the Deletes of one instance, pending ones included
}

// deadlines of a system. An ack of version v promises v and all before it.
func (h *history) deadlines(s wire.System) deadlines {
	versions := len(h.commits)
	d := deadlines{all: unset(versions + 2), own: make(map[wire.ID][]int64)}
	note := func(t []int64, a *ack) { t[a.version] = min(t[a.version], a.at) }
	for i := range h.acks[s] {
		a := &h.acks[s][i]
		if d.own[a.id] == nil {
			d.own[a.id] = unset(versions + 2)
		}
		note(d.own[a.id], a)
		if !a.own {
			note(d.all, a)
		}
	}
	suffixMin(d.all)
	for _, t := range d.own {
		suffixMin(t)
	}
	return d
}

func unset(n int) []int64 { return slices.Repeat([]int64{never}, n) }

func suffixMin(t []int64) {
	for i := len(t) - 2; i >= 0; i-- {
		t[i] = min(t[i], t[i+1])
	}
}

// patience is how long a Delete that was never confirmed is thought to be able
// to take effect: its process was killed, or it failed for good.
const patience = 20e9

// deleted reports whether a Delete of the key may have taken effect between
// two moments. One can from the commit that it follows to its confirmation.
func (h *history) deleted(s wire.System, from, to int64) bool {
	confirmed := unset(len(h.commits) + 1)
	for _, a := range h.acks[s] {
		if !a.own {
			confirmed[a.version] = min(confirmed[a.version], a.at)
		}
	}
	for i, commit := range h.commits {
		if i == 0 {
			continue // the version that is there from the beginning
		}
		end := confirmed[i+1]
		if end == never {
			end = commit + patience
		}
		if commit <= to && end >= from {
			return true
		}
	}
	return false
}

// leaseLife is how long a lease lives in Redis if nobody renews it.
const leaseLife = 5e9

// overlapping returns an earlier load that still held its lease when l began,
// if there is one that nothing explains.
func (h *history) overlapping(s wire.System, l *held) *held {
	for i := range h.loads[s] {
		e := &h.loads[s][i]
		// A lease is granted after it was asked for, so this one was alive.
		alive := e.Begin < l.Begin && e.End > l.Begin && l.Begin < e.Lease+leaseLife
		if alive && !h.deleted(s, e.Lease, l.Begin) {
			return e
		}
	}
	return nil
}

// prune forgets loads that no later one can overlap.
func (h *history) prune(before int64) {
	for s := range h.loads {
		h.loads[s] = slices.DeleteFunc(h.loads[s], func(l held) bool { return l.End < before })
	}
}
