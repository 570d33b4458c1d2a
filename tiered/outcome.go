package tiered

import (
	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/l1"
	"github.com/doppio-cache/doppio/l2"
)

// outcome is what a flight brings back. It is shared by all its callers and
// must not be changed.
type outcome struct {
	value     any
	err       error
	source    Source
	expires   int64        // in L1, on the fences' clock; 0: not kept there
	stale     bool         // the value's life is over
	stamp     fence.Stamp  // taken before the flight's first step
	mark      fence.Mark   // of the value, if a tier holds it
	tags      []fence.Mark // of its tags
	ahead     dueAhead     // of a value of L2
	validator Validator
	was       *prior // which is unchanged, and Redis does not vouch for it
	told      times  // for WithInfo
}

// copyOf is a value on its way into L1.
type copyOf struct {
	value     any
	negative  bool
	encoded   int // length of the encoding; -1: not known
	mark      fence.Mark
	tags      []fence.Mark
	since     int64 // on the fences' clock: from when life counts
	life      lifetime
	past      lifetime // how long beyond its life it may be served stale
	age       lifetime // how long before since it was made
	whole     lifetime // of which life is what is left; 0: life
	token     l2.Token
	validator Validator
}

// fromL1 is the outcome that an entry of L1 stands for.
func fromL1(e *l1.Entry) *outcome {
	out := &outcome{value: e.Value, source: SourceL1, expires: e.Expires, mark: e.Mark, tags: e.Tags, validator: Validator(e.Validator), told: timesOf(e)}
	if e.Negative {
		out.err = ErrAbsent
	}
	return out
}

func (f *flight) failed(err error) *outcome {
	return &outcome{err: err, stamp: f.stamp}
}
