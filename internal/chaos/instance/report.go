package instance

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// report tells the controller what was seen, and carries out its orders, until
// it orders the end.
func (p *process) report(ctx context.Context, wg *sync.WaitGroup, sweeper *recorder) error {
	tick := time.NewTicker(p.settings.ReportEvery)
	defer tick.Stop()
	var given wire.Orders
	for first := true; ; first = false {
		var now wire.Orders
		if err := p.origin.call(ctx, wire.HubReport, p.batch(), &now); err != nil {
			return err
		}
		p.quiet.Store(now.Quiet)
		p.risky.Store(now.Risky)
		if first { // what was ordered before concerned others
			p.swept.Store(int64(now.Sweep))
			p.bulked.Store(int64(now.Bulk))
			given = now
		}
		if now.Sweep > given.Sweep {
			wg.Go(func() { p.sweep(ctx, sweeper, now.Sweep) })
		}
		if now.Bulk > given.Bulk {
			wg.Go(func() { p.bulk(ctx, now.Bulk) })
		}
		if now.Stop {
			return nil
		}
		given = now
		<-tick.C
	}
}

// batch is what was seen since the last one. The clock is read first: see
// [recorder].
func (p *process) batch() *wire.Batch {
	now := wire.Now()
	b := &wire.Batch{ID: p.settings.ID, Through: now, Swept: int(p.swept.Load()), Bulked: int(p.bulked.Load())}
	for _, w := range p.workers {
		w.collect(b)
	}
	for _, d := range p.doppio.queue.confirmed(func() int { return p.doppio.node.Stats().PendingRetries }) {
		d.End = wire.Now()
		b.Deletes = append(b.Deletes, d)
	}
	b.Sample = p.sample()
	return b
}

func (p *process) sample() wire.Sample {
	stats := p.doppio.node.Stats()
	s := wire.Sample{
		At:       wire.Now(),
		Degraded: stats.Degraded,
		LeaseAge: int64(stats.LeaseAge),
		Pending:  stats.PendingRetries,
	}
	for _, r := range stats.Regions {
		s.Hits[wire.Doppio] += r.L1Hits
		s.Misses[wire.Doppio] += r.L1Misses
		s.Stale += r.StaleServed
		s.Refreshes += r.Refreshes
	}
	s.Hits[wire.Baseline], s.Misses[wire.Baseline] = p.simple.cache.Counts()
	s.Errors[wire.Doppio], s.Errors[wire.Baseline] = p.doppio.errors.Load(), p.simple.errors.Load()
	return s
}

// sweep reads every key in every way: a value that should be gone from a tier
// is found, however rarely it is asked for.
func (p *process) sweep(ctx context.Context, r *recorder, number int) {
	for how := range looks {
		for key := range p.settings.Regions.Keys() {
			if ctx.Err() != nil {
				return
			}
			p.read(ctx, p.doppio, r, key, how)
			if how != past {
				p.read(ctx, p.simple, r, key, how)
			}
		}
	}
	p.swept.Store(int64(number))
}

// bulk invalidates keys that nobody reads, as a nightly job does: what counts
// is the size of the messages. What becomes of it does not matter.
func (p *process) bulk(ctx context.Context, number int) {
	names := make([]string, p.settings.Bulk)
	for i := range names {
		names[i] = "bulk-" + strconv.Itoa(i)
	}
	var both sync.WaitGroup
	for _, c := range []cache{p.doppio, p.simple} {
		both.Go(func() { _ = c.bulk(ctx, names) })
	}
	both.Wait()
	p.bulked.Store(int64(number))
}
