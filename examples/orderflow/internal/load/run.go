package load

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/fleet"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/oracle"
)

// Options say how much load there is.
type Options struct {
	Seed     uint64
	Duration time.Duration
	Clients  int           // of each target
	Rate     int           // requests a second of each target, all its clients together
	Bound    time.Duration // of the oracles
}

// Tick is what has happened since the last one.
type Tick struct {
	Elapsed time.Duration
	Phase   Phase
	Targets []Moment // in the order of the targets
}

// Moment is a target's part of a [Tick].
type Moment struct {
	Requests uint64       // since the beginning
	Counts   fleet.Counts // of all regions, since the beginning
	TooOld   uint64       // since the beginning
}

// Result is what a target has done.
type Result struct {
	Kind          fleet.Kind
	Requests      uint64
	Errors        uint64
	FirstError    error
	Latencies     []time.Duration // of the clients' requests, sorted
	Regions       map[string]fleet.Counts
	Statements    uint64 // run by the database
	StampedeLoads uint64
	// Hindered says that until the end of the stampede calls to Redis have
	// failed, though nothing was broken yet: the machine was too busy to answer
	// in time. An instance that cannot use Redis loads for itself.
	Hindered    bool
	Lags        []time.Duration // of invalidations, sorted
	LagLimit    time.Duration   // a lag this long has been given up waiting for
	Dropped     uint64          // pub/sub messages that were made to vanish
	Unconfirmed int             // invalidations that Redis had not confirmed at the end
	Verdict     oracle.Verdict
}

// tickEvery is how often progress is reported.
const tickEvery = 200 * time.Millisecond

// Run drives the targets for opts.Duration and returns a result for each, in
// their order. progress is called from one goroutine. If ctx ends before, Run
// ends early and returns what there is.
func Run(ctx context.Context, opts Options, targets []*Target, progress func(Tick)) []Result {
	stop := make(chan struct{})
	began := time.Now()
	runs := make([]*run, len(targets))
	var running sync.WaitGroup
	for i, t := range targets {
		r := newRun(t, opts)
		runs[i] = r
		running.Go(func() { r.watchQueues(ctx, stop) })
		running.Go(func() { r.canary.run(ctx, stop) })
		for n := range opts.Clients {
			running.Go(func() { r.client(ctx, stop, n) })
		}
	}
	running.Go(func() { stampedes(ctx, stop, opts, runs) })

	for n, phase := range schedule(opts.Duration, len(targets[0].Fleet.Instances)) {
		for _, t := range targets {
			apply(phase, t.Fleet)
		}
		start := time.Now()
		shown := func() bool { return hasShown(n, phase, start, runs) }
		report(ctx, began, start, phase, targets, shown, progress)
	}
	close(stop)
	running.Wait()

	results := make([]Result, len(runs))
	for i, r := range runs {
		results[i] = r.result(ctx)
	}
	return results
}

// hasShown reports whether a phase that began at start has shown what it is
// there for: the first one the stampedes, the lost messages at least one change
// of the canary's that was seen everywhere or given up. On a machine that has
// hardly time for us, its share of the run may not suffice for that.
func hasShown(n int, phase Phase, start time.Time, runs []*run) bool {
	for _, r := range runs {
		if n == 0 && !r.stampedeOver.Load() {
			return false
		}
		if phase.Fault == Dropping && !r.canary.measuredSince(start) {
			return false
		}
	}
	return true
}

// stampedes lets one target's crowd go after the other's: together they would
// measure each other.
func stampedes(ctx context.Context, stop <-chan struct{}, opts Options, runs []*run) {
	if !pause(ctx, stop, opts.Duration*stampedeAt/100) {
		return
	}
	for _, r := range runs {
		r.stampedeLoads = stampede(ctx, r.target)
		r.hindered = r.target.Fleet.Failures() > 0
		r.stampedeOver.Store(true)
	}
}

// apply makes the network what the phase says.
func apply(phase Phase, f *fleet.Fleet) {
	f.DropMessages(phase.Fault == Dropping)
	for _, inst := range f.Instances {
		if phase.Fault == CutOff && inst.Number == phase.Instance {
			inst.Link.Cut()
		} else {
			inst.Link.Heal()
		}
	}
}

// extension is how much longer than planned a phase may last.
const extension = 30 * time.Second

