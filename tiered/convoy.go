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
	watching, watched := r.watch(ctx, OpL2Get, name)
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

// lease takes the leases of those that need one, and loads. Those whose lease
// somebody else holds hold up nobody: the others are loaded meanwhile.
func (c *convoy) lease(ctx context.Context) {
	done := make(chan struct{})
	running := 0
	defer func() {
		for range running {
			<-done
		}
	}()
	for pause := minLeaseWait; ; pause = min(2*pause, maxLeaseWait) {
		waiting := c.ask(ctx)
		loads := c.pick(func(r *rider) bool { return r.next.do == loadBeside || r.next.do == loadHolding })
		c.conclude(ctx, c.pick(func(r *rider) bool { return r.next.do == answer }))
		switch {
		case !waiting:
			c.loadAll(ctx, loads)
			return
		case len(loads) > 0:
			running++
			c.loadApart(ctx, loads, done)
		}
		if !c.node.pause(pause) {
			for _, r := range c.riders {
				r.next = step{out: r.failed(ErrClosed)}
			}
			c.conclude(ctx, c.pick(func(*rider) bool { return true }))
			return
		}
	}
}

// loadApart is loadAll in a goroutine of its own.
func (c *convoy) loadApart(ctx context.Context, loads []*rider, done chan<- struct{}) {
	for _, r := range loads {
		r.apart = true
	}
	go func() {
		defer func() {
			p := recover()
			for _, r := range loads {
				r.crash(p)
			}
			done <- struct{}{}
		}()
		c.loadAll(ctx, loads)
	}()
}

// pick takes those riders out of the convoy that are to go on by themselves.
func (c *convoy) pick(which func(*rider) bool) (picked []*rider) {
	rest := make([]*rider, 0, len(c.riders))
	for _, r := range c.riders {
		if which(r) {
			picked = append(picked, r)
		} else {
			rest = append(rest, r)
		}
	}
	c.riders = rest
	return picked
}

// ask asks for leases until there is nobody left who has to ask at once, and
// reports whether somebody has to wait.
func (c *convoy) ask(ctx context.Context) (waiting bool) {
	for first := true; ; first = false {
		asking := make([]*rider, 0, len(c.riders))
		for _, r := range c.riders {
			if r.next.do != ask && (r.next.do != wait || !first) {
				continue
			}
			if !r.node.usable(r.key) {
				r.next = r.detach(nil)
				continue
			}
			asking = append(asking, r)
		}
		if len(asking) == 0 {
			break
		}
		c.askOnce(ctx, asking)
	}
	for _, r := range c.riders {
		waiting = waiting || r.next.do == wait
	}
	return waiting
}

func (c *convoy) askOnce(ctx context.Context, asking []*rider) {
	asked := make([]l2.Asked, len(asking))
	for i, r := range asking {
		if r.token == (l2.Token{}) {
			r.token = l2.NewToken()
		}
		asked[i] = l2.Asked{Key: r.key, Token: r.token, Refuse: r.next.refuse}
	}
	watching, watched := c.watch(ctx, OpL2Lease, c.keyOf(asking))
	got := c.node.getOrLeaseMany(watching, asked)
	var failed error
	flights := make([]*flight, len(asking))
	for i, r := range asking {
		flights[i] = r.flight
		switch {
		case got[i].Err != nil:
			failed = got[i].Err
		case got[i].Status == l2.Granted: // before anything of the caller's is called
			r.lease, r.holds = got[i].Lease, true
		}
	}
	now := watched.end(failed)
	c.askTags(ctx, flights, func(i int) *l2.Reply {
		if got[i].Err != nil {
			return nil
		}
		return &got[i].Reply
	})
	patience := c.node.fences.Now() + int64(c.node.opts.L2Timeout)
	for i, r := range asking {
		r.try(func() {
			r.patience = patience
			refused := r.next.refuse
			r.next = r.afterLease(ctx, &got[i].Reply, got[i].Err, now, refused)
			if r.next.do != wait {
				return
			}
			r.next.refuse = refused
			if !r.waited {
				r.waited = true
				c.counters.leaseWaits.Add(1)
			}
			if now > r.deadline {
				r.next = step{do: loadBeside} // and keep nothing
			}
		})
	}
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
