package invalidation

import (
	"context"
	"fmt"
	"math/bits"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
)

// maxUnderWay is how long messages that should have arrived may still be under
// way: Redis publishes before it answers, but on another connection.
const maxUnderWay = 50 * time.Millisecond

// round is one probe of all partitions.
type round struct {
	p      *prober
	t0     int64    // on the fences' clock, before anything was sent
	before []uint64 // the highest sequences heard, before anything was sent

	answered []bool
	micros   int64 // the latest of the servers' clocks
	behind   []laggard
	lost     bool // messages are missing that a live subscription should have brought
	again    bool // another round soon would get further
	errs     problems
}

// laggard is a partition whose messages have not all arrived.
type laggard struct {
	partition int
	seq       uint64
	cause     *counter // of the flush, if they do not arrive
}

// answered is what has become of the questions to one target.
type answered struct {
	target   string
	outcomes []outcome
}

// round asks every partition for its sequence and applies the answers as they
// come. It reports whether another round should follow soon.
//
// No answer that comes after the time-out is used. It would still be true (its
// t0 is old, and a lease for an old t0 ends early), but the next round knows
// more, and it need not be proved what a late answer means after a newer one.
func (p *prober) round(ctx context.Context) (again bool) {
	b := p.b
	r := &round{p: p, before: make([]uint64, len(p.parts)), answered: make([]bool, len(p.parts))}
	targets, err := p.targets(ctx)
	r.fail(err)

	// The order is what makes an answer mean something: whatever had happened
	// in Redis by t0 is in it, and so is every number in before.
	r.t0 = b.fences.Now()
	for i := range r.before {
		r.before[i] = b.fences.Last(i)
	}
	answers := make(chan answered, len(targets))
	out := make(map[string]struct{}, len(targets))
	for _, t := range targets {
		qs := p.questions(t)
		if b.calls.start("probe "+t.name, func() {
			outcomes := ask(ctx, b.opts.Client, qs)
			for i := range outcomes {
				o := &outcomes[i]
				o.err = at(t.name, o.err)
				p.blame(r.t0, o.err)
			}
			answers <- answered{t.name, outcomes}
		}) {
			out[t.name] = struct{}{}
		} else {
			r.fail(at(t.name, errBusy))
		}
	}
	if !r.collect(ctx, answers, out) {
		return false
	}
	r.finish()
	return r.again
}

// collect applies answers until all have come or time is up, and settles the
// laggards. It reports whether ctx is still alive.
func (r *round) collect(ctx context.Context, answers <-chan answered, out map[string]struct{}) bool {
	late := time.NewTimer(r.p.timeout)
	defer late.Stop()
	underWay := time.NewTimer(time.Hour)
	defer underWay.Stop()
	for len(out) > 0 || len(r.behind) > 0 {
		select {
		case <-ctx.Done():
			return false
		case a := <-answers:
			delete(out, a.target)
			for _, o := range a.outcomes {
				r.take(o)
			}
			underWay.Reset(min(maxUnderWay, r.p.b.fences.Bound()/8))
		case <-underWay.C:
			r.settle()
		case <-late.C:
			for name := range out {
				r.fail(at(name, errLate))
			}
			clear(out)
			answers = nil
		}
	}
	return true
}

func (r *round) fail(err error) { r.errs.add(err) }

func (r *round) take(o outcome) {
	b := r.p.b
	switch {
	case manySlots(o.err) && !r.p.split:
		r.p.split, r.again = true, true
		r.fail(o.err)
		return
	case o.err != nil:
		r.fail(o.err)
		if b.opts.OnRefused != nil && len(o.partitions) > 0 {
			b.opts.OnRefused(o.partitions[0], o.err)
		}
		return
	case o.answer.conflict:
		b.disagree(o.answer.theirs)
		r.fail(b.Err())
		return
	}
	if o.scope != scopePartitions {
		// On a Cluster the partitions are asked only once the layout's era is
		// known, so the first round, or the first of an era, only learns it.
		r.again = r.again || o.scope == scopeLayout && b.agreed.era != o.answer.era
		b.agree(o.answer.era, r.t0)
	}
	if o.answer.micros > r.micros {
		r.micros = o.answer.micros
		b.clock.set(r.micros, r.t0)
	}
	if !b.agreed.holds(b.fences.Now()) || o.answer.era != b.agreed.era {
		return // the layout's own answer, which came first, has changed that
	}
	for i, a := range o.answer.partitions {
		r.takePartition(o.partitions[i], o.answer.runID, a)
	}
}