// report ticks until the phase is over and has shown what it is there for.
func report(ctx context.Context, began, start time.Time, phase Phase, targets []*Target, shown func() bool, progress func(Tick)) {
	end := start.Add(phase.To - phase.From)
	for {
		now := time.Now()
		if !now.Before(end) && (shown() || now.After(end.Add(extension))) {
			return
		}
		// Ticks fall on multiples of tickEvery since the beginning.
		wait := tickEvery - now.Sub(began)%tickEvery
		if left := end.Sub(now); left > 0 {
			wait = min(wait, left)
		}
		if !pause(ctx, nil, wait) {
			return
		}
		tick := Tick{Elapsed: time.Since(began), Phase: phase, Targets: make([]Moment, len(targets))}
		for i, t := range targets {
			tick.Targets[i] = t.moment()
		}
		progress(tick)
	}
}

func (t *Target) moment() Moment {
	verdict := t.Oracle.Verdict()
	m := Moment{Requests: t.requests.Load(), TooOld: verdict.TooOld}
	for _, c := range t.Fleet.Counts() {
		m.Counts = m.Counts.Add(c)
	}
	return m
}

// run is one target's part of a Run.
type run struct {
	target        *Target
	opts          Options
	canary        *canary
	statements    uint64 // at the beginning
	stampedeLoads uint64
	hindered      bool
	stampedeOver  atomic.Bool

	mu        sync.Mutex
	latencies []time.Duration
}

// patience is how far a client may fall behind its rate.
const patience = 100 * time.Millisecond

func newRun(t *Target, opts Options) *run {
	return &run{
		target:     t,
		opts:       opts,
		canary:     &canary{target: t, limit: 2 * opts.Bound},
		statements: t.Fleet.DB.Statements(),
	}
}

// client makes requests at its share of the rate. One that has fallen far behind,
// because it was kept waiting, does not make up for it: visitors who were sent
// away do not come twice.
func (r *run) client(ctx context.Context, stop <-chan struct{}, n int) {
	v := newVisitor(r.opts.Seed, n)
	interval := time.Second * time.Duration(r.opts.Clients) / time.Duration(r.opts.Rate)
	next := time.Now().Add(interval * time.Duration(n) / time.Duration(r.opts.Clients))
	var latencies []time.Duration
	for !stopped(ctx, stop) {
		if wait := time.Until(next); wait > 0 && !pause(ctx, stop, wait) {
			break
		}
		next = next.Add(interval)
		if late := time.Since(next); late > patience {
			next = next.Add(late)
		}
		began := time.Now()
		if v.visit(ctx, r.target) == nil {
			latencies = append(latencies, time.Since(began))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latencies = append(r.latencies, latencies...)
}

// watchQueues tells the oracle when an instance whose invalidations were not
// confirmed has none left to send again.
func (r *run) watchQueues(ctx context.Context, stop <-chan struct{}) {
	for pause(ctx, stop, 10*time.Millisecond) {
		for _, inst := range r.target.Fleet.Instances {
			if !r.target.Oracle.HasPending(inst.Number) {
				continue
			}
			asked := time.Now()
			if inst.Unconfirmed() == 0 {
				r.target.Oracle.Drained(inst.Number, asked, time.Now())
			}
		}
	}
}

// settleWithin is how long after the run queues may take to empty: it ends
// with a healthy network.
const settleWithin = 3 * time.Second

func (r *run) result(ctx context.Context) Result {
	f := r.target.Fleet
	if f.Kind == fleet.Doppio {
		for deadline := time.Now().Add(settleWithin); f.Unconfirmed() > 0 && time.Now().Before(deadline); {
			if !pause(ctx, nil, 10*time.Millisecond) {
				break
			}
		}
	}
	slices.Sort(r.latencies)
	slices.Sort(r.canary.lags)
	result := Result{
		Kind:          f.Kind,
		Requests:      r.target.requests.Load(),
		Errors:        r.target.errors.Load(),
		Latencies:     r.latencies,
		Regions:       f.Counts(),
		Statements:    f.DB.Statements() - r.statements,
		StampedeLoads: r.stampedeLoads,
		Hindered:      r.hindered,
		Lags:          r.canary.lags,
		LagLimit:      r.canary.limit,
		Dropped:       f.Dropped(),
		Unconfirmed:   f.Unconfirmed(),
		Verdict:       r.target.Oracle.Verdict(),
	}
	if err := r.target.firstErr.Load(); err != nil {
		result.FirstError = *err
	}
	return result
}
