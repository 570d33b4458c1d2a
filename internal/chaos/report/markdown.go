package report

import (
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/oracle"
	"github.com/doppio-cache/doppio/internal/chaos/round"
	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

const intro = `# Chaos on real processes

This page is written by the command below; do not edit it. It reports one run of
[internal/chaos](../internal/chaos): several processes that embed Doppio, one redis-server, and a controller that breaks
things. Beside Doppio, in the same processes, with the same keys, the same writers and the same faults, runs a plain
cache-aside baseline: SET and DEL in Redis, a map with a TTL in the process, PUBLISH and go-redis's ` + "`Channel()`" + `,
singleflight.

    %s

`

const howTo = `
## How to read it

The controller holds the versions of all keys, so it knows every commit. An instance notes when a read begins (on the
machine's monotonic clock, which all processes share and which runs on while a process is stopped) and which version it
returns. **Staleness** of a read: from the moment at which the first invalidation that followed a missing version returned
nil to the moment at which the read began. G1a allows none on the instance that invalidated (for Doppio, an invalidation
that returned a PendingError counts there too), G1b allows D on every other. G3: a read from the tiers never returns an older
version than an earlier one of the same instance. G4: no two loads of a key under a lease at once (which
loads are under their leases is what the library tells its ` + "`Observer`" + `; a batch counts if all of its keys are). Life: no value
is served that was loaded longer ago than its TTL and StaleFor, and half a second for storing it (what Redis carries out late it may
store as late as a lease lives: 5 s).

*Age* counts from the commit of the missing version instead, whether its invalidation was ever confirmed or not. Nothing
bounds it: an instance may be stopped or killed between its commit and its Delete. (Where it is a Mutate, the tombstone's end
counts as its confirmation.)

The baseline promises nothing; its violations are counted by the same code, and show that the code can see them. A DEL of
the baseline's that fails is not repeated, and no staleness is counted from it, so that its figures are lower than what its
callers would see. Its hit ratio is higher where it answers with what it should have dropped.

*Well again*: from the fault's end until every instance has a lease, is not degraded, and has no invalidation waiting.
*Hits back*: until L1 answers nine tenths of its usual share again, over 200 ms. Instances report every 50 ms. *Loads ahead*:
begun by RefreshAhead.

Not judged: G3 and G4 while Redis loses data (eviction, FLUSHALL, a restart without persistence), which the README excepts;
G4 while Redis carries out late what it was sent before (stopped or paused). What they came to there is counted all the
same, see below. G4 of a key while there may be a tombstone: its loads have no lease. A version whose process was killed
between commit and Delete binds nobody until another invalidation of the key, and one that was committed in a Mutate whose
tombstone Redis may have lost neither.
`

const featuresIntro = `
## Feature by feature

The load uses all of Doppio's operations: each value has a tag that is known from it, and half of all keys one more that the
calls give. Writers delete keys, alone and several at once, invalidate tags (all keys of a tag are changed before), clear a
small region, commit in the middle of a Mutate, and set keys that nobody else changes. Of twelve calls that read one asks for
eight keys, by GetOrLoadMany or GetMany. A region has lives of two seconds that slide, are refreshed ahead of time, and whose
values may be served stale for two seconds; its keys are also expired, and loaded anew by Refresh. While the origin's loads
fail, reads for which there is nothing to be served fail in either system. With -features=false the load is GetOrLoad and
Delete alone.

The baseline does what its user would: it deletes each key of a tag or of the region, deletes after the write, reads key by
key, and sets with SET and PUBLISH. What it cannot do it is left out of: Refresh, a load ahead of time, a stale value (its
reads fail), and the promise of a tombstone; an Expire is a DEL. Its TTLs are Doppio's, but begin anew in memory, so that its
values may be twice as old; that is not counted as a violation.

The first table counts a read with what had invalidated its key last, and a violation with what it misses. *Mutate cut off by
SIGKILL* are commits that nothing but the end of a tombstone followed.
`

// Markdown writes the whole report. chart is the path of the chart, as seen
// from the report; command is what made it.
func Markdown(w io.Writer, r *round.Result, command, chart string) {
	f := r.Options.Fleet
	fmt.Fprintf(w, intro, command)
	total := r.Total()
	d, b := &total.Tallies[wire.Doppio], &total.Tallies[wire.Baseline]
	fmt.Fprintf(w, "D = %v, %d instances (%d processes with replacements), %d keys (Zipf, s = 1.1), TTL %v, seed %d, %d cores, %s, Redis %s, %v in all.\n\n",
		f.Bound, f.Instances, r.Processes, f.Keys, f.TTL, f.Seed, runtime.NumCPU(), runtime.Version(), r.Redis,
		time.Duration(r.Ended-r.Began).Round(time.Second))
	fmt.Fprintf(w, "| | reads | failed | L1 hits | loads | invalidations not confirmed at once | stale served | loads ahead | violations of G1a | G1b | G3 | G4 | life | worst staleness | worst age |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for s, t := range []*oracle.Tally{d, b} {
		ahead := fmt.Sprintf("%d | %d | %s", total.Counts.Stale, total.Counts.Refreshes, strings.ReplaceAll(violations(&t.Violations), " ", " | "))
		if s == int(wire.Baseline) {
			ahead = "| | " + strings.ReplaceAll(plainly(t), " ", " | ") + " | "
		}
		fmt.Fprintf(w, "| %v | %d | %d | %s | %d | %d | %s | %s | %s |\n", wire.System(s), t.Reads, total.Counts.Failed[s],
			percent(&total, wire.System(s)), t.Loads, t.Pending, ahead, span(t.Staleness), span(t.Age))
	}
	fmt.Fprintf(w, "\n![Staleness and L1 hit ratio over time](%s)\n", filepath.ToSlash(chart))
	fmt.Fprintf(w, "\nThe worst read of every half second; 0 is drawn where the scale ends. Bands are faults, numbered as in the table.\n\n## Fault by fault\n\n")
	table(w, r)
	facts(w, r)
	byFeature(w, r)
	fmt.Fprint(w, howTo)
	fmt.Fprintf(w, "\nOf Doppio's reads, %d could be judged by G3: half of all single ones ask where the value came from, and it came from a tier; those of GetMany do in any case. Of its loads, %d were under a lease and were judged by G4.\n", d.Ordered, d.Leases)
	fmt.Fprintf(w, "\nCounted in those phases, and excused: Doppio G3 %d, G4 %d; baseline G3 %d, G4 %d.\n",
		d.Excused[oracle.Monotonic], d.Excused[oracle.OneLoad], b.Excused[oracle.Monotonic], b.Excused[oracle.OneLoad])
}

func table(w io.Writer, r *round.Result) {
	fmt.Fprintln(w, "Violations are those of G1a, G1b, G3, G4 and life, in this order. The last four figures of a row are the baseline's, whose lives are not judged; reads are of both, the rest is Doppio's.")
	fmt.Fprintln(w)
	fmt.Fprintln(w, "| | what was broken | reads | L1 hits | stale served | loads ahead | violations | worst staleness | well again | hits back | L1 hits | violations | worst staleness | hits back |")
	grid(w, rows(r))
}

// grid writes rows below the heading of a table.
func grid(w io.Writer, rows [][]string) {
	fmt.Fprintln(w, "|"+strings.Repeat("---|", len(rows[0])))
	for _, cells := range rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
}

// byFeature writes the tables by feature.
func byFeature(w io.Writer, r *round.Result) {
	parts := features(r)
	if len(parts) == 0 {
		return
	}
	fmt.Fprint(w, featuresIntro)
	for _, p := range parts {
		fmt.Fprintf(w, "\n| %s |\n", strings.Join(p.header, " | "))
		grid(w, p.rows)
	}
}

// facts tells what else is known of the faults.
func facts(w io.Writer, r *round.Result) {
	fmt.Fprintln(w)
	number := 0
	for i := range r.Phases {
		o := &r.Phases[i]
		if o.Fault {
			number++
		}
		for _, fact := range o.Facts {
			fmt.Fprintf(w, "- %d, %s: %s\n", number, o.Label, fact)
		}
	}
}
