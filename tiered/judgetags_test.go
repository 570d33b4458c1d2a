package tiered

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l2"
)

// hooked is a backplane on which something else happens at a question.
type hooked struct {
	backplane
	pending func(hash uint64) bool
	epoch   func(p int) (seq uint64, at int64)
}

func (h *hooked) Pending(hash uint64) bool { return h.pending != nil && h.pending(hash) }
func (*hooked) Err() error                 { return nil }
func (*hooked) ProbeNow()                  {}

func (*hooked) ServerAt(now int64) (int64, bool) { return now / int64(time.Microsecond), true }

func (h *hooked) Epoch(p int) (seq uint64, at int64, ok bool) {
	if h.epoch != nil {
		seq, at = h.epoch(p)
	}
	return seq, at, true
}

// tagTier is a shared tier that knows tags.
type tagTier struct {
	sharedTier
	state  l2.TagState
	answer func() // happens before it is given
}

func (*tagTier) Up() bool { return true }

func (t *tagTier) Tags(_ context.Context, tags []keyspace.Key) ([]l2.TagState, error) {
	if t.answer != nil {
		t.answer()
	}
	states := make([]l2.TagState, len(tags))
	for i := range states {
		states[i] = t.state
	}
	return states, nil
}

// The tag of the tests below, the partition in which it is, and the one of the key.
const (
	tagOfTest = "tag"
	including = 10 // sequence of the tag's partition that the value includes
)

var tagHash = keyspace.HashTag(tagOfTest)

// tagFlight is a flight on a node whose tag partition has been heard up to
// including.
func tagFlight(b *hooked, tier *tagTier) (*flight, *fence.Table) {
	fences := fence.New(1, time.Second, 1<<20)
	fences.Restart(0, including)
	time.Sleep(time.Nanosecond) //nolint:forbidigo // moves the bubble's clock: a probe that was sent later
	fences.Observe(0, including, including, fences.Now())
	n := &Node{fences: fences, backplane: b, l2: tier, opts: Options{L2Timeout: 10 * time.Millisecond}}
	f := &flight{region: &region{node: n}, key: keyspace.Key{Region: "items", Name: "k", Hash: 7}}
	f.stamp = fences.Stamp(f.key.Hash)
	return f, fences
}

// An invalidation of a tag is queued, and confirmed just as a value with that tag is
// judged: the mark, or the answer of Redis, is from before, and the question whether
// it is pending comes after.
func TestATagThatIsConfirmedBetweenMarkAndQuestionVoidsTheValue(t *testing.T) {
	tests := map[string]func(f *flight){
		"known here": func(*flight) {},
		"asked for many values at once": func(f *flight) {
			f.tagged = tagAnswers{tagOfTest: {
				stamp:  f.node.fences.Stamp(tagHash),
				GotTag: l2.GotTag{TagState: l2.TagState{Seq: including + 1, Invalidated: including}},
			}}
		},
	}
	for name, prepare := range tests {
		for _, confirmed := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var fences *fence.Table
					b := &hooked{pending: func(hash uint64) bool {
						if confirmed { // see invalidation/retry.go: the stripe, then the queue
							fences.Invalidated(0, []uint64{hash}, including+2, fences.Position(0))
						}
						return false
					}}
					var f *flight
					f, fences = tagFlight(b, &tagTier{})
					stamp := uint64(including)
					if prepare(f); f.tagged != nil {
						stamp++ // more than was heard, so that the answer counts
					}
					_, ok := f.judgeTags(t.Context(), []l2.Tag{{Name: tagOfTest, Stamp: stamp}})
					if ok == confirmed {
						t.Errorf("good: %t, although an invalidation was confirmed: %t", ok, confirmed)
					}
				})
			})
		}
	}
}

// What Redis says of a tag counts only with a live lease of the tag's partition: it
// may be a new primary that has never got the last invalidation.
func TestAnAnswerOfATagNeedsALeaseOfItsPartition(t *testing.T) {
	tests := []struct {
		name  string
		after time.Duration // that the lease is looked at
		probe time.Duration // when a probe comes back, after the answer; 0: never
		lost  bool          // it finds that the sequence was lost
		want  bool
	}{
		{name: "within the bound", after: time.Second, want: true},
		{name: "after the bound", after: time.Second + 1},
		{name: "after the bound, a probe is under way", after: time.Minute, probe: 5 * time.Millisecond, want: true},
		{name: "after the bound, a probe is too slow", after: time.Minute, probe: time.Second},
		{name: "after the bound, another primary", after: time.Minute, probe: 5 * time.Millisecond, lost: true},
	}
	for _, tt := range tests {
		for _, before := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					state := l2.TagState{Seq: including + 1, Invalidated: including}
					tier := &tagTier{state: state}
					f, fences := tagFlight(&hooked{}, tier)
					time.Sleep(tt.after) //nolint:forbidigo // moves the bubble's clock
					if before {
						f.tagged = tagAnswers{tagOfTest: {stamp: fences.Stamp(tagHash), GotTag: l2.GotTag{TagState: state}}}
					}
					if tt.probe > 0 {
						go func() {
							time.Sleep(tt.probe) //nolint:forbidigo // moves the bubble's clock
							if tt.lost {
								fences.Restart(0, including+1)
							}
							fences.Observe(0, including, including+1, fences.Now())
							fences.Settle(0, including+1, fences.Now())
						}()
					}
					if _, ok := f.judgeTags(t.Context(), []l2.Tag{{Name: tagOfTest, Stamp: including + 1}}); ok != tt.want {
						t.Errorf("good: %t, want %t; asked before: %t", ok, tt.want, before)
					}
					time.Sleep(time.Hour) //nolint:forbidigo // the probe ends
				})
			})
		}
	}
}
