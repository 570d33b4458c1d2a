package oracle

import (
	"fmt"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// Guarantee is one of those that are judged.
type Guarantee int

// The guarantees.
const (
	OwnDelete Guarantee = iota // G1a
	Bounded                    // G1b
	Monotonic                  // G3
	OneLoad                    // G4
	Life                       // no value is served longer than its life, and StaleFor
	Guarantees
)

func (g Guarantee) String() string { return [...]string{"G1a", "G1b", "G3", "G4", "life"}[g] }

// Phase is a stretch of a run: one fault, its end, and what follows until the
// next.
type Phase struct {
	Name   string
	Begins int64
	// Lossy says that Redis loses data, leases included, by eviction, deletion
	// or its own end. G3 and G4 except that.
	Lossy bool
	// Late says that Redis may carry out what it was sent long before, after
	// whoever sent it has given up. A late invalidation ends a lease at a time
	// that nobody knows, so that G4 cannot be judged.
	Late bool
}

// Tally is what a system has done in a phase, or in all.
type Tally struct {
	Reads      int
	Ordered    int // of them judged by Monotonic: their source is known, and it was a tier
	Violations [Guarantees]int
	Excused    [Guarantees]int
	Staleness  time.Duration // the worst
	Age        time.Duration // the worst since the commit, confirmed or not, of a version that a read did not have
	Loads      int
	Leases     int // of them judged by OneLoad
	Pending    int // invalidations of keys that returned an error

	Ways    [wire.Ways]Part   // by how was read
	Regions [wire.Kinds]Part  // by what was read
	Writes  [wire.Writes]Part // by what had invalidated the key last; its violations, by what they miss
}

// Part is what a part of the reads came to.
type Part struct {
	Done       int // of Writes: invalidations of keys that are confirmed
	Reads      int
	Stale      int // of them, as far as they asked, answered with a value past its life
	Violations [Guarantees]int
	Staleness  time.Duration // the worst
	Oldest     time.Duration // of Regions: the worst since the load
}

// Broken is the number of violations.
func (p *Part) Broken() (sum int) {
	for _, n := range p.Violations {
		sum += n
	}
	return sum
}

func (p *Part) add(o *Part) {
	p.Done += o.Done
	p.Reads += o.Reads
	p.Stale += o.Stale
	for g := range p.Violations {
		p.Violations[g] += o.Violations[g]
	}
	p.Staleness = max(p.Staleness, o.Staleness)
	p.Oldest = max(p.Oldest, o.Oldest)
}

// Broken is the number of violations.
func (t *Tally) Broken() int {
	sum := 0
	for _, n := range t.Violations {
		sum += n
	}
	return sum
}

// Add adds what o counts.
func (t *Tally) Add(o *Tally) {
	t.Reads += o.Reads
	t.Ordered += o.Ordered
	t.Loads += o.Loads
	t.Leases += o.Leases
	t.Pending += o.Pending
	for g := range t.Violations {
		t.Violations[g] += o.Violations[g]
		t.Excused[g] += o.Excused[g]
	}
	t.Staleness = max(t.Staleness, o.Staleness)
	t.Age = max(t.Age, o.Age)
	for i := range t.Ways {
		t.Ways[i].add(&o.Ways[i])
	}
	for i := range t.Regions {
		t.Regions[i].add(&o.Regions[i])
	}
	for i := range t.Writes {
		t.Writes[i].add(&o.Writes[i])
	}
}

// Violation is one broken promise.
type Violation struct {
	Guarantee Guarantee
	System    wire.System
	ID        wire.ID
	Key       uint32
	At        int64 // when the read, or the second load, began
	Phase     string
	What      string
}

func (v Violation) String() string {
	return fmt.Sprintf("%v of %v in %q at instance %d.%d, key %d: %s",
		v.Guarantee, v.System, v.Phase, v.ID.Instance, v.ID.Life, v.Key, v.What)
}

// Point is the worst of a short time.
type Point struct {
	At        int64
	Staleness time.Duration
}
