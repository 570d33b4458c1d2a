package round

import (
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/fleet"
	"github.com/doppio-cache/doppio/internal/chaos/oracle"
	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// Outcome is what a phase came to.
type Outcome struct {
	oracle.Phase
	Label  string
	Facts  []string
	Fault  bool  // else nothing was broken
	Healed int64 // when it was mended again
	Ended  int64 // when the next phase began

	Tallies  [wire.Systems]oracle.Tally
	Shares   fleet.Shares
	Counts   fleet.Counts
	Recovery fleet.Recovery
}

// Ratios are L1 hit ratios over a short time, and how often something happened in
// it.
type Ratios struct {
	At        int64
	Ratio     [wire.Systems]float64
	Stale     float64 // a second, as in [fleet.Counts]
	Refreshes float64 // a second
}

// Result is what a run came to.
type Result struct {
	Options   Options
	Redis     string // its version
	Began     int64
	Ended     int64
	Phases    []Outcome
	Timeline  [wire.Systems][]oracle.Point
	Hits      []Ratios
	Examples  [wire.Systems][]oracle.Violation // the first
	Processes int                              // instances started, replacements included
}

// Total is the sum over all phases.
func (r *Result) Total() (t Outcome) {
	for i := range r.Phases {
		p := &r.Phases[i]
		for s := range t.Tallies {
			t.Tallies[s].Add(&p.Tallies[s])
			t.Shares[s].Hits += p.Shares[s].Hits
			t.Shares[s].All += p.Shares[s].All
			t.Recovery.Hits[s] = max(t.Recovery.Hits[s], p.Recovery.Hits[s])
		}
		t.Counts.Add(&p.Counts)
		t.Recovery.State = max(t.Recovery.State, p.Recovery.State)
	}
	return t
}

// ratioEvery is how far the points of the hit ratio are apart.
const ratioEvery = 500 * time.Millisecond

func ratios(f *fleet.Fleet, from, to int64) (line []Ratios) {
	for at := from; at < to; at += int64(ratioEvery) {
		shares := f.Shares(at, at+int64(ratioEvery))
		r := Ratios{At: at + int64(ratioEvery)/2}
		for s := range shares {
			r.Ratio[s] = shares[s].Ratio()
		}
		c := f.Counts(at, at+int64(ratioEvery))
		r.Stale, r.Refreshes = float64(c.Stale)/ratioEvery.Seconds(), float64(c.Refreshes)/ratioEvery.Seconds()
		if shares[wire.Doppio].All > 0 {
			line = append(line, r)
		}
	}
	return line
}
