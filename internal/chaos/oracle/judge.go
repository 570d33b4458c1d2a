package oracle

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// kept is how many violations of each system are kept for people to look at.
const kept = 20

// Options say what is judged, and by what.
type Options struct {
	Regions wire.Regions
	Bound   time.Duration // staleness above it is a violation
	Bucket  time.Duration // how far points of the chart are apart
}

// Judge collects what it is told and judges it in steps. See [New].
type Judge struct {
	opts Options

	mu      sync.Mutex
	keys    []history
	reads   []read
	loads   []held   // ended, not judged yet
	orphans []orphan // commits that nothing but a tombstone may follow
	intents map[uint64][]uint32
	intent  uint64 // the last one's number

	through int64 // everything that began before is judged
	phases  []Phase
	tallies [][wire.Systems]Tally // by phase
	floors  map[place]*floor
	points  [wire.Systems]map[int64]time.Duration
	found   [wire.Systems][]Violation
}

type read struct {
	wire.Read
	id wire.ID
}

// New returns a judge of the keys of all regions, whose first version is
// committed at the given time.
func New(opts Options, at int64) *Judge {
	j := &Judge{
		opts:    opts,
		keys:    make([]history, opts.Regions.Keys()),
		floors:  make(map[place]*floor),
		intents: make(map[uint64][]uint32),
	}
	for i := range j.keys {
		j.keys[i].commits = []int64{at}
	}
	for s := range j.points {
		j.points[s] = make(map[int64]time.Duration)
	}
	return j
}

// Begin begins a phase at p.Begins, which is later than that of the one before.
func (j *Judge) Begin(p Phase) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.phases = append(j.phases, p)
	j.tallies = append(j.tallies, [wire.Systems]Tally{})
}

// Intend is told before leases of the keys may be ended, or loads may begin
// without one, other than by the invalidation that follows a commit. What it
// returns is the intent's number.
func (j *Judge) Intend(keys []uint32) (number uint64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.check(keys); err != nil {
		return 0, err
	}
	j.intent++
	j.intents[j.intent] = slices.Clone(keys)
	for _, key := range keys {
		h := &j.keys[key]
		h.intents = append(h.intents, intent{j.intent, wire.Now(), never})
	}
	return j.intent, nil
}

// fulfil ends an intent. A tombstone that meets another one stays for as long as
// one lives, and nobody who loads until then has a lease. The caller holds j.mu.
func (j *Judge) fulfil(number uint64) {
	at := wire.Now() + int64(wire.TombstoneLife)
	for _, key := range j.intents[number] {
		for i := range j.keys[key].intents {
			if in := &j.keys[key].intents[i]; in.number == number {
				in.to = at
			}
		}
	}
	delete(j.intents, number)
}

// Commit makes new versions of keys and returns them. From here on loads bring
// them.
func (j *Judge) Commit(c *wire.Commit) (versions []uint64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.check(c.Keys); err != nil {
		return nil, err
	}
	now := wire.Now()
	for _, key := range c.Keys {
		h := &j.keys[key]
		h.commits = append(h.commits, now)
		version := uint64(len(h.commits))
		versions = append(versions, version)
		if t := c.Tombstone; t.Ends != 0 && now <= t.Sure {
			j.orphans = append(j.orphans, orphan{key, version, t})
		}
	}
	return versions, nil
}

// Versions are the committed versions of keys.
func (j *Judge) Versions(keys []uint32) (versions []uint64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.check(keys); err != nil {
		return nil, err
	}
	for _, key := range keys {
		versions = append(versions, uint64(len(j.keys[key].commits)))
	}
	return versions, nil
}

func (j *Judge) check(keys []uint32) error {
	for _, key := range keys {
		if int(key) >= len(j.keys) {
			return fmt.Errorf("oracle: no key %d", key)
		}
	}
	return nil
}

