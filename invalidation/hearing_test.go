package invalidation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/invalidation"
)

// slow makes probes too rare to play a part in a test, unless one is asked for.
// The first has all the time that it needs: the next comes after minutes.
func slow(c *config) { c.bound, c.timeout = 10*time.Minute, patience }

func TestAMessageVoidsCopiesOfItsKeyOnly(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		n := started(t, b.Client(t), slow)
		k, other := n.key(1, 0), n.key(1, 1)
		m, o := n.copyOf(k), n.copyOf(other)
		if !n.valid(m) || !n.valid(o) {
			t.Fatal("a fresh copy is not valid")
		}
		seq := n.invalidate(k)
		n.eventually("the message", func() bool { return len(n.heard()) == 1 })
		if n.valid(m) {
			t.Error("the message was handed on before the fences were raised")
		}
		if !n.valid(o) {
			t.Error("a copy of another key is void too")
		}
		got := n.heard()[0]
		if got.Partition != 1 || got.Seq != seq || got.Origin != 2 || len(got.Hashes) != 1 || got.Hashes[0] != k.Hash {
			t.Errorf("heard %+v", got)
		}
		if s := n.Stats(); s.Received != 1 || s.Own != 0 || s.Gaps != 0 || s.Lag.Count != 1 || s.Flushes != (invalidation.Flushes{}) {
			t.Errorf("stats: %+v", s)
		}
	})
}

func TestOwnMessagesAreAppliedLikeOthers(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		n := started(t, b.Client(t), slow, options(func(o *invalidation.Options) { o.Origin = 2 }))
		k := n.key(0, 0)
		m := n.copyOf(k)
		n.invalidate(k) // origin 2
		n.eventually("the own message", func() bool { return n.Stats().Own == 1 })
		if n.valid(m) {
			t.Error("the own message was not applied")
		}
	})
}

func TestAMessageWithoutHashesVoidsItsPartition(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		n := started(t, b.Client(t), slow)
		m, o := n.copyOf(n.key(2, 0)), n.copyOf(n.key(3, 0))
		i := &invalidator{client: n.redis, layout: n.layout}
		if _, err := i.InvalidatePartition(t.Context(), 2, nil); err != nil {
			t.Fatal(err)
		}
		n.eventually("the message", func() bool { return !n.valid(m) })
		if !n.valid(o) {
			t.Error("another partition is void too")
		}
		n.eventually("the count", func() bool { return n.Stats().Flushes.Announced == 1 })
	})
}

func TestAMessageAfterAMissingOneVoidsTheWholePartition(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		n := started(t, b.Client(t), slow)
		lost, told := n.key(1, 0), n.key(1, 1)
		n.invalidate(told)
		n.eventually("the first message", func() bool { return n.Stats().Received == 1 })
		m, o := n.copyOf(lost), n.copyOf(n.key(2, 0))
		n.lose(1)
		n.invalidate(told)
		n.eventually("the gap", func() bool { return !n.valid(m) })
		if !n.valid(o) {
			t.Error("another partition is void too")
		}
		n.eventually("the count", func() bool { return n.Stats().Gaps == 1 })
	})
}

func TestMessagesMayComeTwiceAndInAnyOrder(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		n := started(t, b.Client(t), slow)
		k, other := n.key(1, 0), n.key(1, 1)
		n.invalidate(other)
		n.eventually("a first message", func() bool { return n.Stats().Received == 1 })
		first := n.heard()[0]
		m := n.copyOf(k)
		// The second of two arrives first, the first late, and both twice.
		publish(t, n, invalidation.Message{Partition: 1, Seq: first.Seq + 2, Hashes: []uint64{other.Hash}})
		publish(t, n, invalidation.Message{Partition: 1, Seq: first.Seq + 1, Hashes: []uint64{k.Hash}})
		publish(t, n, invalidation.Message{Partition: 1, Seq: first.Seq + 2, Hashes: []uint64{other.Hash}})
		publish(t, n, first)
		n.eventually("the messages", func() bool { return n.Stats().Received == 5 })
		if n.valid(m) {
			t.Error("the copy that the late message concerns is valid")
		}
		if last := n.fences.Last(1); last != first.Seq+2 {
			t.Errorf("the highest sequence heard is %d, want %d", last, first.Seq+2)
		}
	})
}

func TestAMessageThatCannotBeReadIsMadeGoodForByTheProbe(t *testing.T) {
	newer, err := invalidation.Message{Partition: 1, Seq: 1}.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	newer[1]++
	foreign, err := invalidation.Message{Partition: 200, Seq: 1}.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"garbage": "hello", "newer version": string(newer), "no such partition": string(foreign)} {
		t.Run(name, func(t *testing.T) {
			redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
				n := started(t, b.Client(t), slow)
				m := n.copyOf(n.key(1, 0))
				n.lose(1) // what the message would have said
				for range 2 {
					if err := n.redis.Publish(t.Context(), n.layout.Channel(), data).Err(); err != nil {
						t.Fatal(err)
					}
				}
				n.eventually("a probe that finds out", func() bool { return !n.valid(m) })
				n.eventually("the counts", func() bool {
					s := n.Stats()
					return s.Undecodable == 2 && s.Flushes.Lost == 1 && s.Received == 0
				})
				if got := strings.Count(n.logs.String(), "cannot be read"); got != 1 {
					t.Errorf("logged %d times, want once", got)
				}
			})
		})
	}
}

func publish(t *testing.T, n *node, m invalidation.Message) {
	t.Helper()
	b, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.redis.Publish(t.Context(), n.layout.Channel(), b).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestTheLagIsNeverUnderestimated(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		p := b.Proxy(t)
		client := p.Client(t)
		if err := client.Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		p.Data().Delay(50 * time.Millisecond) // the answers are old when they come
		began := time.Now()
		n := started(t, client, slow)
		now, ok := n.ServerNow()
		server, err := b.Client(t).Time(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		if later, _ := n.ServerNow(); !ok || later < server.UnixMicro() {
			t.Errorf("Redis's clock was at %d, a later estimate says %d (known: %v)", server.UnixMicro(), later, ok)
		}
		// It exceeds the true time by a probe's round trip at most.
		if now > server.UnixMicro()+time.Since(began).Microseconds() {
			t.Errorf("Redis's clock was at %d, an earlier estimate said %d", server.UnixMicro(), now)
		}
		publish(t, n, invalidation.Message{Partition: 0, Seq: n.fences.Last(0) + 1, Time: server.UnixMicro() - 3_000_000, Hashes: []uint64{1}})
		n.eventually("the message", func() bool { return n.Stats().Lag.Count == 1 })
		if lag := n.Stats().Lag.Sum; lag < 3*time.Second {
			t.Errorf("a message of three seconds ago has a lag of %v", lag)
		}
	})
}
