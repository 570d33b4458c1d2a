package invalidation

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

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
		q.failed(batches[0], errLate, 0)
		most := min(firstResend<<i, lastResend)
		batches, wait := q.due(0)
		if len(batches) > 0 || wait < most/2 || wait > most {
			t.Errorf("after failure %d: due are %+v, wait %v; want a wait of %v to %v", i+1, batches, wait, most/2, most)
		}
		w := &q.parts[layout.Partition(k.Hash)]
		w.next = 0
	}
	batches, _ := q.due(0)
	q.failed(batches[0], errLate, 0)
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
			other := b.fences.Stamp(1).At(1)
			go func() {
				for {
					select {
					case <-done:
						return
					default:
						b.fences.Answered(&other)
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

// A key that waits is not taken for a part of its region, nor the other way round,
// whichever came first: both are sent.
func TestKeysWaitBesideWholeRegions(t *testing.T) {
	for _, keyFirst := range []bool{true, false} {
		b := queueOnly(t, confirms(1<<52))
		q, k := &b.queue, keyspace.Of("region", "k")
		p := b.layout.Partition(k.Hash)
		if keyFirst {
			q.add([]keyspace.Key{k})
		}
		q.addPartition(p, []string{"other"})
		if !keyFirst {
			q.add([]keyspace.Key{k})
		}
		if keys, partitions := q.size(); keys != 1 || partitions != 1 {
			t.Fatalf("%d keys and %d partitions wait, want one of each", keys, partitions)
		}
		sent := map[string]int{}
		for range 2 {
			batches, _ := q.due(0)
			if len(batches) != 1 {
				t.Fatalf("due are %+v", batches)
			}
			sent[fmt.Sprint(batches[0].keys, batches[0].regions)]++
			q.retry(t.Context(), batches[0])
		}
		if sent[fmt.Sprint([]keyspace.Key{k}, []string{})] != 1 || sent[fmt.Sprint([]keyspace.Key{}, []string{"other"})] != 1 {
			t.Errorf("sent %v, want the key and the region", sent)
		}
		if q.count.Load() != 0 || q.pending(k.Hash) {
			t.Error("something still waits")
		}
	}
}

// A region that Redis refuses to have cleared does not keep keys waiting.
func TestKeysAndRegionsTakeTurns(t *testing.T) {
	b := queueOnly(t, nil)
	q, k := &b.queue, keyspace.Of("region", "k")
	q.add([]keyspace.Key{k})
	q.addPartition(b.layout.Partition(k.Hash), []string{"other"})
	for _, whole := range []bool{true, false, true} {
		batches, _ := q.due(1 << 60)
		if len(batches) != 1 || (len(batches[0].regions) > 0) != whole {
			t.Fatalf("due are %+v, want regions: %v", batches, whole)
		}
		q.failed(batches[0], errLate, 0)
	}
}

// An overflow while keys are on their way: they are part of it, and those that are
// queued afterwards are not taken for them.
func TestOverflowWhileKeysAreSent(t *testing.T) {
	b := queueOnly(t, confirms(1<<52))
	b.opts.QueueLimit = 1
	q := &b.queue
	var keys []keyspace.Key
	for i := 0; len(keys) < 3; i++ {
		if k := keyspace.Of("region", fmt.Sprint(i)); b.layout.Partition(k.Hash) == 1 {
			keys = append(keys, k)
		}
	}
	q.add(keys[:1])
	sending, _ := q.due(0)
	q.add(keys[1:2]) // overflows
	b.opts.QueueLimit = 10
	q.add(keys[2:])
	q.done(sending[0])
	if keys, partitions := q.size(); keys != 1 || partitions != 1 || !q.pending(1) {
		t.Errorf("%d keys and %d partitions wait, want one of each", keys, partitions)
	}
}

// What is on its way when another primary is found may be carried out by the former
// one. It waits for another attempt.
func TestAnAttemptFromBeforeAnotherPrimaryIsRepeated(t *testing.T) {
	k := keyspace.Of("region", "k")
	for name, add := range map[string]func(q *queue, p int){
		"a key":     func(q *queue, _ int) { q.add([]keyspace.Key{k}) },
		"partition": func(q *queue, p int) { q.addPartition(p, []string{"region"}) },
	} {
		t.Run(name, func(t *testing.T) {
			b := queueOnly(t, confirms(1<<52))
			q, p := &b.queue, b.layout.Partition(k.Hash)
			add(q, p)
			before, _ := q.due(0)
			b.replay(p)
			q.done(before[0])
			if !q.pending(k.Hash) {
				t.Fatal("nothing waits for the other primary")
			}
			after, _ := q.due(0)
			q.done(after[0])
			if q.pending(k.Hash) {
				t.Error("something still waits")
			}
		})
	}
}

// A Cluster's client that is told by a function who is there has no address to be named.
func TestAddressIsNeverEmpty(t *testing.T) {
	for want, client := range map[string]redis.UniversalClient{
		"127.0.0.1:1":              redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}),
		"127.0.0.1:1, 127.0.0.1:2": redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1", "127.0.0.1:2"}}),
		"Redis":                    redis.NewClusterClient(&redis.ClusterOptions{}),
	} {
		b := &Backplane{opts: Options{Client: client}}
		if got := b.address(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}
