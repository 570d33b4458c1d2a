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
	Guarantees
)

func (g Guarantee) String() string { return [...]string{"G1a", "G1b", "G3", "G4"}[g] }

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
	Pending    int // Deletes that returned an error
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
