package round

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/fault"
	"github.com/doppio-cache/doppio/internal/chaos/fleet"
	"github.com/doppio-cache/doppio/internal/chaos/oracle"
	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// Options say what a run is. All fields are required.
type Options struct {
	Fleet    fleet.Options
	Faults   []fault.Fault
	Calm     time.Duration // before the first fault
	Hold     time.Duration // of each fault
	Progress io.Writer     // a line for each phase
}

// maxRecovery bounds the wait for things to be as before.
const maxRecovery = 15 * time.Second

// run is a round under way.
type run struct {
	*fleet.Fleet
	opts   Options
	ctx    context.Context
	random *rand.Rand
	usual  fleet.Shares // of the calm time
	result *Result
}

// Run carries a round out. It ends early, with what there is, if ctx ends. What
// goes wrong with the run itself is reported to tb.
func Run(ctx context.Context, tb testing.TB, opts Options) *Result {
	tb.Helper()
	fmt.Fprintf(opts.Progress, "starting redis-server and %d instances, D = %v\n", opts.Fleet.Instances, opts.Fleet.Bound)
	r := &run{
		Fleet:  fleet.Start(tb, opts.Fleet),
		opts:   opts,
		ctx:    ctx,
		random: rand.New(rand.NewPCG(opts.Fleet.Seed, 0)),
		result: &Result{Options: opts, Began: wire.Now()},
	}
	r.result.Redis = r.Version()
	r.phase(fault.Fault{Name: "warm-up", Label: "warm-up"}, func(o *Outcome) {
		_ = fleet.Pause(ctx, opts.Calm/2)
		r.await(func() bool { return r.Well(o.Begins, wire.Now()) })
	})
	r.phase(fault.Fault{Name: "calm", Label: "calm"}, func(*Outcome) { _ = fleet.Pause(ctx, opts.Calm) })
	calm := &r.result.Phases[len(r.result.Phases)-1]
	r.usual = r.Shares(calm.Begins+int64(opts.Calm)/2, calm.Ended)
	for i := range opts.Faults {
		if ctx.Err() != nil {
			break
		}
		r.phase(opts.Faults[i], func(o *Outcome) { r.broken(o, &opts.Faults[i]) })
	}
	r.phase(fault.Fault{Name: "no writes, then every key read in every tier", Label: "sweep"}, func(*Outcome) { r.sweep() })
	return r.end(tb)
}

// phase runs one phase and prints what it came to.
func (r *run) phase(f fault.Fault, body func(*Outcome)) {
	o := Outcome{Phase: oracle.Phase{Name: f.Name, Lossy: f.Lossy, Late: f.Late, Begins: wire.Now()}, Label: f.Label}
	r.Judge.Begin(o.Phase)
	body(&o)
	if err := r.Settle(wire.Now()); err != nil {
		r.Errorf("chaos: %s: %v", f.Name, err)
	}
	o.Ended = wire.Now()
	o.Shares = r.Shares(o.Begins, o.Ended)
	o.Counts = r.Counts(o.Begins, o.Ended)
	r.result.Phases = append(r.result.Phases, o)
	r.tally(len(r.result.Phases) - 1)
	r.print(len(r.result.Phases) - 1)
}

// tally fetches what the oracle says of a phase.
func (r *run) tally(i int) {
	for s := range wire.Systems {
		r.result.Phases[i].Tallies[s] = r.Judge.Tally(i, s)
	}
}

// broken applies a fault and waits until everything is as before.
func (r *run) broken(o *Outcome, f *fault.Fault) {
	o.Fault = true
	o.Facts = f.Apply(r.ctx, r.Fleet, r.random, r.opts.Hold)
	o.Healed = wire.Now()
	_ = fleet.Pause(r.ctx, r.opts.Fleet.Bound*3/2)
	r.await(func() bool {
		o.Recovery = r.Recovery(o.Healed, r.usual)
		return o.Recovery.Done()
	})
}

// await waits until ok, or for maxRecovery.
func (r *run) await(ok func() bool) {
	for end := time.Now().Add(maxRecovery); !ok() && time.Now().Before(end); {
		if fleet.Pause(r.ctx, 100*time.Millisecond) != nil {
			return
		}
	}
}

// sweep looks into every corner for values that should be gone.
func (r *run) sweep() {
	r.Quiet(true)
	_ = fleet.Pause(r.ctx, r.opts.Fleet.Bound*3/2)
	if err := r.Sweep(); err != nil && r.ctx.Err() == nil {
		r.Errorf("chaos: sweep: %v", err)
	}
}

func (r *run) end(tb testing.TB) *Result {
	res := r.result
	if err := r.Close(); err != nil {
		tb.Errorf("chaos: %v", err)
	}
	res.Ended = wire.Now()
	for i := range res.Phases {
		r.tally(i) // of Deletes that were confirmed later
	}
	for s := range wire.Systems {
		res.Timeline[s] = r.Judge.Timeline(s)
		res.Examples[s] = r.Judge.Violations(s)
	}
	res.Hits = ratios(r.Fleet, res.Began, res.Phases[len(res.Phases)-1].Ended)
	res.Processes = r.Started()
	return res
}

// print writes the line of a phase.
func (r *run) print(i int) {
	o := &r.result.Phases[i]
	d, b := &o.Tallies[wire.Doppio], &o.Tallies[wire.Baseline]
	fmt.Fprintf(r.opts.Progress, "%5.1fs %2d/%d %-22s %7d reads  hits %3.0f%%  worst %-8v violations %d | baseline: hits %3.0f%%  worst %-8v violations %d\n",
		time.Duration(o.Ended-r.result.Began).Seconds(), i+1, len(r.opts.Faults)+3, o.Label, d.Reads,
		100*o.Shares[wire.Doppio].Ratio(), Round(d.Staleness), d.Broken(),
		100*o.Shares[wire.Baseline].Ratio(), Round(b.Staleness), b.Broken())
	for _, fact := range o.Facts {
		fmt.Fprintf(r.opts.Progress, "             %s\n", fact)
	}
}

// Round rounds a time to what matters of it.
func Round(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond)
	default:
		return d.Round(time.Microsecond)
	}
}
