package tiered

import (
	"slices"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
)

// noting is a backplane that notes what it is given.
type noting struct {
	hooked
	acknowledged, enqueued []keyspace.Key
	onAcknowledged         func()
}

func (b *noting) Acknowledged(_ int, keys []keyspace.Key) {
	b.acknowledged = append(b.acknowledged, keys...)
	if b.onAcknowledged != nil {
		b.onAcknowledged()
	}
}

func (b *noting) Enqueue(keys []keyspace.Key) { b.enqueued = append(b.enqueued, keys...) }

// An invalidation is confirmed by a primary that was replaced, and the answer comes
// when what that one has confirmed was sent again. Where the origin lags behind it is
// sent again, too: its tombstone is lost.
func TestWhatIsConfirmedTooLateIsSentAgainWhereTheOriginLagsBehind(t *testing.T) {
	lagging, other := keyspace.Of("lagging", "k"), keyspace.Of("other", "k")
	both := []keyspace.Key{lagging, other}
	for name, tt := range map[string]struct {
		replaced func(fences *fence.Table, b *noting) // by another primary
		want     []keyspace.Key
	}{
		"no":                       {func(*fence.Table, *noting) {}, nil},
		"before the answer":        {func(fences *fence.Table, _ *noting) { fences.VoidPartition(0) }, []keyspace.Key{lagging}},
		"when the answer has come": {func(fences *fence.Table, b *noting) { b.onAcknowledged = func() { fences.VoidPartition(0) } }, []keyspace.Key{lagging}},
	} {
		t.Run(name, func(t *testing.T) {
			fences, b := fence.New(1, time.Second, 1<<20), new(noting)
			n := &Node{fences: fences, backplane: b, regions: map[string]*region{
				"lagging": {originLag: time.Second}, "other": {},
			}}
			n.lagging.Store(true)
			heard := n.heard(both...)
			tt.replaced(fences, b)
			n.confirmed(0, both, 10, heard[0])
			if !slices.Equal(b.acknowledged, both) || !slices.Equal(b.enqueued, tt.want) {
				t.Errorf("acknowledged: %v; sent again: %v, want %v", b.acknowledged, b.enqueued, tt.want)
			}
		})
	}
}
