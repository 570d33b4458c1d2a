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
	Failed   [wire.Systems]uint64 // reads
	Recovery fleet.Recovery
}

// Ratios are L1 hit ratios over a short time.
type Ratios struct {
	At    int64
	Ratio [wire.Systems]float64
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
			t.Failed[s] += p.Failed[s]
			t.Recovery.Hits[s] = max(t.Recovery.Hits[s], p.Recovery.Hits[s])
		}
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
		if shares[wire.Doppio].All > 0 {
			line = append(line, r)
		}
	}
	return line
}
