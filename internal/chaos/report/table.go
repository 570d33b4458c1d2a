package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/oracle"
	"github.com/doppio-cache/doppio/internal/chaos/round"
	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// header of both forms of the table.
var header = []string{
	"", "what was broken", "reads",
	"L1 hits", "stale served", "loads ahead", "violations G1a G1b G3 G4 life", "worst staleness", "well again", "hits back",
	"L1 hits", "violations G1a G1b G3 G4", "worst staleness", "hits back",
}

// rows of the table, one for each phase and one for all.
func rows(r *round.Result) (table [][]string) {
	number := 0
	for i := range r.Phases {
		o := &r.Phases[i]
		label := ""
		if o.Fault {
			number++
			label = fmt.Sprint(number)
		}
		table = append(table, row(label, o.Name, o))
	}
	total := r.Total()
	total.Fault = true
	return append(table, row("", "all", &total))
}

func row(label, name string, o *round.Outcome) []string {
	d, b := &o.Tallies[wire.Doppio], &o.Tallies[wire.Baseline]
	cells := []string{
		label, name, fmt.Sprint(d.Reads + b.Reads),
		percent(o, wire.Doppio), fmt.Sprint(o.Counts.Stale), fmt.Sprint(o.Counts.Refreshes), violations(&d.Violations), span(d.Staleness), "", "",
		percent(o, wire.Baseline), plainly(b), span(b.Staleness), "",
	}
	if o.Fault {
		cells[8] = back(o.Recovery.State)
		cells[9] = back(o.Recovery.Hits[wire.Doppio])
		cells[13] = back(o.Recovery.Hits[wire.Baseline])
	}
	return cells
}

func percent(o *round.Outcome, s wire.System) string {
	return fmt.Sprintf("%.1f %%", 100*o.Shares[s].Ratio())
}

func violations(all *[oracle.Guarantees]int) string {
	var parts []string
	for _, n := range all {
		parts = append(parts, fmt.Sprint(n))
	}
	return strings.Join(parts, " ")
}

// plainly are the violations of the baseline, which promises nothing about
// lives.
func plainly(t *oracle.Tally) string {
	return strings.TrimSuffix(violations(&t.Violations), fmt.Sprintf(" %d", t.Violations[oracle.Life]))
}

// span writes a time with as many digits as matter.
func span(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	default:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
}

func back(d time.Duration) string {
	if d < 0 {
		return "not seen"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// Text writes the table for a terminal, and the first violations.
func Text(w io.Writer, r *round.Result) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head := append([]string{}, header...)
	head[3], head[10] = "Doppio: "+head[3], "baseline: "+head[10]
	fmt.Fprintln(t, strings.Join(head, "\t"))
	for _, cells := range rows(r) {
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	for _, part := range features(r) {
		fmt.Fprintln(t, "\t\n"+strings.Join(part.header, "\t"))
		for _, cells := range part.rows {
			fmt.Fprintln(t, strings.Join(cells, "\t"))
		}
	}
	_ = t.Flush() // it writes to what this function writes to
	for s := range r.Examples {
		if n := len(r.Examples[s]); n > 0 {
			fmt.Fprintf(w, "\nthe first violations of %v:\n", wire.System(s))
		}
		for i, v := range r.Examples[s] {
			if s == int(wire.Baseline) && i == 3 {
				break
			}
			fmt.Fprintf(w, "  %v\n", v)
		}
	}
}
