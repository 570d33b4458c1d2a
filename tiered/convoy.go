package tiered

import (
	"context"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l2"
)

// convoy takes the flights that one call leads on their way together: each is a
// flight like any other, with a stamp, a place in the airspace, and a lease of its
// own, and others may wait for it. But what they want of Redis is one round trip
// to each master, and what they want of the origin is one call.
type convoy struct {
	*region
	load   manyLoad
	riders []*rider
	turn   int // of those that wait for others' leases
}

// rider is one of them.
type rider struct {
	*flight
	joint    *joint
	ticket   ticket
	next     step
	token    l2.Token // of its lease
	lease    l2.Lease
	holds    bool  // lease is to be filled, or given up
	deadline int64 // when it stops waiting for another's lease
	waited   bool
	insisted int  // how often it was to ask at once, because of a value that will not do
	due      bool // to be asked about, while it waits
	apart    bool // on a goroutine of its own
	landed   bool
}

// run carries the flights to their ends. It never panics, like [flight.run], and
// all flights land in any case: a function of the configuration may call
// [runtime.Goexit].
func (c *convoy) run(ctx context.Context) {
	if !c.node.gate.enter() {
		for _, r := range c.riders {
			r.flights[r.kind].land(r.key.Name, r.joint, &outcome{err: ErrClosed})
		}
		return
	}
	defer c.node.gate.leave()
	all := c.riders
	defer func() {
		p := recover()
		for _, r := range all {
			if !r.apart {
				r.crash(p)
			}
		}
	}()
	c.look(ctx, c.takeOff())
	c.riders = c.spare(ctx, c.riders)
	c.lease(ctx)
}

// crash lands a rider that has not landed, because of a panic, or, if there is
// none, of runtime.Goexit.
func (r *rider) crash(p any) {
	if r.landed {
		return
	}
	r.giveUp()
	r.arrive(r.failed(r.panicked(p)))
}

// arrive lands a rider, and gives the outcome to those who wait.
func (r *rider) arrive(out *outcome) {
	r.landed = true
	if r.ticket.counter != nil {
		r.land(r.ticket, out)
	}
	r.flights[r.kind].land(r.key.Name, r.joint, out)
}

// giveUp releases the rider's lease, if it holds one.
func (r *rider) giveUp() {
	if r.holds {
		r.holds = false
		r.node.l2.Release(r.lease)
	}
}

// takeOff returns those that have to look into Redis first.
func (c *convoy) takeOff() (unseen []*rider) {
	deadline := c.node.fences.Now() + int64(c.loadTimeout)
	for _, r := range c.riders {
		r.ticket = r.node.air.takeOff(r.key.Hash)
		r.deadline = deadline
		r.try(func() {
			if !r.looked {
				r.stamp = r.node.fences.Stamp(r.key.Hash)
			}
			if r.kind == flightLoad {
				if out := r.again(); out != nil {
					r.next = step{out: out}
					return
				}
			}
			switch {
			case !r.usesL2():
				r.next = r.withoutL2()
			case !r.node.usable(r.key):
				r.next = r.detach(nil)
			case !r.looked:
				unseen = append(unseen, r)
			default:
				r.next = r.afterLook()
			}
		})
	}
	return unseen
}

// look is the first step of those that nobody has looked for yet.
func (c *convoy) look(ctx context.Context, unseen []*rider) {
	flights := make([]*flight, len(unseen))
	for i, r := range unseen {
		flights[i] = r.flight
	}
	now := c.lookMany(ctx, flights)
	for _, r := range unseen {
		r.try(func() {
			r.found(ctx, now)
			r.next = r.afterLook()
		})
	}
}

// lookMany asks Redis for the values of flights, and returns when it was answered.
func (r *region) lookMany(ctx context.Context, flights []*flight) (now int64) {
	if len(flights) == 0 {
		return 0
	}
	keys := make([]keyspace.Key, len(flights))
	for i, f := range flights {
		keys[i] = f.key
	}
	name := ""
	if len(keys) == 1 {
		name = keys[0].Name
	}
	watching, watched := r.begins(ctx, Operation{Kind: OpL2Get, Key: name, Keys: len(keys)})
	got := r.node.getMany(watching, keys)
	var failed error
	for i, f := range flights {
		f.looked, f.reply, f.err = true, got[i].Reply, got[i].Err
		if f.err != nil {
			failed = f.err
		}
	}
	now = watched.end(failed)
	r.askTags(ctx, flights, func(i int) *l2.Reply {
		if flights[i].err != nil {
			return nil
		}
		return &flights[i].reply
	})
	patience := r.node.fences.Now() + int64(r.node.opts.L2Timeout)
	for _, f := range flights {
		f.patience = patience
	}
	return now
}

// try does something that may panic in one of the caller's functions. Then that
// is the rider's outcome, and its lease is given up.
func (r *rider) try(do func()) {
	defer func() {
		failed := r.recovered(recover())
		if failed == nil {
			return
		}
		r.giveUp()
		r.next = step{out: failed}
	}()
	do()
}

// keyOf is what an observer is told: the key if there is one, or nothing.
func (c *convoy) keyOf(riders []*rider) string {
	if len(riders) == 1 {
		return riders[0].key.Name
	}
	return ""
}
