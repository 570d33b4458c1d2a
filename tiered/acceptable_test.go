package tiered

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
)

// A value is read from an old primary, and before it lands a new one is heard from:
// the lease is the new one's. However often the caller has asked again already, it
// must not take what nobody vouches for any more. What was loaded it may take.
func TestWhatWasReadInAFormerGenerationIsNeverTaken(t *testing.T) {
	const hash = 7
	for source, want := range map[Source]bool{SourceL2: false, SourceLoad: true} {
		fences := fence.New(1, time.Second, 1<<20)
		r := &region{node: &Node{fences: fences}}
		fences.Observe(0, 0, 0, fences.Now())
		stamp := fences.Stamp(hash)
		out := &outcome{source: source, stamp: stamp, mark: stamp.At(1)}
		fences.Heard(0, 2, []uint64{hash})
		if !r.acceptable(out, flightLoad, stamp.T0, maxReloads) {
			t.Errorf("%v: a caller that has asked often enough does not get what is only overtaken", source)
		}
		fences.Restart(0, 9)
		fences.Observe(0, 9, 9, fences.Now())
		if got := r.acceptable(out, flightLoad, stamp.T0, maxReloads); got != want {
			t.Errorf("%v of a former generation: taken %t, want %t", source, got, want)
		}
	}
}

// A flight finds a copy in L1 that is good for a moment longer, and takes a
// while to land. A caller that comes when the copy is past the bound, and
// joins, must not get it: the flight is young, but what it brings is not.
func TestWhoJoinsAFlightJudgesACopyFromL1ByItsOwnMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hash = 7
		fences := fence.New(1, time.Second, 1<<20)
		r := &region{node: &Node{fences: fences}}
		fences.Observe(0, 0, 0, fences.Now()) // a lease from now on
		read := fences.Stamp(hash)
		out := &outcome{source: SourceL1, mark: read.At(1)}
		time.Sleep(900 * time.Millisecond) //nolint:forbidigo // moves the bubble's clock
		out.stamp = fences.Stamp(hash)
		arrival := fences.Now() + 1
		if !r.acceptable(out, flightLoad, arrival, 0) {
			t.Error("a caller that comes within the bound does not get the copy")
		}
		time.Sleep(200 * time.Millisecond) //nolint:forbidigo // moves the bubble's clock
		if r.acceptable(out, flightLoad, fences.Now(), 0) {
			t.Error("a caller that comes after the bound gets the copy")
		}
		fences.Observe(0, 0, 0, fences.Now())
		if !r.acceptable(out, flightLoad, fences.Now(), 0) {
			t.Error("a caller that comes after the copy was confirmed again does not get it")
		}
	})
}

// Where the origin lags behind, what no shared tier has taken was loaded under the
// tombstone of an invalidation from before the flight, or without asking for one.
// Nothing that is heard tells a caller who joins it that it is old.
func TestWhoJoinsALaggingLoadThatNoTierHasTakenComesWithinTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hash = 7
		fences := fence.New(1, time.Second, 1<<20)
		node := &Node{fences: fences}
		stamp := fences.Stamp(hash)
		tests := []struct {
			name     string
			lag      time.Duration
			mark     fence.Mark
			after    time.Duration // that the caller comes
			accepted bool
		}{
			{"not kept, within the bound", time.Minute, fence.Mark{}, time.Second, true},
			{"not kept", time.Minute, fence.Mark{}, time.Second + 1, false},
			{"without Redis, within the bound", time.Minute, stamp.At(1).Detach(), time.Second, true},
			{"without Redis", time.Minute, stamp.At(1).Detach(), time.Second + 1, false},
			{"stored", time.Minute, stamp.At(1), time.Hour, true},
			{"not kept, and the origin does not lag", 0, fence.Mark{}, time.Hour, true},
		}
		time.Sleep(time.Hour) //nolint:forbidigo // moves the bubble's clock
		fences.Observe(0, 0, 0, fences.Now())
		for _, tt := range tests {
			r := &region{node: node, originLag: tt.lag}
			out := &outcome{source: SourceLoad, stamp: stamp, mark: tt.mark}
			if got := r.acceptable(out, flightLoad, stamp.T0+int64(tt.after), 0); got != tt.accepted {
				t.Errorf("%s: accepted %t, want %t", tt.name, got, tt.accepted)
			}
			if !r.acceptable(out, flightLoad, stamp.T0, 0) {
				t.Errorf("%s: the caller that began it does not get it", tt.name)
			}
		}
	})
}
