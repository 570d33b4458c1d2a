package fence_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
)

// A value is loaded from a snapshot on, at sequence 100 of its tag's partition.
// Each case says what happens then, before (during) and after the mark of the
// tag is made, and whether the value may be served.
func TestWhatATaggedLoadOutlives(t *testing.T) {
	const p, at = 0, 100
	type table = *fence.Table
	tests := []struct {
		name          string
		during, after func(tb table)
		valid         bool
	}{
		{name: "nothing", valid: true},
		{name: "the tag is invalidated during the load", during: func(tb table) { tb.Heard(p, at+1, []uint64{key}) }},
		{name: "the tag is invalidated afterwards", after: func(tb table) { tb.Heard(p, at+1, []uint64{key}) }},
		{name: "another tag is, during the load", during: func(tb table) { tb.Heard(p, at+1, []uint64{neighbour}) }, valid: true},
		{name: "another tag is, afterwards", after: func(tb table) { tb.Heard(p, at+1, []uint64{neighbour}) }, valid: true},
		{name: "a message is lost during the load", during: func(tb table) { tb.Settle(p, at+1, tb.Now()) }},
		{name: "a message is lost afterwards", after: func(tb table) { tb.Settle(p, at+1, tb.Now()) }},
		{name: "the tag is voided during the load", during: func(tb table) { tb.Void(key) }},
		{name: "something of the partition is voided during the load", during: func(tb table) { tb.Void(neighbour) }},
		{name: "the tag is voided afterwards", after: func(tb table) { tb.Void(key) }},
		{name: "something is voided afterwards", after: func(tb table) { tb.Void(neighbour) }, valid: true},
		{name: "the partition is voided during the load", during: func(tb table) { tb.VoidPartition(p) }},
		{name: "the sequence goes back during the load", during: func(tb table) { tb.Restart(p, at-50) }},
		{name: "the sequence comes back larger during the load", during: func(tb table) { tb.Restart(p, at+50) }},
		{name: "the sequence goes back afterwards", after: func(tb table) { tb.Restart(p, at-50) }},
		{name: "the bound passes", after: func(table) { sleep(D) }, valid: true},
		{name: "more than the bound passes", after: func(table) { sleep(D + 1) }},
		{name: "more than the bound passes under a lease", after: func(tb table) {
			sleep(D + 1)
			tb.Settle(p, at, tb.Now())
		}, valid: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tb := fence.New(1, D, 1<<20)
				tb.Settle(p, at, tb.Now())
				s := tb.Snapshot()
				if got := tb.Includes(s, key); got != at {
					t.Errorf("the snapshot includes %d, want %d", got, at)
				}
				if tt.during != nil {
					tt.during(tb)
				}
				marks := []fence.Mark{tb.TagMark(s, neighbour), tb.TagMark(s, key)}
				if tt.name == "the tag is invalidated during the load" {
					marks = marks[1:] // of the other, nothing was heard
				}
				if tt.after != nil {
					tt.after(tb)
				}
				if got := tb.ValidTags(marks[len(marks)-1:], tb.Now()); got != tt.valid {
					t.Errorf("valid: %v, want %v", got, tt.valid)
				}
			})
		})
	}
}

// One's own invalidation is known before its message has come: what is loaded
// after it includes it.
func TestASnapshotIncludesOnesOwnInvalidation(t *testing.T) {
	tb := fence.New(1, time.Hour, 1<<20)
	tb.Settle(0, 100, tb.Now())
	own(tb, key, 105)
	s := tb.Snapshot()
	if m := tb.TagMark(s, key); m.Sequence() != 105 || !tb.ValidTags([]fence.Mark{m}, tb.Now()) {
		t.Errorf("got %+v, want a valid mark at 105", m)
	}
}

