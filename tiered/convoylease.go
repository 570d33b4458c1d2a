package tiered

import (
	"context"
	"slices"
	"time"

	"github.com/doppio-cache/doppio/l2"
)

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
		asked, waiting := c.ask(ctx)
		if pause == minLeaseWait {
			asked = 0 // these were no questions about others
		}
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
		if !c.node.pause(max(pause, time.Duration(asked)*askedPause)) {
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

// How those are asked about that wait for others' leases. A few of them are, from
// all over the convoy, and the rest when one of them need not wait any more: who
// holds the leases of many as a rule ends with them together. One that ends by
// itself is noticed when its turn comes.
const (
	askedAtOnce = 48                    // at least
	askedTurns  = 40                    // after so many rounds all have been asked about
	askedPause  = 50 * time.Microsecond // for each key, until the next round
)

// ask asks for leases until there is nobody left who has to ask at once, and
// reports how often it has, and whether somebody has to wait.
func (c *convoy) ask(ctx context.Context) (asked int, waiting bool) {
	c.choose()
	for all := false; ; {
		asking := make([]*rider, 0, len(c.riders))
		var waited []*rider
		for _, r := range c.riders {
			if r.next.do != ask && (r.next.do != wait || !r.due) {
				continue
			}
			r.due = false
			if !r.node.usable(r.key) {
				r.next = r.detach(nil)
				continue
			}
			if asking = append(asking, r); r.next.do == wait {
				waited = append(waited, r)
			}
		}
		if len(asking) == 0 {
			break
		}
		c.askOnce(ctx, asking)
		asked += len(asking)
		if !all && slices.ContainsFunc(waited, func(r *rider) bool { return r.next.do != wait }) {
			all = true
			for _, r := range c.riders {
				r.due = true
			}
		}
	}
	for _, r := range c.riders {
		waiting = waiting || r.next.do == wait
	}
	return asked, waiting
}

// choose says which of those that wait are due to be asked about.
func (c *convoy) choose() {
	n := 0
	for _, r := range c.riders {
		if r.next.do == wait {
			n++
		}
	}
	every := max(1, n/max(askedAtOnce, n/askedTurns))
	i := c.turn
	c.turn++
	for _, r := range c.riders {
		if r.due = false; r.next.do == wait {
			r.due = i%every == 0
			i++
		}
	}
}

func (c *convoy) askOnce(ctx context.Context, asking []*rider) {
	asked := make([]l2.Asked, len(asking))
	for i, r := range asking {
		if r.token == (l2.Token{}) {
			r.token = l2.NewToken()
		}
		asked[i] = l2.Asked{Key: r.key, Token: r.token, Refuse: r.next.refuse}
	}
	watching, watched := c.begins(ctx, Operation{Kind: OpL2Lease, Key: c.keyOf(asking), Keys: len(asking)})
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
			switch r.next.do {
			case ask:
				if r.insisted++; r.insisted == 1 {
					return
				}
				r.next.do = wait // somebody goes on replacing the value while it is asked for
			case wait:
				r.next.refuse = refused
				if !r.waited {
					r.waited = true
					c.counters.leaseWaits.Add(1)
				}
			default:
				return
			}
			if now > r.deadline {
				r.next = step{do: loadBeside} // and keep nothing
			}
		})
	}
}
