package tiered

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l2"
)

// loadFunc is a caller's load function on boxed values. It is told what the value
// was; if that is what it still is, the error is errStillSo.
type loadFunc func(ctx context.Context, was *prior) (v any, validator Validator, err error)

// flightKind separates flights that may not stand in for each other: one that
// may be answered by a tier, and one that must load, are different questions.
type flightKind int

const (
	flightRead       flightKind = iota // L2 only
	flightLoad                         // L2, then the origin
	flightBypassRead                   // the same two without a look at L1
	flightBypassLoad
	flightForce       // the origin
	flightBypassForce // the origin, which is not asked about what L1 has
	flightKinds
)

func kindOf(c call, loads bool) flightKind {
	switch {
	case c.force && c.bypass:
		return flightBypassForce
	case c.force:
		return flightForce
	case c.bypass && !loads:
		return flightBypassRead
	case c.bypass:
		return flightBypassLoad
	case !loads:
		return flightRead
	default:
		return flightLoad
	}
}

// loads reports whether a flight of this kind goes to the origin.
func (k flightKind) loads() bool { return k != flightRead && k != flightBypassRead }

// forces reports whether a flight of this kind loads whatever the tiers have.
func (k flightKind) forces() bool { return k == flightForce || k == flightBypassForce }

// bypasses reports whether a flight of this kind makes no use of what L1 has.
func (k flightKind) bypasses() bool {
	return k == flightBypassRead || k == flightBypassLoad || k == flightBypassForce
}

// maxReloads is how often a caller discards what a flight brought because an
// invalidation came in meanwhile. After that it takes a value whose load began
// after the call: that is as fresh as the caller can ask for, and a key that is
// invalidated faster than it can be loaded must not keep its readers forever.
const maxReloads = 3

// fetch answers a call that L1 could not answer. boxed returns the load function;
// it is asked for it only if there is to be a flight, and is nil if there is none.
func (r *region) fetch(ctx context.Context, k keyspace.Key, c call, boxed func() loadFunc) (out outcome, err error) {
	if err := r.node.settle(ctx); err != nil {
		return out, err
	}
	arrival := r.node.fences.Now()
	kind := kindOf(c, boxed != nil)
	if r.stale.period > 0 && (kind == flightLoad || kind == flightBypassLoad) {
		return r.fetchOrStale(ctx, k, c, kind, boxed)
	}
	var load loadFunc
	for attempt := 0; ; attempt++ {
		f := flight{region: r, key: k, call: c, kind: kind}
		out, done, err := f.glance(ctx)
		if !done {
			if load == nil && kind.loads() {
				load = boxed()
			}
			out, err = f.takeOff(ctx, load)
		}
		if err != nil || r.acceptable(&out, kind, arrival, attempt) {
			r.refreshFetched(ctx, k, c, &out, boxed)
			return out, err
		}
		r.counters.reloads.Add(1)
	}
}

// acceptable decides whether a caller that arrived at the given time may take
// what the flight brought.
//
// Two things can be wrong with it. An invalidation was heard since the flight
// began: the flight may have read what was invalidated. (If a tier confirmed
// the value at a later sequence, the value's own mark tells that it is good
// nevertheless.) Or the flight began before the caller arrived, so long ago
// that an invalidation could have been lost: A flight begins, another instance
// deletes, the message is lost, more than the bound passes, the caller arrives
// and joins. Then nothing but the lease can tell that the flight is too old.
func (r *region) acceptable(out *outcome, kind flightKind, arrival int64, attempt int) bool {
	own := out.stamp.T0 >= arrival
	if !own && kind >= flightBypassRead {
		return false // these promise an answer that was made after the call
	}
	if out.err != nil && !errors.Is(out.err, ErrNotFound) {
		return true // not a value, so it cannot be an old one
	}
	fences := r.node.fences
	if own && attempt >= maxReloads {
		// What was read in a former generation has nobody to vouch for it: the lease
		// that let it pass (see doubt) may be that of a new primary, and the value
		// the old one's. Generations do not change so often that this goes on.
		former := fences.Position(fences.Partition(out.stamp.Hash)).Generation != out.stamp.Generation
		return out.source != SourceL2 || !former
	}
	if len(out.tags) > 0 && !r.tagsAcceptable(out, own) {
		return false
	}
	// The lease before the fences, as in [fence.Table.Valid]: a probe that lands
	// in between raises the floor and then grants the lease.
	if !own && !fences.Confirmed(&out.stamp) {
		return false
	}
	if !own && out.source == SourceL1 {
		// The flight found a copy in L1, good then, but read perhaps the bound
		// before. The flight's own age says nothing about it.
		_, ok := fences.Valid(&out.mark)
		return ok
	}
	if !own && out.was != nil {
		// The same with a copy, or a value of Redis, that the origin calls unchanged:
		// that it does says nothing of what was invalidated since.
		_, ok := fences.Valid(&out.was.mark)
		return ok
	}
	if !own && r.originLag > 0 && (out.mark.Generation == 0 || out.mark.Detached()) && arrival-out.stamp.T0 > int64(fences.Bound()) {
		// The origin lags behind, and no tier has accepted the value: it was loaded
		// under the tombstone of an invalidation from before the flight, or without
		// asking whether there is one. That one was heard before the stamp.
		return false
	}
	fresh := fences.Passes(&out.stamp)
	if !fresh && out.mark.Generation != 0 {
		_, fresh = fences.Valid(&out.mark)
	}
	return fresh
}