// Take takes in what an instance has to say. What makes no sense is an error.
func (j *Judge) Take(b *wire.Batch) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range b.Reads {
		if !j.knows(r.Key, r.Version) {
			return fmt.Errorf("oracle: %v of %v read version %d of key %d, which was never committed", r.System, b.ID, r.Version, r.Key)
		}
		j.reads = append(j.reads, read{r, b.ID})
	}
	for i := range b.Deletes {
		d := &b.Deletes[i]
		if !j.knows(d.Key, d.Version) {
			return fmt.Errorf("oracle: %v of %v deleted version %d of key %d, which was never committed", d.System, b.ID, d.Version, d.Key)
		}
		if d.Confirmed || d.Pending {
			j.keys[d.Key].invalidated(d, b.ID)
		}
		if t := j.tally(d.System, d.End); t != nil {
			if d.Confirmed {
				t.Writes[d.How].Done++
			} else {
				t.Pending++
			}
		}
	}
	for _, l := range b.Loads {
		if !j.knows(l.Key, 1) {
			return fmt.Errorf("oracle: no key %d", l.Key)
		}
		j.loads = append(j.loads, held{l, b.ID})
	}
	for _, number := range b.Ended {
		j.fulfil(number)
	}
	return nil
}

func (j *Judge) knows(key uint32, version uint64) bool {
	return int(key) < len(j.keys) && version >= 1 && version <= uint64(len(j.keys[key].commits))
}

// Advance judges all reads and loads that began before the given time. Nothing
// that began, and no invalidation that ended, before it may be taken in
// afterwards, but for loads that nobody waited for.
func (j *Judge) Advance(through int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if through <= j.through {
		return
	}
	j.through = through
	for _, o := range take(&j.orphans, func(o *orphan) bool { return o.Ends < through }) {
		j.bury(&o)
	}
	due := take(&j.reads, func(r *read) bool { return r.Begin < through })
	slices.SortFunc(due, func(a, b read) int { return cmp.Compare(a.Begin, b.Begin) })
	for i := range due {
		j.judgeRead(&due[i])
	}
	loads := take(&j.loads, func(l *held) bool { return l.Begin < through })
	slices.SortFunc(loads, func(a, b held) int { return cmp.Compare(a.Begin, b.Begin) })
	for i := range loads {
		j.judgeLoad(&loads[i])
	}
	for i := range j.keys {
		j.keys[i].prune(through - patience)
	}
}

// take removes from a slice what is due, and returns it.
func take[T any](from *[]T, due func(*T) bool) (taken []T) {
	rest := (*from)[:0]
	for i := range *from {
		if due(&(*from)[i]) {
			taken = append(taken, (*from)[i])
		} else {
			rest = append(rest, (*from)[i])
		}
	}
	*from = rest
	return taken
}

// phaseAt is the index of the phase of a moment; -1 before the first.
func (j *Judge) phaseAt(at int64) int {
	for i := len(j.phases) - 1; i >= 0; i-- {
		if at >= j.phases[i].Begins {
			return i
		}
	}
	return -1
}

func (j *Judge) tally(s wire.System, at int64) *Tally {
	if i := j.phaseAt(at); i >= 0 {
		return &j.tallies[i][s]
	}
	return nil
}

// Tally is what a system has done in the phase with this index, as far as it
// is judged.
func (j *Judge) Tally(phase int, s wire.System) Tally {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.tallies[phase][s]
}

// Violations returns the first that were found of a system.
func (j *Judge) Violations(s wire.System) []Violation {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.found[s])
}

// Timeline returns the worst staleness over time, in order.
func (j *Judge) Timeline(s wire.System) []Point {
	j.mu.Lock()
	defer j.mu.Unlock()
	points := make([]Point, 0, len(j.points[s]))
	for at, stale := range j.points[s] {
		points = append(points, Point{at, stale})
	}
	slices.SortFunc(points, func(a, b Point) int { return cmp.Compare(a.At, b.At) })
	return points
}