// takePartition applies the answer for one partition.
func (r *round) takePartition(p int, runID string, a partitionAnswer) {
	b, known := r.p.b, &r.p.parts[p]
	r.answered[p] = true
	replaced := known.runID != "" && runID != "" && known.runID != runID
	if replaced {
		// Before anything is confirmed: the new primary may have lost what this
		// instance has invalidated. The generation changes first, so that who is
		// told of a confirmation too late for the replay knows it. (It changes again
		// when the partition starts over. Until then a stamp is of one that does not
		// know the epoch.)
		b.fences.VoidPartition(p)
		b.replay(p)
	}
	if runID != "" {
		known.runID = runID
	}
	// A reader that is confirmed by the lease below finds the epoch here.
	cause := &b.counters.flushes.lost
	e := b.epochs[p].Swap(&a.epoch)
	if e != nil && e.seq != a.epoch.seq {
		cause = &b.counters.flushes.failover
		// The floor is not enough. Another instance probes the new primary first
		// and moves the sequence up; a read here that does not know the epoch yet
		// gets, as of that sequence, a value whose invalidation was lost; then
		// this answer raises the floor to the same sequence. The copy would pass,
		// with a life that knows no grace. The epoch comes first: who takes a
		// stamp of the new generation finds it.
		b.fences.VoidPartition(p)
	}
	// An epoch has no life: where it was made anew Redis has lost the partition.
	// FLUSHALL, and the server's clock is set back; an invalidation creates the
	// sequence below what was heard here, of a key that is cached here; others
	// count it up to that number. Then nothing but this tells that the first of
	// them voids what is cached.
	lost := e != nil && a.epoch.seq == 0 && *e != a.epoch
	if !known.confirmed {
		cause = nil // there was nothing to hear from yet
	}
	if a.created || lost {
		// No lease: see fence.Table.Restart. The next round confirms.
		b.fences.Restart(p, a.seq)
		r.again = true
		if known.confirmed {
			b.counters.flushes.restarted.Add(1)
		}
		return
	}
	before := r.before[p]
	if replaced {
		// Its numbers are not those of the former primary, also where they are
		// equal or larger: it may have lost some and have counted others since.
		// (As a rule the epoch has moved the sequence beyond all that there was,
		// but not if the former primary's clock was ahead.)
		b.fences.Restart(p, a.seq)
		before = min(before, a.seq)
		if known.confirmed {
			b.counters.flushes.failover.Add(1)
		}
	}
	switch b.fences.Observe(p, before, a.seq, r.t0) {
	case fence.Confirmed:
		r.confirmed(p)
	case fence.Rewound:
		b.counters.flushes.rewound.Add(1)
		r.confirmed(p)
	case fence.Behind:
		l := laggard{p, a.seq, cause}
		if known.confirmed {
			r.behind = append(r.behind, l)
		} else {
			r.settleOne(l) // nothing to wait for
		}
	}
}

// settle ends the wait for messages under way.
func (r *round) settle() {
	for _, l := range r.behind {
		r.settleOne(l)
	}
	r.behind = nil
}

func (r *round) settleOne(l laggard) {
	b := r.p.b
	if b.fences.Settle(l.partition, l.seq, r.t0) && l.cause != nil {
		l.cause.Add(1)
		if l.cause == &b.counters.flushes.lost {
			r.lost = true
		}
	}
	r.confirmed(l.partition)
}

// confirmed notes that a partition was granted a lease from t0 on.
func (r *round) confirmed(p int) {
	b, known := r.p.b, &r.p.parts[p]
	known.confirmed = true
	b.acks.confirmed(p, r.t0)
	if known.failing {
		known.failing = false
		b.queue.hurry(p)
	}
	if since, live := b.subscriber.since(); live && since <= r.t0 && !known.ready {
		known.ready = true
		if r.p.waiting.Add(-1) == 0 {
			close(b.ready)
		}
	}
}

// finish draws the conclusions from the whole round.
func (r *round) finish() {
	p, b := r.p, r.p.b
	missing := 0
	for i, answered := range r.answered {
		if !answered {
			p.parts[i].failing = true
			missing++
		}
	}
	if missing > 0 {
		b.reroute()
	}
	if len(r.errs) > 0 {
		err := fmt.Errorf("%d of %d partitions not reached: %w", missing, len(p.parts), r.errs)
		p.problem.Store(&err)
		b.counters.probesFailed.Add(1)
	} else {
		p.good.Store(r.t0)
		p.problem.Store(nil)
		b.counters.probes.Add(1)
	}
	p.judgeSubscription(r.lost)
	b.stateMayHaveChanged()
}

// judgeSubscription asks for a new subscription if the present one loses
// messages in the second round in a row, and then ever less often: if the
// network is slower than messages are waited for, a new one is no better.
func (p *prober) judgeSubscription(lost bool) {
	received := p.b.counters.received.Load()
	switch _, live := p.b.subscriber.since(); {
	case lost && live:
		p.losses++
		p.received = received
		p.b.reroute() // the next subscription must not end up in the same place
		if p.losses > 1 && bits.OnesCount(uint(p.losses)) == 1 {
			p.b.subscriber.recycle("messages are being lost")
		}
	case received > p.received:
		p.losses = 0 // it works; a round in which nothing happened proves nothing
	}
}
