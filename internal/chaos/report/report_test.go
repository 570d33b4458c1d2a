package report_test

import (
	"bytes"
	"image/png"
	"strings"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/fleet"
	"github.com/doppio-cache/doppio/internal/chaos/oracle"
	"github.com/doppio-cache/doppio/internal/chaos/report"
	"github.com/doppio-cache/doppio/internal/chaos/round"
	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// result is a made-up run of 30 seconds.
func result() *round.Result {
	at := func(s float64) int64 { return int64(s * float64(time.Second)) }
	r := &round.Result{
		Options: round.Options{Fleet: fleet.Options{Instances: 3, Bound: time.Second, Keys: 10, TTL: time.Minute, Seed: 7, Features: true}},
		Ended:   at(30),
		Phases: []round.Outcome{
			{Phase: oracle.Phase{Name: "calm"}, Label: "calm", Ended: at(10)},
			{Phase: oracle.Phase{Name: "a thing was broken", Begins: at(10)}, Label: "broken", Fault: true, Healed: at(15), Ended: at(30), Facts: []string{"4 of them"}},
		},
	}
	o := &r.Phases[1]
	o.Tallies[wire.Doppio] = oracle.Tally{Reads: 1000, Staleness: 12300 * time.Microsecond}
	o.Tallies[wire.Baseline] = oracle.Tally{Reads: 999, Staleness: 7 * time.Second, Violations: [oracle.Guarantees]int{1, 22, 3, 4, 55}}
	o.Tallies[wire.Doppio].Writes[wire.Tags] = oracle.Part{Done: 77, Reads: 500, Stale: 6, Staleness: 12300 * time.Microsecond}
	o.Tallies[wire.Baseline].Writes[wire.Tags] = oracle.Part{Done: 76, Reads: 400, Violations: [oracle.Guarantees]int{1, 22}, Staleness: 7 * time.Second}
	o.Tallies[wire.Doppio].Writes[wire.Orphan] = oracle.Part{Done: 2, Reads: 9}
	o.Tallies[wire.Doppio].Ways[wire.Held] = oracle.Part{Reads: 31}
	o.Tallies[wire.Doppio].Regions[wire.Lives] = oracle.Part{Reads: 300, Stale: 5, Oldest: 3900 * time.Millisecond}
	o.Counts = fleet.Counts{Stale: 71, Refreshes: 23}
	o.Shares = fleet.Shares{{Hits: 90, All: 100}, {Hits: 95, All: 100}}
	o.Recovery = fleet.Recovery{State: 250 * time.Millisecond, Hits: [wire.Systems]time.Duration{0, -1}}
	for i := range 30 {
		r.Hits = append(r.Hits, round.Ratios{At: at(float64(i)), Ratio: [wire.Systems]float64{0.9, 0.95}})
		for s := range r.Timeline {
			r.Timeline[s] = append(r.Timeline[s], oracle.Point{At: at(float64(i)), Staleness: time.Duration(i*(s+1)) * 100 * time.Millisecond})
		}
	}
	return r
}

func TestMarkdown(t *testing.T) {
	var out bytes.Buffer
	report.Markdown(&out, result(), "make something", "chart.svg")
	for _, want := range []string{
		"    make something\n",
		"![Staleness and L1 hit ratio over time](chart.svg)",
		"| 1 | a thing was broken | 1999 | 90.0 % | 71 | 23 | 0 0 0 0 0 | 12.3 ms | 0.25 s | 0.00 s | 95.0 % | 1 22 3 4 | 7.00 s | not seen |",
		"| InvalidateTags | 77 | 500 | 6 | 0 0 | 12.3 ms | 76 | 400 | 1 22 | 7.00 s |",
		"| Mutate cut off by SIGKILL | 2 | 9 | 0 | 0 0 | 0 |  |  |  |  |",
		"| lives | 2s, 1s unread, 2s stale | 300 | 5 | 0 0 0 0 0 | 0 | 3.90 s | 0 | 0 0 0 0 | 0 | 0 |",
		"| GetMany | 31 | 0 0 0 0 | 0 |",
		"- 1, broken: 4 of them",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	for _, absent := range []string{"Feature by feature", "| InvalidateTags |"} {
		former := result()
		former.Options.Fleet.Features = false
		var without bytes.Buffer
		report.Markdown(&without, former, "make something", "chart.svg")
		if strings.Contains(without.String(), absent) {
			t.Errorf("%q, though no feature was in use", absent)
		}
	}
	// Every row of a table has as many cells as the first.
	cells := 0
	for line := range strings.Lines(out.String()) {
		n := strings.Count(line, "|")
		if n > 0 && cells > 0 && n != cells {
			t.Errorf("%d bars, want %d: %s", n, cells, line)
		}
		cells = n
	}
}

func TestText(t *testing.T) {
	r := result()
	r.Examples[wire.Doppio] = []oracle.Violation{{Guarantee: oracle.Bounded, Phase: "calm", What: "a planted one"}}
	var out bytes.Buffer
	report.Text(&out, r)
	for _, want := range []string{"a thing was broken", "1 22 3 4", "a planted one", "InvalidateTags"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}

func TestChart(t *testing.T) {
	var out bytes.Buffer
	if err := report.Chart(&out, result(), "svg"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "1 broken", "worst staleness", "100 s", "loads ahead of time"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in the SVG", want)
		}
	}
	out.Reset()
	if err := report.Chart(&out, result(), "png"); err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(&out); err != nil {
		t.Error(err)
	}
	if err := report.Chart(&out, result(), "nonsense"); err == nil {
		t.Error("a format that does not exist")
	}
}