// What an instance knows by itself of a value that another one stored at
// sequence 100 of the tag's partition.
func TestWhatIsKnownOfATagWithoutAsking(t *testing.T) {
	const p, at = 0, 100
	tests := []struct {
		name  string
		when  func(tb *fence.Table)
		known bool
	}{
		{"nothing was heard yet", func(*fence.Table) {}, false},
		{"all was heard, up to then", func(tb *fence.Table) { tb.Settle(p, at, tb.Now()) }, true},
		{"all was heard, but the instance came later", func(tb *fence.Table) { tb.Settle(p, at+1, tb.Now()) }, false},
		{"and another tag was invalidated", func(tb *fence.Table) {
			tb.Settle(p, at, tb.Now())
			tb.Heard(p, at+1, []uint64{neighbour})
		}, true},
		{"and it was invalidated", func(tb *fence.Table) {
			tb.Settle(p, at, tb.Now())
			tb.Heard(p, at+1, []uint64{key})
		}, false},
		{"not all was heard", func(tb *fence.Table) { tb.Settle(p, at-1, tb.Now()) }, false},
		{"it was invalidated, and then the stripes were emptied", func(tb *fence.Table) {
			tb.Settle(p, at, tb.Now())
			tb.Heard(p, at+1, []uint64{key})
			for range 2048 {
				tb.Void(neighbour)
			}
			sleep(1)
			tb.Settle(p, at+1, tb.Now())
		}, false},
		{"it was invalidated here, and an answer from before empties the stripes", func(tb *fence.Table) {
			tb.Settle(p, 3*at, tb.Now())
			t0 := tb.Now()
			sleep(1)
			tb.Invalidated(p, []uint64{key}, at+1, fence.Position{Generation: 2})
			tb.Observe(p, 3*at, at, t0)
		}, false},
		{"the stripes were emptied, and the next probe has confirmed it", func(tb *fence.Table) {
			tb.Settle(p, 3*at, tb.Now())
			tb.Observe(p, 3*at, at, tb.Now())
			sleep(1)
			tb.Observe(p, at, at, tb.Now())
		}, true},
		{"it was invalidated here, with a number of a generation that is over", func(tb *fence.Table) {
			tb.Settle(p, at, tb.Now())
			since := tb.Position(p)
			tb.VoidPartition(p)
			tb.Invalidated(p, []uint64{key}, at+1, since)
		}, false},
		{"the whole partition was, with a number of a generation that is over", func(tb *fence.Table) {
			tb.Settle(p, at, tb.Now())
			since := tb.Position(p)
			tb.VoidPartition(p)
			tb.Invalidated(p, nil, at+1, since)
		}, false},
		{"a probe was under way at that", func(tb *fence.Table) {
			tb.Settle(p, at, tb.Now())
			since, t0 := tb.Position(p), tb.Now()
			sleep(1)
			tb.VoidPartition(p)
			tb.Invalidated(p, []uint64{key}, at+1, since)
			tb.Observe(p, at, at, t0)
		}, false},
		{"another tag was, and the next probe has confirmed the partition", func(tb *fence.Table) {
			tb.Settle(p, at, tb.Now())
			since := tb.Position(p)
			tb.VoidPartition(p)
			tb.Invalidated(p, []uint64{neighbour}, at+1, since)
			tb.Heard(p, at+1, []uint64{neighbour})
			sleep(1)
			tb.Observe(p, at+1, at+1, tb.Now())
		}, true},
		{"all was heard, too long ago", func(tb *fence.Table) { tb.Settle(p, at, tb.Now()); sleep(D + 1) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tb := fence.New(1, D, 1<<20)
				tt.when(tb)
				sleep(D / 2)
				m, known := tb.TagMarkAt(key, at)
				if known != (tt.known) {
					t.Fatalf("known: %v, want %v", known, tt.known)
				}
				if !known {
					return
				}
				// However fresh the value is, of the tag no more is known than
				// the lease says.
				sleep(D / 2)
				if !tb.ValidTags([]fence.Mark{m}, tb.Now()) {
					t.Error("not valid within the bound from the lease on")
				}
				sleep(1)
				if tb.ValidTags([]fence.Mark{m}, tb.Now()) {
					t.Error("valid beyond the bound from the lease on")
				}
			})
		})
	}
}
