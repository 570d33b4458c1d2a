package outages_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// long is the plan of the table: the phases are long against the bound.
var long = plan{
	instances: 2, callers: 50, keys: 50,
	bound: 2 * time.Second, timeout: 250 * time.Millisecond,
	latency: 10 * time.Millisecond, pace: 50 * time.Millisecond,
	healthy: 3 * time.Second, outage: 5 * time.Second,
	rounds: 3, deletes: 40,
}

// TestTable measures every outage at length and prints a table in Markdown, with
// -table. Health and outage take turns, so that what else the machine does meets
// both. What misses its promise is bold.
func TestTable(t *testing.T) {
	if !*table {
		t.Skip("only with -table: `make outages` takes some minutes")
	}
	rows := []string{head}
	for _, o := range outages {
		if *only != "" && o.name != *only {
			continue
		}
		var all []figures
		t.Run(o.name, func(t *testing.T) {
			for n := range long.rounds {
				// Each round has a service of its own: the next begins as cold.
				t.Run(fmt.Sprint(n+1), func(t *testing.T) {
					fmt.Printf("%s  %-10s  round %d of %d\n", time.Now().Format(time.TimeOnly), o.name, n+1, long.rounds)
					r := newRig(t, &o, long)
					all = append(all, r.round(t, &o, long))
				})
			}
		})
		if len(all) > 0 {
			rows = append(rows, row(&o, long, all))
		}
	}
	fmt.Printf("\n%s, %s/%s, %d cores; D = %v, L2Timeout = %v, %d instances with %d callers each, %d keys, origin %v; %d rounds of %v health, %v outage\n\n%s\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), long.bound, long.timeout,
		long.instances, long.callers, long.keys, long.latency, long.rounds, long.healthy, long.outage, strings.Join(rows, "\n"))
}

const head = `| outage | L1 hit, p99: healthy | outage | ratio | slowest GetOrLoad | new key | Get | Set | Delete | loads | goroutines | heap, MiB | unconfirmed Deletes | lost | back after |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|`

// schedule is what the scheduler may add to a call before it counts as missed.
const schedule = 10 * time.Millisecond

// row is the line of an outage.
func row(o *outage, p plan, all []figures) string {
	var healthy, during []time.Duration
	var ratios []float64
	var f figures // the worst of each
	for _, x := range all {
		healthy, during = append(healthy, x.hitHealthy), append(during, x.hitOutage)
		ratios = append(ratios, float64(x.hitOutage)/float64(x.hitHealthy))
		for k := range f.slowest {
			f.slowest[k] = max(f.slowest[k], x.slowest[k])
		}
		if f.loads <= x.loads {
			f.loads, f.bounds = x.loads, x.bounds
		}
		if f.routines <= x.routines {
			f.routines, f.routinesHealthy = x.routines, x.routinesHealthy
		}
		if f.heap <= x.heap {
			f.heap, f.heapHealthy = x.heap, x.heapHealthy
		}
		f.deletes, f.pending, f.misplaced = f.deletes+x.deletes, f.pending+x.pending, f.misplaced+x.misplaced
		f.back = max(f.back, x.back)
	}
	cells := []string{o.name, nanos(median(healthy)), nanos(median(during)), judged(median(ratios) <= 1.2, "%.2f", median(ratios))}
	for k, took := range f.slowest {
		cells = append(cells, judged(took <= promise(p, kind(k))+schedule, "%d ms", took.Milliseconds()))
	}
	cells = append(cells,
		judged(f.loads <= f.bounds+1, "%d in %d D", f.loads, f.bounds),
		judged(f.routines <= f.routinesHealthy+loadsAtOnce(p)+perInstance*p.instances, "%d → %d", f.routinesHealthy, f.routines),
		judged(f.heap <= f.heapHealthy+heapGrowth, "%d → %d", f.heapHealthy>>20, f.heap>>20),
		fmt.Sprintf("%d of %d", f.pending, f.deletes),
		judged(f.misplaced == 0, "%d", f.misplaced),
		judged(f.back <= 2*p.bound, "%.1f s", f.back.Seconds()),
	)
	return "| " + strings.Join(cells, " | ") + " |"
}

// promise is how long a call may take: L2Timeout for each round trip, and the
// load. A miss makes three; what finds another instance loading makes more.
func promise(p plan, k kind) time.Duration {
	if k == getOrLoad || k == getNew {
		return 3*p.timeout + p.latency
	}
	return time.Duration(trips[k]) * p.timeout
}

// judged is a cell; bold: it misses what was promised.
func judged(ok bool, format string, args ...any) string {
	s := fmt.Sprintf(format, args...)
	if ok {
		return s
	}
	return "**" + s + "**"
}

func nanos(d time.Duration) string { return fmt.Sprintf("%d ns", d.Nanoseconds()) }

func median[T time.Duration | float64](of []T) T {
	slices.Sort(of)
	return of[len(of)/2]
}
