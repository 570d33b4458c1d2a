package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/fleet"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/load"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/regions"
)

// width of all output.
const width = 98

const (
	labelWidth  = 43
	columnWidth = 27
)

// Table writes the results side by side, and says which rows matter.
func Table(w io.Writer, style Style, bound time.Duration, results []load.Result) {
	t := table{w: w, style: style, results: results}
	t.head()
	t.row("requests", func(r load.Result) cell { return cell{text: count(r.Requests)} })
	t.row("errors", func(r load.Result) cell { return judged(r.Errors) })
	t.row("response time, p50 / p99 / worst", func(r load.Result) cell {
		return cell{text: duration(quantile(r.Latencies, 0.5)) + " / " + duration(quantile(r.Latencies, 0.99)) + " / " + duration(quantile(r.Latencies, 1))}
	})
	t.gap()
	t.row("hit ratio", func(load.Result) cell { return cell{text: tiers("in L1", "then L2"), tone: faint} })
	for _, name := range regions.Names() {
		t.row("  "+name, func(r load.Result) cell { return hitRatio(r.Regions[name]) })
	}
	t.row("  all regions", func(r load.Result) cell { return hitRatio(sum(r.Regions)) })
	t.row("origin queries", func(r load.Result) cell { return cell{text: count(r.Statements)} })
	t.gap()
	t.row(fmt.Sprintf("loads in a stampede of %d × %d requests", instances, load.StampedeSize), stampede)
	t.gap()
	t.row("pub/sub messages lost on the way", func(r load.Result) cell { return cell{text: count(r.Dropped)} })
	t.row("invalidations never confirmed", func(r load.Result) cell { return judged(uint64(r.Unconfirmed)) })
	t.row("invalidation lag, p50", func(r load.Result) cell { return lag(r, 0.5) })
	t.row("invalidation lag, p99", func(r load.Result) cell { return lag(r, 0.99) })
	t.row("worst staleness seen", func(r load.Result) cell { return cell{text: duration(r.Verdict.Worst)} })
	t.row("  changes not yet confirmed included", func(r load.Result) cell { return cell{text: duration(r.Verdict.WorstOfAll)} })
	t.row(fmt.Sprintf("reads older than the bound (%v)", bound),
		func(r load.Result) cell { return judged(r.Verdict.TooOld) })
	t.rule()
}

// instances is how many get a stampede each.
const instances = 3

type table struct {
	w       io.Writer
	style   Style
	results []load.Result
}

type cell struct {
	text string
	tone tone
}

func (t *table) head() {
	line := left("", labelWidth)
	for _, r := range t.results {
		line += right(string(r.Kind), columnWidth)
	}
	fmt.Fprintln(t.w, t.style.paint(bold, line))
	t.rule()
}

func (t *table) rule() {
	fmt.Fprintln(t.w, t.style.paint(faint, strings.Repeat("─", labelWidth+columnWidth*len(t.results))))
}

func (t *table) gap() { fmt.Fprintln(t.w) }

func (t *table) row(label string, of func(load.Result) cell) {
	line := left(label, labelWidth)
	for _, r := range t.results {
		c := of(r)
		line += t.style.paint(c.tone, right(c.text, columnWidth))
	}
	fmt.Fprintln(t.w, strings.TrimRight(line, " "))
}

// judged is a number that should be 0.
func judged(n uint64) cell { return cell{text: count(n), tone: toneOf(n == 0)} }

// stampede is the number of loads that a stampede has come to.
func stampede(r load.Result) cell {
	c := cell{text: count(r.StampedeLoads), tone: toneOf(r.StampedeLoads <= 1)}
	if r.StampedeLoads > 1 && r.Hindered && r.Kind == fleet.Doppio {
		c.text, c.tone = "(Redis too slow) "+c.text, amber
	}
	return c
}

func toneOf(ok bool) tone {
	if ok {
		return good
	}
	return bad
}

func hitRatio(c fleet.Counts) cell {
	return cell{text: tiers(ratio(c.L1Hits, c.L1Misses), ratio(c.L2Hits, c.L2Misses))}
}

// tiers puts what is said of two tiers into one column.
func tiers(l1, l2 string) string { return right(l1, 8) + right(l2, 10) }

func sum(byRegion map[string]fleet.Counts) (all fleet.Counts) {
	for _, c := range byRegion {
		all = all.Add(c)
	}
	return all
}

// lag is a quantile of the lags. One that was given up waiting for is longer
// than anybody has waited.
func lag(r load.Result, q float64) cell {
	if len(r.Lags) == 0 {
		return cell{text: "-"}
	}
	d := quantile(r.Lags, q)
	if d >= r.LagLimit {
		return cell{text: "> " + duration(r.LagLimit), tone: bad}
	}
	if d < time.Millisecond {
		return cell{text: "< 1 ms"} // reads are that far apart
	}
	return cell{text: duration(d)}
}

// quantile of sorted durations, by the nearest rank.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
