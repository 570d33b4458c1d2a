package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/fleet"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/load"
)

// Intro writes what is about to run.
func Intro(w io.Writer, style Style, text string) {
	fmt.Fprintln(w, style.paint(faint, text))
	fmt.Fprintln(w)
}

// Conclusion says in words what the table means for Doppio, and reports
// whether it has broken its promise.
func Conclusion(w io.Writer, style Style, bound time.Duration, probed bool, results []load.Result) (broken bool) {
	for _, r := range results {
		if r.Kind != fleet.Doppio {
			continue
		}
		problems := problems(r, bound)
		if len(problems) == 0 {
			fmt.Fprintln(w, style.paint(good, fmt.Sprintf(
				"Doppio kept its promise: none of %s answers showed a price that had been invalidated more than\n%v before the question.",
				count(r.Verdict.Reads), bound)))
			continue
		}
		broken = true
		fmt.Fprintln(w, style.paint(bad, "Doppio did not keep its promise:"))
		fmt.Fprintln(w, "  "+strings.Join(problems, "\n  "))
	}
	if !probed {
		fmt.Fprint(w, unprobed(broken))
	}
	return broken
}

// problems lists what Doppio must not do and did.
func problems(r load.Result, bound time.Duration) (found []string) {
	if n := r.Verdict.TooOld; n > 0 {
		found = append(found, fmt.Sprintf("%s reads were older than %v. The first:", count(n), bound), r.Verdict.First)
	}
	if r.StampedeLoads != 1 && !r.Hindered {
		found = append(found, fmt.Sprintf("the stampede made %d loads instead of 1", r.StampedeLoads))
	}
	if r.Errors > 0 {
		found = append(found, fmt.Sprintf("%s requests failed. The first: %v", count(r.Errors), r.FirstError))
	}
	if r.Unconfirmed > 0 {
		found = append(found, fmt.Sprintf("%d invalidations were not confirmed though Redis was there again", r.Unconfirmed))
	}
	return found
}

// unprobed explains a run with -probe=false.
func unprobed(broken bool) string {
	if !broken {
		return "\nThis was a run without the probe, and nothing happened to go wrong.\n"
	}
	return `
That was to be expected: -probe=false lets the instances listen only, as most caches do. Messages
were lost, nobody asked Redis how many there should have been, and so the old price was served
on. The oracle is the same in every run; so is the exit status.
`
}
