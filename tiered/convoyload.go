package tiered

import (
	"context"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l2"
)

// loadAll loads for riders, stores what was loaded, and lands them.
func (c *convoy) loadAll(ctx context.Context, riders []*rider) {
	if riders = c.spare(ctx, riders); len(riders) == 0 {
		return
	}
	since := c.node.fences.Now()
	landings := make([]func(brought bool) (first bool), len(riders))
	for i, r := range riders {
		if r.next.do == loadBeside {
			landings[i] = r.landings.takeOff(r.key.Hash)
			defer landings[i](true) // also if a function of the caller's exits
		}
	}
	ls := c.loadFor(ctx, riders)
	for i, r := range riders {
		r.loadOver(&ls[i])
	}
	var offers []offer
	var offering, rest []*rider
	kept := false
	for i, r := range riders {
		offered := false
		r.try(func() {
			s := r.next
			if s.do == loadBeside {
				out := r.keepBeside(ls[i], s.mark, since, landings[i](!ls[i].failed()))
				kept = kept || out.expires != 0
				r.next = step{out: out}
				return
			}
			var o offer
			if o, offered = r.offer(ls[i], s.lease); offered {
				offers, offering = append(offers, o), append(offering, r)
				return
			}
			r.giveUp()
			r.next = step{out: o.out}
		})
		if !offered {
			rest = append(rest, r)
		}
	}
	if kept {
		c.node.l1.Wait() // see [flight.loadBeside]
	}
	c.conclude(ctx, rest)
	c.fill(ctx, offering, offers)
	c.conclude(ctx, offering)
}

// spare lands riders whose keys have failed just now, and returns the others. It is
// done before they ask for a lease, and once more before the load: they must not
// wait for it, nor hold a lease meanwhile that others want.
func (c *convoy) spare(ctx context.Context, riders []*rider) (rest []*rider) {
	if c.failures.ttl == nil {
		return riders
	}
	var failed []*rider
	for _, r := range riders {
		var err error
		if r.next.do != answer {
			err = r.standing()
		}
		if err == nil {
			rest = append(rest, r)
			continue
		}
		r.giveUp()
		r.next = step{out: r.brought(loaded{err: err, encoded: -1})}
		failed = append(failed, r)
	}
	c.conclude(ctx, failed)
	return rest
}

// fill stores what was loaded under leases.
func (c *convoy) fill(ctx context.Context, riders []*rider, offers []offer) {
	if len(riders) == 0 {
		return
	}
	fills := make([]l2.Filling, len(offers))
	for i := range offers {
		fills[i] = l2.Filling{Lease: offers[i].lease, Fill: offers[i].fill}
	}
	got := c.fillMany(ctx, c.keyOf(riders), fills)
	for i, r := range riders {
		r.try(func() {
			o := &offers[i]
			if r.took(o, got[i].Filled, got[i].Err) {
				r.holds = false
			}
			r.giveUp()
			r.next = step{out: o.out}
		})
	}
}

// fillMany is fillL2 for several keys.
func (r *region) fillMany(ctx context.Context, key string, fills []l2.Filling) []l2.Outcome {
	ctx, watched := r.begins(ctx, Operation{Kind: OpL2Fill, Key: key, Keys: len(fills)})
	got := r.node.fillMany(ctx, fills)
	var failed error
	for i := range got {
		if got[i].Err != nil {
			failed = got[i].Err
		}
	}
	watched.end(failed)
	return got
}

// conclude lands riders that have an outcome.
func (c *convoy) conclude(ctx context.Context, riders []*rider) {
	c.purge(ctx, riders)
	for _, r := range riders {
		r.supersede(r.next.out)
		r.arrive(r.next.out)
	}
}

// purge is [flight.purge] for several keys.
func (c *convoy) purge(ctx context.Context, riders []*rider) {
	var purging []*rider
	var keys []keyspace.Key
	var passed []bool
	for _, r := range riders {
		if r.kind.forces() && r.purges(r.next.out) {
			purging, keys = append(purging, r), append(keys, r.key)
			passed = append(passed, r.node.fences.Passes(&r.next.out.stamp))
		}
	}
	if len(keys) == 0 {
		return
	}
	_, err := c.node.invalidate(ctx, c.name, keys)
	for i, r := range purging {
		r.purged(r.next.out, passed[i], err)
	}
}
