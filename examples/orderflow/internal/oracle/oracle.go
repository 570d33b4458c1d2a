// Package oracle judges how old the answers of a service are, from outside.
//
// It knows only what clients know: when a change was answered and with which
// version, when a read began and which version it brought. It knows nothing of
// caches, and judges every system by the same rule:
//
//	A read is older than the bound if it began more than the bound after the
//	answer to a change whose invalidation was confirmed, and brought an earlier
//	version than that change's.
//
// Both times are taken at the client and on one clock. The read began at the
// server later than at the client, and the invalidation was confirmed earlier
// than its answer arrived, so a read that is counted here has really broken the
// promise.
//
// A change whose invalidation was not confirmed (Doppio's PendingError: the
// instance that wrote was cut off from Redis) starts the bound only when that
// instance has nothing left to send again. One that is never confirmed never
// starts it. Both still count as staleness: see [Verdict].
package oracle

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Change is a committed change of a product.
type Change struct {
	Product  int64
	Version  int64 // after it
	Instance int   // that made it
	// Answered is when the client had the answer.
	Answered time.Time
	// Pending says that the invalidation was not confirmed.
	Pending bool
}

// Read is an answer with the version of a product.
type Read struct {
	Product  int64
	Version  int64
	Instance int // that answered
	Began    time.Time
}

// Verdict is what the oracle has seen so far.
type Verdict struct {
	Reads   uint64 // answers judged
	Changes uint64 // changes recorded
	TooOld  uint64 // answers older than the bound
	First   string // describes the first answer that was too old
	// Worst is the longest time between the confirmation of a change's
	// invalidation and the beginning of a read that did not show the change.
	Worst time.Duration
	// WorstOfAll is the same from the answer to the change, confirmed or not.
	WorstOfAll time.Duration
}

// Oracle keeps all changes of all products. It is safe for concurrent use.
type Oracle struct {
	bound time.Duration

	mu       sync.Mutex
	products map[int64][]*change // by version
	pending  map[int][]*change   // by instance
	verdict  Verdict
}

type change struct {
	Change
	confirmed time.Time // zero: not yet
}

// New returns an oracle that knows no change.
func New(bound time.Duration) *Oracle {
	return &Oracle{bound: bound, products: make(map[int64][]*change), pending: make(map[int][]*change)}
}

// Changed records a change.
func (o *Oracle) Changed(c Change) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.verdict.Changes++
	entry := &change{Change: c}
	if c.Pending {
		o.pending[c.Instance] = append(o.pending[c.Instance], entry)
	} else {
		entry.confirmed = c.Answered
	}
	// Answers may overtake each other; versions are what the database says.
	list := o.products[c.Product]
	at, _ := slices.BinarySearchFunc(list, c.Version, func(e *change, v int64) int { return int(e.Version - v) })
	o.products[c.Product] = slices.Insert(list, at, entry)
}

// HasPending reports whether changes made by the instance are unconfirmed.
func (o *Oracle) HasPending(instance int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.pending[instance]) > 0
}

// Drained says that at time now the instance was found to have nothing left to
// send again. asked is when the question was put: changes answered before it
// are confirmed, others may have been queued since.
func (o *Oracle) Drained(instance int, asked, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending[instance] = slices.DeleteFunc(o.pending[instance], func(e *change) bool {
		if !e.Answered.Before(asked) {
			return false
		}
		e.confirmed = now
		return true
	})
}

// Judge judges one answer, which may show several products (a list); it is too
// old at most once.
func (o *Oracle) Judge(reads ...Read) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.verdict.Reads++
	var tooOld bool
	for _, r := range reads {
		missed := o.missed(r)
		if missed == nil {
			continue
		}
		tooOld = true
		if o.verdict.First == "" {
			o.verdict.First = fmt.Sprintf(
				"product %d: instance %d answered with version %d to a read that began %v after version %d, written on instance %d, was confirmed",
				r.Product, r.Instance, r.Version, r.Began.Sub(missed.confirmed).Round(time.Millisecond), missed.Version, missed.Instance)
		}
	}
	if tooOld {
		o.verdict.TooOld++
	}
}

// missed returns the change that the read had to show and did not, if any.
func (o *Oracle) missed(r Read) (broken *change) {
	list := o.products[r.Product]
	for i := len(list) - 1; i >= 0 && list[i].Version > r.Version; i-- {
		e := list[i]
		o.verdict.WorstOfAll = max(o.verdict.WorstOfAll, r.Began.Sub(e.Answered))
		if e.confirmed.IsZero() {
			continue
		}
		age := r.Began.Sub(e.confirmed)
		o.verdict.Worst = max(o.verdict.Worst, age)
		if age > o.bound {
			broken = e
		}
	}
	return broken
}

// Verdict returns what has been seen so far.
func (o *Oracle) Verdict() Verdict {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.verdict
}
