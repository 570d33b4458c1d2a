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

// Judge collects what it is told and judges it in steps. See [New].
type Judge struct {
	bound  int64
	bucket int64

	mu    sync.Mutex
	keys  []history
	reads []read
	loads []held // ended, not judged yet

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

// New returns a judge of keys 0 … keys-1, whose first version is committed at
// the given time. Staleness above bound is a violation; points of the chart
// are bucket apart.
func New(keys int, at int64, bound, bucket time.Duration) *Judge {
	j := &Judge{
		bound:  int64(bound),
		bucket: int64(bucket),
		keys:   make([]history, keys),
		floors: make(map[place]*floor),
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

// Commit makes a new version of a key and returns it. From here on loads bring
// it.
func (j *Judge) Commit(key uint32) (version uint64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if int(key) >= len(j.keys) {
		return 0, fmt.Errorf("oracle: no key %d", key)
	}
	h := &j.keys[key]
	h.commits = append(h.commits, wire.Now())
	return uint64(len(h.commits)), nil
}

// Version is the committed version of a key.
func (j *Judge) Version(key uint32) (uint64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if int(key) >= len(j.keys) {
		return 0, fmt.Errorf("oracle: no key %d", key)
	}
	return uint64(len(j.keys[key].commits)), nil
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
	for _, d := range b.Deletes {
		if !j.knows(d.Key, d.Version) {
			return fmt.Errorf("oracle: %v of %v deleted version %d of key %d, which was never committed", d.System, b.ID, d.Version, d.Key)
		}
		if d.Confirmed || d.Pending {
			h := &j.keys[d.Key]
			h.acks[d.System] = append(h.acks[d.System], ack{d.Version, d.End, b.ID, !d.Confirmed})
		}
		if t := j.tally(d.System, d.End); t != nil && !d.Confirmed {
			t.Pending++
		}
	}
	for _, l := range b.Loads {
		if !j.knows(l.Key, 1) {
			return fmt.Errorf("oracle: no key %d", l.Key)
		}
		j.loads = append(j.loads, held{l, b.ID})
	}
	return nil
}

func (j *Judge) knows(key uint32, version uint64) bool {
	return int(key) < len(j.keys) && version >= 1 && version <= uint64(len(j.keys[key].commits))
}

// Advance judges all reads and loads that began before the given time. Nothing
// that began, and no Delete that ended, before it may be taken in afterwards.
func (j *Judge) Advance(through int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if through <= j.through {
		return
	}
	j.through = through
	due := take(&j.reads, func(r *read) bool { return r.Begin < through })
	slices.SortFunc(due, func(a, b read) int { return cmp.Compare(a.Begin, b.Begin) })
	type subject struct {
		system wire.System
		key    uint32
	}
	known := make(map[subject]deadlines)
	for i := range due {
		r := &due[i]
		s := subject{r.System, r.Key}
		d, ok := known[s]
		if !ok {
			d = j.keys[r.Key].deadlines(r.System)
			known[s] = d
		}
		j.judgeRead(r, d)
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

func (j *Judge) judgeRead(r *read, d deadlines) {
	phase := j.phaseAt(r.Begin)
	if phase < 0 {
		return
	}
	t := &j.tallies[phase][r.System]
	t.Reads++
	if int(r.Version) < len(j.keys[r.Key].commits) { // the commit of the next version, if there is one
		t.Age = max(t.Age, time.Duration(r.Begin-j.keys[r.Key].commits[r.Version]))
	}
	stale := time.Duration(0)
	if due := d.all[r.Version+1]; due < r.Begin {
		stale = time.Duration(r.Begin - due)
	}
	t.Staleness = max(t.Staleness, stale)
	if at := r.Begin - r.Begin%j.bucket; stale >= j.points[r.System][at] {
		j.points[r.System][at] = stale
	}
	if stale > time.Duration(j.bound) {
		j.violated(r, phase, Bounded, fmt.Sprintf("version %d, stale for %v, from source %d", r.Version, stale, r.Source))
	}
	if own, ok := d.own[r.id]; ok && own[r.Version+1] < r.Begin {
		j.violated(r, phase, OwnDelete, fmt.Sprintf("version %d, %v after this instance's own Delete, from source %d",
			r.Version, time.Duration(r.Begin-own[r.Version+1]), r.Source))
	}
	j.judgeOrder(r, phase)
}

// judgeOrder judges whether the version has gone back.
func (j *Judge) judgeOrder(r *read, phase int) {
	if !r.Tiers() {
		return
	}
	where := place{r.id, r.System, r.Key}
	f := j.floors[where]
	if f == nil || phase > f.phase && slices.ContainsFunc(j.phases[f.phase:phase], func(p Phase) bool { return p.Lossy }) {
		f = new(floor) // what was read while Redis lost data binds nobody
		j.floors[where] = f
	}
	f.phase = phase
	j.tallies[phase][r.System].Ordered++
	for _, e := range take(&f.open, func(e *read) bool { return e.End < r.Begin }) {
		f.version = max(f.version, e.Version)
	}
	if r.Version < f.version {
		j.violated(r, phase, Monotonic, fmt.Sprintf("version %d after %d, from source %d", r.Version, f.version, r.Source))
	}
	f.open = append(f.open, *r)
}

func (j *Judge) judgeLoad(l *held) {
	phase := j.phaseAt(l.Begin)
	if phase < 0 {
		return
	}
	j.tallies[phase][l.System].Loads++
	if !l.Held {
		return
	}
	j.tallies[phase][l.System].Leases++
	h := &j.keys[l.Key]
	if e := h.overlapping(l.System, l); e != nil {
		r := &read{wire.Read{System: l.System, Key: l.Key, Begin: l.Begin}, l.id}
		j.violated(r, phase, OneLoad, fmt.Sprintf("began %v after one of instance %d.%d, which took %v",
			time.Duration(l.Begin-e.Begin), e.id.Instance, e.id.Life, time.Duration(e.End-e.Begin)))
	}
	h.loads[l.System] = append(h.loads[l.System], *l)
}

// violated counts a broken promise, or what excuses it.
func (j *Judge) violated(r *read, phase int, g Guarantee, what string) {
	t := &j.tallies[phase][r.System]
	p := &j.phases[phase]
	if g == Monotonic && p.Lossy || g == OneLoad && (p.Lossy || p.Late) {
		t.Excused[g]++
		return
	}
	t.Violations[g]++
	if len(j.found[r.System]) < kept {
		j.found[r.System] = append(j.found[r.System], Violation{g, r.System, r.id, r.Key, r.Begin, p.Name, what})
	}
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
