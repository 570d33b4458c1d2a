package tiered

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/invalidation"
)

// An instance has heard from a new primary, and a connection of its client is
// still to the old one. While the key is being invalidated, what is read there
// must not pass for something that is merely to be read again: after the last
// time it would be taken.
func TestWhatIsOlderThanWhatWasKnownBeforeIsNotReadAgain(t *testing.T) {
	const hash, known = 7, 5
	tests := []struct {
		name      string
		seq       uint64 // of the reply
		meanwhile func(*fence.Table)
		want      error
	}{
		{"a reply of the old primary", known - 1, func(*fence.Table) {}, errBehind},
		{"the same, and something was heard", known - 1, func(f *fence.Table) { f.Heard(0, known+1, []uint64{hash}) }, errBehind},
		{"a reply of the new primary", known, func(*fence.Table) {}, nil},
		{"the same, and something was heard", known, func(f *fence.Table) { f.Heard(0, known+1, []uint64{hash}) }, nil},
		{"the sequence was lost and found meanwhile", known - 1, func(f *fence.Table) { f.Restart(0, known-2) }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fences := fence.New(1, time.Second, 1<<20)
				fences.Restart(0, known)
				fences.Observe(0, known, known, fences.Now()) // a lease from now on
				f := flight{
					region: &region{node: &Node{fences: fences, backplane: &invalidation.Backplane{}}},
					key:    keyspace.Key{Hash: hash},
					stamp:  fences.Stamp(hash),
				}
				tt.meanwhile(fences)
				mark := f.readMark(tt.seq)
				if err := f.doubt(t.Context(), &mark); !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
			})
		})
	}
}
