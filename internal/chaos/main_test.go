package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/fault"
	"github.com/doppio-cache/doppio/internal/chaos/fleet"
	"github.com/doppio-cache/doppio/internal/chaos/instance"
	"github.com/doppio-cache/doppio/internal/chaos/oracle"
	"github.com/doppio-cache/doppio/internal/chaos/report"
	"github.com/doppio-cache/doppio/internal/chaos/round"
	"github.com/doppio-cache/doppio/internal/chaos/wire"
	"github.com/doppio-cache/doppio/internal/redistest"
)

func TestMain(m *testing.M) {
	if instance.Requested() {
		if err := instance.Run(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	redistest.Main(m)
}

// short is a round of a few faults with three instances.
func short(t *testing.T, library time.Duration, faults ...fault.Fault) *round.Result {
	t.Helper()
	r := round.Run(t.Context(), t, round.Options{
		Fleet: fleet.Options{
			Instances: 3, Bound: time.Second, Library: library, Seed: 1, Keys: 500,
			TTL: 20 * time.Second, Latency: 4 * time.Millisecond, Features: true, Output: t.Output(),
		},
		Faults: faults, Calm: 2 * time.Second, Hold: 2500 * time.Millisecond, Progress: t.Output(),
	})
	var text bytes.Buffer
	report.Text(&text, r)
	t.Log(text.String())
	return r
}

// The guarantees hold in real processes while a few things break.
func TestNoViolation(t *testing.T) {
	t.Parallel()
	r := short(t, time.Second, fault.Short()...)
	total := r.Total()
	d := &total.Tallies[wire.Doppio]
	if d.Broken() != 0 || d.Reads == 0 {
		t.Errorf("%d reads, violations by guarantee: %v", d.Reads, d.Violations)
	}
	if n := total.Counts.Failed[wire.Doppio]; n != 0 {
		t.Errorf("%d reads failed", n)
	}
	for how := range wire.Writes {
		if how != wire.Clear && d.Writes[how].Done == 0 {
			t.Errorf("nothing was invalidated by %v", how)
		}
	}
	if total.Counts.Refreshes == 0 {
		t.Error("nothing was loaded ahead of time")
	}
	// The same oracle, the same reads: were it blind, it would not see this.
	if b := &total.Tallies[wire.Baseline]; b.Broken() == 0 {
		t.Error("the baseline has broken no guarantee: the round cannot see violations")
	}
}

// A library whose probe comes too rarely to be of any use breaks the bound,
// however keys are invalidated and read.
func TestUselessProbeIsFound(t *testing.T) {
	t.Parallel()
	total := short(t, time.Hour, fault.SubscriptionHalfOpen).Total()
	d := &total.Tallies[wire.Doppio]
	if d.Violations[oracle.Bounded] == 0 {
		t.Errorf("no violation of the bound: %v", d.Violations)
	}
	// A round of seconds need not have one of each kind.
	var writes, ways int
	for _, how := range []wire.Write{wire.Delete, wire.DeleteMany, wire.Tags, wire.Set, wire.Mutate} {
		if d.Writes[how].Violations[oracle.Bounded] > 0 {
			writes++
		}
	}
	for way := range wire.Ways {
		if d.Ways[way].Violations[oracle.Bounded] > 0 {
			ways++
		}
	}
	if writes < 3 || ways < 2 {
		t.Errorf("violations by %d kinds of invalidations and %d kinds of reads, want them by most", writes, ways)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args []string
		ok   bool
	}{
		{nil, true},
		{[]string{"-faults", "storm,redis killed", "-library-bound", "1m"}, true},
		{[]string{"-features=false"}, true},
		{[]string{"-faults", "no such fault"}, false},
		{[]string{"-features=false", "-faults", "origin"}, false},
		{[]string{"-instances", "0"}, false},
		{[]string{"-list"}, false}, // there is nothing to be run
		{[]string{"-nonsense"}, false},
	}
	for _, tt := range tests {
		opts, _, err := parse(tt.args, io.Discard)
		if (err == nil) != tt.ok {
			t.Errorf("%v: error %v", tt.args, err)
		}
		if tt.ok && (len(opts.Faults) == 0 || opts.Fleet.Library == 0) {
			t.Errorf("%v: %+v", tt.args, opts)
		}
		for _, f := range opts.Faults {
			if tt.ok && f.Features && !opts.Fleet.Features {
				t.Errorf("%v: %s", tt.args, f.Label)
			}
		}
	}
}