// glance looks into Redis on the caller's own goroutine, if nobody else is
// after the key. A flight has a goroutine of its own, and handing over to it and
// back takes longer than a Redis nearby takes to answer. If that did not settle
// the call (done), it is for a flight to go on, with what was seen here.
//
// f must not escape from here: it is large, and a hit in Redis is done with it
// when it returns.
func (f *flight) glance(ctx context.Context) (out outcome, done bool, err error) {
	if !f.usesL2() || f.kind.forces() {
		return out, false, nil
	}
	ticket, alone := f.node.air.takeOffAlone(f.key.Hash)
	if !alone {
		if !f.held.wanted {
			return out, false, nil
		}
		ticket = f.node.air.takeOff(f.key.Hash)
	}
	defer func() { f.land(ticket, &out) }()
	defer func() {
		if failed := f.recovered(recover()); failed != nil {
			out, done = *failed, true
		}
	}()
	// The stamp before the question whether an invalidation is pending, see
	// [invalidation.Backplane.Pending].
	f.stamp = f.node.fences.Stamp(f.key.Hash)
	if !f.node.usable(f.key) {
		return out, false, nil
	}
	f.look(ctx)
	switch {
	case f.err != nil && ctx.Err() != nil:
		return out, true, f.left(ctx)
	case f.err == nil && f.verdict == usable:
		return f.hit, true, nil
	case f.err == nil && !f.kind.loads():
		f.counters.l2Misses.Add(1)
		return *f.failed(ErrNotFound), true, nil
	}
	return out, false, nil
}

// takeOff is fly for a copy of f, which the others of the flight then share.
func (f flight) takeOff(ctx context.Context, load loadFunc) (outcome, error) {
	shared := f
	shared.load, shared.held = load, staleCopy{}
	out, err := shared.fly(ctx)
	if err != nil {
		return outcome{}, err
	}
	return *out, nil
}

// fly joins the flight of this kind for the key, or begins this one. The caller
// leaves when its own context ends; the flight goes on for the others.
func (f *flight) fly(ctx context.Context) (*outcome, error) {
	n := f.node
	if n.refusing() {
		return nil, ErrClosed
	}
	if ctx.Err() != nil {
		return nil, f.left(ctx)
	}
	shared, leads := f.flights[f.kind].join(f.key.Name)
	if leads {
		go f.lead(context.WithoutCancel(ctx), shared)
	}
	select {
	case <-shared.landed:
	case <-ctx.Done():
		return nil, f.left(ctx)
	case <-f.soft:
		return nil, errSoftTimeout
	case <-n.done:
		if !shared.hasLanded() {
			return nil, ErrClosed
		}
	}
	return shared.out, nil
}

// left is the error of a caller whose context has ended.
func (f *flight) left(ctx context.Context) error {
	return fmt.Errorf("doppio: %s:%s: %w", f.name, f.key.Name, ctx.Err())
}

// flight is one attempt to get a value, on behalf of all who wait for it.
type flight struct {
	*region
	key   keyspace.Key
	call  call
	kind  flightKind
	load  loadFunc
	ahead bool // of its time, in the background; see refresh.go
	stamp fence.Stamp

	looked  bool // the following is set
	reply   l2.Reply
	err     error
	verdict verdict
	hit     outcome // if usable

	// Of a flight that looks together with others; see judgetags.go and [flight.doubt].
	tagged   tagAnswers
	patience int64

	prior    *prior           // what the load may ask the origin about; nil: nothing
	held     staleCopy        // if the look was to find one, and has
	soft     <-chan time.Time // when the caller takes a stale value; nil: never
	blocked  bool             // by a tombstone: nothing is cached, and nothing may be
	replaced bool             // a shared tier has taken the new value, or a newer one
}

// run never panics: it runs in a goroutine of its own, where a panic would end
// the process. (Load functions have a goroutine of their own.)
func (f *flight) run(ctx context.Context) (out *outcome) {
	ticket := f.node.air.takeOff(f.key.Hash)
	defer func() { f.land(ticket, out) }()
	defer func() {
		if failed := f.recovered(recover()); failed != nil {
			out = failed
		}
	}()
	if !f.looked {
		f.stamp = f.node.fences.Stamp(f.key.Hash)
	}
	if (f.kind == flightRead || f.kind == flightLoad) && !f.ahead {
		if out := f.again(); out != nil {
			return out
		}
	}
	switch {
	case !f.usesL2():
		out = f.follow(ctx, f.withoutL2())
	case f.ahead:
		out = f.throughLease(ctx)
	case !f.node.usable(f.key):
		out = f.follow(ctx, f.detach(nil))
	default:
		out = f.throughL2(ctx)
	}
	if f.kind.forces() {
		f.purge(ctx, out)
	}
	f.supersede(out)
	return out
}

// recovered makes an outcome of a panic in one of the caller's functions; nil if
// there was none.
func (f *flight) recovered(p any) *outcome {
	if p == nil {
		return nil
	}
	return f.failed(&LoadPanicError{Region: f.name, Key: f.key.Name, Value: p, Stack: debug.Stack()})
}

// again looks at L1 once more. Callers that missed before another flight ended,
// and came to this one after, would otherwise load a second time.
func (f *flight) again() *outcome {
	if !f.usesL1() {
		return nil
	}
	e, now := f.node.l1.Find(f.l1, f.key.Hash, f.key.Name)
	if e == nil || !e.Alive(now) {
		return nil
	}
	out := fromL1(e)
	out.stamp = f.stamp
	return out
}
