package invalidation

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
)

func TestAFailedPartitionWaitsEverLongerUntilItsPrimaryAnswers(t *testing.T) {
	b := queueOnly(t, nil)
	q, layout := &b.queue, b.layout
	k := keyspace.Of("region", "k")
	q.add([]keyspace.Key{k})

	for i := range 12 {
		batches, _ := q.due(0)
		if len(batches) != 1 || len(batches[0].keys) != 1 || batches[0].keys[0] != k {
			t.Fatalf("attempt %d: due are %+v", i+1, batches)
		}
		if more, _ := q.due(0); len(more) > 0 {
			t.Fatal("a partition is sent twice at the same time")
		}
		q.failed(batches[0], 0)
		most := min(firstResend<<i, lastResend)
		batches, wait := q.due(0)
		if len(batches) > 0 || wait < most/2 || wait > most {
			t.Errorf("after failure %d: due are %+v, wait %v; want a wait of %v to %v", i+1, batches, wait, most/2, most)
		}
		w := &q.parts[layout.Partition(k.Hash)]
		w.next = 0
	}
	batches, _ := q.due(0)
	q.failed(batches[0], 0)
	q.hurry(layout.Partition(k.Hash))
	if batches, _ := q.due(0); len(batches) != 1 {
		t.Error("the primary has answered, and the partition still waits")
	}
}

// queueOnly is a backplane of which only the queue works.
func queueOnly(t *testing.T, r Invalidator) *Backplane {
	t.Helper()
	layout, err := keyspace.New("test", 4)
	if err != nil {
		t.Fatal(err)
	}
	b := &Backplane{
		opts:   Options{QueueLimit: 1000, Retrier: r, Timeout: time.Minute},
		fences: fence.New(4, time.Hour, 1),
		layout: layout,
	}
	b.queue.init(b)
	b.acks.init(4, 1000)
	return b
}

type confirms uint64

func (c confirms) Invalidate(context.Context, int, []keyspace.Key) (uint64, error) {
	return uint64(c), nil
}

func (c confirms) InvalidatePartition(context.Context, int, []string) (uint64, error) {
	return uint64(c), nil
}

// A copy that stems from before the invalidation must be refused by Pending
// until it is refused by the fences.
func TestFencesAreRaisedBeforeAKeyLeavesTheQueue(t *testing.T) {
	const seq = 1 << 52
	for range 15 {
		b := queueOnly(t, confirms(seq))
		var keys []keyspace.Key
		for i := 0; len(keys) < maxBatch; i++ {
			if k := keyspace.Of("region", fmt.Sprint(i)); b.layout.Partition(k.Hash) == 1 {
				keys = append(keys, k)
			}
		}
		b.queue.add(keys)
		batches, _ := b.queue.due(0)
		done := make(chan struct{})
		for range 2 { // others who raise fences of the partition: that gives us time to look
			go func() {
				for {
					select {
					case <-done:
						return
					default:
						b.fences.Raise(1, 1)
					}
				}
			}()
		}
		go func() {
			defer close(done)
			b.queue.retry(t.Context(), batches[0])
		}()
		for b.queue.count.Load() > 0 {
			continue // as Pending looks, but without its lock, which would hold us up
		}
		// The last key's fence is the last to be raised.
		m := b.fences.Stamp(keys[len(keys)-1].Hash).At(seq - 1)
		if _, valid := b.fences.Valid(&m); valid {
			t.Error("neither pending nor fenced")
		}
		<-done
		if t.Failed() {
			return
		}
	}
}
