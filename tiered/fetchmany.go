package tiered

import (
	"context"
	"errors"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// answered is what a call for several keys gets for one of them: an outcome, or
// why the call does not wait for it.
type answered struct {
	outcome
	left  error
	final bool // a stale value, which has fences of its own to pass
}

// batch is one attempt of a call to get several keys.
type batch struct {
	*region
	call call
	kind flightKind
	load manyLoad
	past *batchStale // nil: no value is served past its life
}

// fetchMany answers for keys, which are different, that L1 could not answer. It
// does for each what fetch does for one, but takes the steps for all of them at
// once.
//
// It also reports whether it has waited for loads: what the caller knows from
// before may be old by then.
func (r *region) fetchMany(ctx context.Context, keys []keyspace.Key, c call, load manyLoad) (answers []answered, waited bool) {
	answers = make([]answered, len(keys))
	if err := r.node.settle(ctx); err != nil {
		for i := range answers {
			answers[i].left = err
		}
		return answers, false
	}
	arrival := r.node.fences.Now()
	b := batch{region: r, call: c, kind: kindOf(c, load != nil), load: load}
	todo := make([]int, 0, len(keys))
	for i := range keys {
		todo = append(todo, i)
	}
	todo = b.staleMany(keys, answers, todo, arrival)
	if b.past != nil {
		soft, stop := softTimer(r.stale.soft)
		defer stop()
		b.past.soft = soft
	}
	for attempt := 0; len(todo) > 0; attempt++ {
		waited = b.attempt(ctx, keys, answers, todo) || waited
		todo = todo[:0]
		for i := range answers { // all of them: those from before may have had to wait for the others
			a := &answers[i]
			if a.left == nil && !b.stands(keys[i], a, arrival, attempt) {
				r.counters.reloads.Add(1)
				todo = append(todo, i)
			}
		}
	}
	r.refreshMany(ctx, keys, answers, c, load)
	return answers, waited
}

// stands reports whether a key's answer may be returned now.
func (b *batch) stands(k keyspace.Key, a *answered, arrival int64, attempt int) bool {
	if !a.final {
		return b.acceptable(&a.outcome, b.kind, arrival, attempt)
	}
	return attempt >= maxReloads || b.vouched(k, &a.outcome)
}

// fetched are the answers of calls of fetchMany.
type fetched struct {
	keys    []keyspace.Key
	answers []answered
}

func (g *fetched) add(more fetched) {
	g.keys, g.answers = append(g.keys, more.keys...), append(g.answers, more.answers...)
}

// fallen takes those out that were invalidated since they were fetched by flights of
// this kind, and returns their keys.
func (g *fetched) fallen(r *region, kind flightKind) (keys []keyspace.Key) {
	b := batch{region: r, kind: kind}
	var rest fetched
	for i, k := range g.keys {
		a := g.answers[i]
		if a.left == nil && !b.stands(k, &a, a.stamp.T0, 0) {
			r.counters.reloads.Add(1)
			keys = append(keys, k)
			continue
		}
		rest.keys, rest.answers = append(rest.keys, k), append(rest.answers, a)
	}
	*g = rest
	return keys
}

// attempt answers for those of the keys that todo says: it joins the flights that
// are under way, looks into Redis for all others on its own goroutine, and leads
// flights for what is not there. It reports whether it has waited for flights.
func (b *batch) attempt(ctx context.Context, keys []keyspace.Key, answers []answered, todo []int) (waited bool) {
	flights := make([]flight, len(todo))
	held := make([]staleCopy, len(todo)) // apart: the flights are for others too
	joints := make([]*joint, len(todo))
	looking := make([]*flight, 0, len(todo))
	for n, i := range todo {
		f := &flights[n]
		*f = flight{region: b.region, key: keys[i], call: b.call, kind: b.kind}
		if b.past != nil {
			b.past.began[i] = b.node.fences.Stamp(f.key.Hash)
		}
		f.held.wanted = b.past != nil && (b.past.throttled[i] || !b.hasStale(f.key, b.kind))
		if joints[n] = b.flights[b.kind].find(f.key.Name); joints[n] == nil || f.held.wanted {
			looking = append(looking, f)
		}
	}
	if b.usesL2() && !b.kind.forces() {
		b.glanceMany(ctx, looking)
	}
	convoy := &convoy{region: b.region, load: b.load}
	for n, i := range todo {
		f, a := &flights[n], &answers[i]
		*a = answered{}
		held[n], f.held = f.held, staleCopy{}
		if joints[n] != nil && !f.answers() {
			if b.settledStale(i, f, &held[n], a) {
				joints[n] = nil
			}
			continue
		}
		if b.settled(ctx, f, a) || b.settledStale(i, f, &held[n], a) {
			joints[n] = nil
			continue
		}
		var leads bool
		if joints[n], leads = b.flights[b.kind].join(f.key.Name); leads {
			convoy.riders = append(convoy.riders, &rider{flight: f, joint: joints[n]})
		}
	}
	if len(convoy.riders) > 0 {
		go convoy.run(context.WithoutCancel(ctx))
	}
	for n, i := range todo {
		if joints[n] != nil {
			waited = true
			b.await(ctx, i, &flights[n], joints[n], &held[n], &answers[i])
		}
	}
	return waited
}

// answers reports whether a look into Redis has brought the answer.
func (f *flight) answers() bool { return f.looked && f.err == nil && f.verdict == usable }

// settled answers for a key, if it can be done without a flight.
func (b *batch) settled(ctx context.Context, f *flight, a *answered) bool {
	switch {
	case f.answers():
		a.outcome = f.hit
	case f.looked && f.err == nil && !b.kind.loads():
		b.counters.l2Misses.Add(1)
		a.outcome = *f.failed(ErrNotFound)
	case b.node.refusing():
		a.left = ErrClosed
	case ctx.Err() != nil:
		a.left = f.left(ctx)
	case !b.kind.loads() && !b.usesL2():
		f.stamp = b.node.fences.Stamp(f.key.Hash)
		a.outcome = *f.withoutL2().out
	case !b.kind.loads():
		a.outcome = *f.detach(f.err).out
	default:
		return false
	}
	return true
}

// await waits for the flight of the i-th key, as long as the caller does; held is what the look into
// Redis has found past its life.
func (b *batch) await(ctx context.Context, i int, f *flight, j *joint, held *staleCopy, a *answered) {
	var soft <-chan time.Time
	if b.past != nil {
		if b.past.over && !j.hasLanded() && b.slow(i, f, held, a) {
			return
		}
		if !b.past.over {
			soft = b.past.soft
		}
	}
	for landed := false; !landed; {
		select {
		case <-j.landed:
			landed = true
		case <-ctx.Done():
			a.left, landed = f.left(ctx), true
		case <-b.node.done:
			a.left, landed = ErrClosed, true
		case <-soft:
			if soft = nil; b.slow(i, f, held, a) {
				return
			}
		}
	}
	if j.hasLanded() { // also if ctx has ended: what was found is returned
		a.outcome, a.left = *j.out, nil
	}
	if b.past != nil && a.left == nil && failed(a.err) {
		b.giveStale(f, held, a)
	}
}

// glanceMany looks into Redis for keys, on the caller's own goroutine. Unlike a
// glance for one key it does so also where another flight of the key is in the
// air: as many callers that ask for overlapping sets of keys would otherwise need
// a goroutine for each key. Each of them then raises the fence as it lands.
//
// Keys of one call that share a place in the airspace have one ticket there: they
// are different keys, and need no protection from each other.
func (b *batch) glanceMany(ctx context.Context, flights []*flight) {
	if len(flights) == 0 {
		return
	}
	tickets := make(map[int]ticket, len(flights))
	for _, f := range flights {
		if place := placeOf(f.key.Hash); tickets[place].counter == nil {
			tickets[place] = b.node.air.takeOff(f.key.Hash)
		}
	}
	defer b.landMany(tickets, flights)
	asking := make([]*flight, 0, len(flights))
	for _, f := range flights {
		// The stamp before the question whether an invalidation is pending, see
		// [invalidation.Backplane.Pending].
		f.stamp = b.node.fences.Stamp(f.key.Hash)
		if b.node.usable(f.key) {
			asking = append(asking, f)
		}
	}
	now := b.lookMany(ctx, asking)
	for _, f := range asking {
		if f.err != nil && ctx.Err() != nil {
			f.looked = false // the caller is about to leave
			continue
		}
		f.foundSafely(ctx, now)
	}
}

// foundSafely is found, where a panic of one of the caller's functions is what
// was found.
func (f *flight) foundSafely(ctx context.Context, now int64) {
	defer func() {
		if failed := f.recovered(recover()); failed != nil {
			f.verdict, f.hit = usable, *failed
		}
	}()
	f.found(ctx, now)
}

// landMany ends the time in the air of keys that share tickets.
func (b *batch) landMany(tickets map[int]ticket, flights []*flight) {
	met := make(map[int]bool)
	for place, t := range tickets {
		if t.land() {
			met[place] = true
		}
	}
	if len(met) == 0 {
		return
	}
	for _, f := range flights {
		if met[placeOf(f.key.Hash)] && f.answers() {
			b.node.fences.Answered(&f.hit.mark)
		}
	}
}

// isAbsent reports whether an error says that there is no value, and not that
// something is wrong.
func isAbsent(err error, loads bool) bool {
	if loads {
		return errors.Is(err, ErrAbsent)
	}
	return errors.Is(err, ErrNotFound)
}
