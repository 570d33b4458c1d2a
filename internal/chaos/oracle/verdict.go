package oracle

import (
	"fmt"
	"slices"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// place is where versions must not go back.
type place struct {
	id     wire.ID
	system wire.System
	key    uint32
}

// floor is the newest version that was read from the tiers at a place.
type floor struct {
	version uint64
	open    []read // ended, but maybe after a read that is to be judged began
	phase   int    // of the last read
}

// hearing is a read that is judged, and where it is counted.
type hearing struct {
	*read
	phase  int
	tally  *Tally
	way    *Part
	region *Part
}

func (j *Judge) judgeRead(r *read) {
	phase := j.phaseAt(r.Begin)
	if phase < 0 {
		return
	}
	t := &j.tallies[phase][r.System]
	c := &hearing{read: r, phase: phase, tally: t, way: &t.Ways[r.Way], region: &t.Regions[j.opts.Regions.Of(r.Key)]}
	h := &j.keys[r.Key]
	t.Reads++
	for _, p := range []*Part{c.way, c.region} {
		p.Reads++
		if r.Stale {
			p.Stale++
		}
	}
	if how, ok := h.last(r.System, r.Begin); ok {
		t.Writes[how].Reads++
		if r.Stale {
			t.Writes[how].Stale++
		}
	}
	if int(r.Version) < len(h.commits) { // the commit of the next version, if there is one
		t.Age = max(t.Age, time.Duration(r.Begin-h.commits[r.Version]))
	}
	j.judgeStaleness(c, h)
	j.judgeLife(c)
	j.judgeOrder(c)
}

// judgeStaleness judges whether the version was invalidated too long ago.
func (j *Judge) judgeStaleness(c *hearing, h *history) {
	p := &h.hard[c.System]
	if c.Fresh {
		p = &h.soft[c.System]
	}
	stale, missed := time.Duration(0), p.all.missed(c.Version)
	if missed.at < c.Begin {
		stale = time.Duration(c.Begin - missed.at)
		w := &c.tally.Writes[missed.how]
		w.Staleness = max(w.Staleness, stale)
	}
	for _, worst := range []*time.Duration{&c.tally.Staleness, &c.way.Staleness, &c.region.Staleness} {
		*worst = max(*worst, stale)
	}
	if at := c.Begin - c.Begin%int64(j.opts.Bucket); stale >= j.points[c.System][at] {
		j.points[c.System][at] = stale
	}
	if stale > j.opts.Bound {
		j.violated(c, Bounded, fmt.Sprintf("version %d, stale for %v after %v, from source %d%s", c.Version, stale, missed.how, c.Source, c.past()),
			&c.tally.Writes[missed.how])
	}
	if own := p.own[c.id].missed(c.Version); own.at < c.Begin {
		j.violated(c, OwnDelete, fmt.Sprintf("version %d, %v after this instance's own %v, from source %d%s",
			c.Version, time.Duration(c.Begin-own.at), own.how, c.Source, c.past()), &c.tally.Writes[own.how])
	}
}

func (c *hearing) past() string {
	if c.Stale {
		return ", past its life"
	}
	return ", by " + c.Way.String()
}

// How long after the end of a load Redis may take its value, so that its life
// begins later: what was sent must have been answered in time, but a Redis that
// carries out late what it was sent does so as long as the lease lives.
const (
	fillTime     = 500 * time.Millisecond
	lateFillTime = leaseLife + fillTime
)

// judgeLife judges whether the value is older than its life, and the time for
// which it may be served stale, allow.
func (j *Judge) judgeLife(c *hearing) {
	if c.Loaded == 0 {
		return
	}
	age := time.Duration(c.Begin - c.Loaded)
	c.region.Oldest = max(c.region.Oldest, age)
	if c.System != wire.Doppio {
		return // whose life in memory begins when the value is read from Redis
	}
	r := &j.opts.Regions[j.opts.Regions.Of(c.Key)]
	allowed := r.TTL + r.StaleFor + fillTime
	if loaded := j.phaseAt(c.Loaded); j.phases[c.phase].Late || loaded >= 0 && j.phases[loaded].Late {
		allowed = r.TTL + r.StaleFor + lateFillTime
	}
	if age > allowed {
		j.violated(c, Life, fmt.Sprintf("version %d, loaded %v before, from source %d%s", c.Version, age, c.Source, c.past()))
	}
}

// judgeOrder judges whether the version has gone back.
func (j *Judge) judgeOrder(c *hearing) {
	if !c.Tiers() {
		return
	}
	where := place{c.id, c.System, c.Key}
	f := j.floors[where]
	if f == nil || c.phase > f.phase && slices.ContainsFunc(j.phases[f.phase:c.phase], func(p Phase) bool { return p.Lossy }) {
		f = new(floor) // what was read while Redis lost data binds nobody
		j.floors[where] = f
	}
	f.phase = c.phase
	c.tally.Ordered++
	for _, e := range take(&f.open, func(e *read) bool { return e.End < c.Begin }) {
		f.version = max(f.version, e.Version)
	}
	if c.Version < f.version {
		j.violated(c, Monotonic, fmt.Sprintf("version %d after %d, from source %d%s", c.Version, f.version, c.Source, c.past()))
	}
	f.open = append(f.open, *c.read)
}

func (j *Judge) judgeLoad(l *held) {
	phase := j.phaseAt(l.Begin)
	if phase < 0 {
		return
	}
	t := &j.tallies[phase][l.System]
	t.Loads++
	if !l.Held {
		return
	}
	t.Leases++
	h := &j.keys[l.Key]
	if e := h.overlapping(l.System, l); e != nil {
		c := &hearing{
			read:  &read{wire.Read{System: l.System, Key: l.Key, Begin: l.Begin}, l.id},
			phase: phase, tally: t, way: new(Part), region: &t.Regions[j.opts.Regions.Of(l.Key)],
		}
		j.violated(c, OneLoad, fmt.Sprintf("began %v after one of instance %d.%d, which took %v; of a call for several keys: %v, %v",
			time.Duration(l.Begin-e.Begin), e.id.Instance, e.id.Life, time.Duration(e.End-e.Begin), l.Many, e.Many))
	}
	h.loads[l.System] = append(h.loads[l.System], *l)
}

// violated counts a broken promise, or what excuses it.
func (j *Judge) violated(c *hearing, g Guarantee, what string, by ...*Part) {
	p := &j.phases[c.phase]
	if g == Monotonic && p.Lossy || g == OneLoad && (p.Lossy || p.Late) {
		c.tally.Excused[g]++
		return
	}
	c.tally.Violations[g]++
	for _, part := range append(by, c.way, c.region) {
		part.Violations[g]++
	}
	if len(j.found[c.System]) < kept {
		j.found[c.System] = append(j.found[c.System], Violation{g, c.System, c.id, c.Key, c.Begin, p.Name, what})
	}
}
