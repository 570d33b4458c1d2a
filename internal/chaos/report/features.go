package report

import (
	"fmt"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/oracle"
	"github.com/doppio-cache/doppio/internal/chaos/round"
	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// part is a table of what features came to.
type part struct {
	header []string
	rows   [][]string
}

// features are the tables by feature: how keys were invalidated, what was read,
// and how. There are none if there is nothing to be told apart.
func features(r *round.Result) []part {
	if !r.Options.Fleet.Features {
		return nil
	}
	total := r.Total()
	d, b := &total.Tallies[wire.Doppio], &total.Tallies[wire.Baseline]
	writes := part{header: []string{"invalidated last by", "keys", "reads", "of them stale", "violations G1a G1b", "worst staleness", "baseline: keys", "reads", "violations G1a G1b", "worst staleness"}}
	for how := range wire.Writes {
		x, y := &d.Writes[how], &b.Writes[how]
		row := []string{how.String(), count(x.Done), count(x.Reads), count(x.Stale), stale(x), span(x.Staleness)}
		if how == wire.Orphan {
			row = append(row, "", "", "", "")
		} else {
			row = append(row, count(y.Done), count(y.Reads), stale(y), span(y.Staleness))
		}
		writes.rows = append(writes.rows, row)
	}
	regions := part{header: []string{"region", "life", "reads", "of them stale", "violations G1a G1b G3 G4 life", "worst staleness", "oldest value", "baseline: reads", "violations G1a G1b G3 G4", "worst staleness", "oldest value"}}
	for k, region := range r.Options.Fleet.Regions() {
		x, y := &d.Regions[k], &b.Regions[k]
		regions.rows = append(regions.rows, []string{
			wire.Kind(k).String(), life(&region), count(x.Reads), count(x.Stale), violations(&x.Violations), span(x.Staleness), span(x.Oldest),
			count(y.Reads), fmt.Sprintf("%d %d %d %d", y.Violations[oracle.OwnDelete], y.Violations[oracle.Bounded], y.Violations[oracle.Monotonic], y.Violations[oracle.OneLoad]),
			span(y.Staleness), span(y.Oldest),
		})
	}
	ways := part{header: []string{"read by", "reads", "violations G1a G1b G3 life", "worst staleness"}}
	for way := range wire.Ways {
		x := &d.Ways[way]
		ways.rows = append(ways.rows, []string{
			way.String(), count(x.Reads),
			fmt.Sprintf("%s %d %d", stale(x), x.Violations[oracle.Monotonic], x.Violations[oracle.Life]), span(x.Staleness),
		})
	}
	return []part{writes, regions, ways}
}

func count(n int) string { return fmt.Sprint(n) }

// stale are the violations of the guarantees about invalidations.
func stale(p *oracle.Part) string {
	return fmt.Sprintf("%d %d", p.Violations[oracle.OwnDelete], p.Violations[oracle.Bounded])
}

// life says how long values of a region live.
func life(r *wire.Region) string {
	if r.StaleFor == 0 {
		return r.TTL.Round(time.Millisecond).String()
	}
	return fmt.Sprintf("%v, %v unread, %v stale", r.TTL, r.SlidingTTL, r.StaleFor)
}
