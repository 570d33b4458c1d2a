package invalidation_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/invalidation"
)

func TestInstancesWithAnotherLayoutAreRefused(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		client := b.Client(t)
		g := &gate{}
		client.AddHook(g)
		first := started(t, client, partitions(4))
		second := start(t, client, partitions(8))

		err := second.Ready(t.Context())
		var conflict *invalidation.LayoutError
		if !errors.As(err, &conflict) || !errors.Is(err, invalidation.ErrLayout) {
			t.Fatalf("got %v, want a LayoutError", err)
		}
		if want := (invalidation.LayoutError{Key: "test:layout", Ours: "1.8", Theirs: "1.4"}); *conflict != want {
			t.Errorf("got %+v, want %+v", *conflict, want)
		}
		for sent := g.sent.Load(); g.sent.Load() < sent+6; {
			first.confirmed()
		}
		for p := range 8 {
			if _, ok := second.fences.Lease(p); ok {
				t.Errorf("partition %d has been granted a lease", p)
			}
			if _, _, ok := second.Epoch(p); ok {
				t.Errorf("partition %d has an epoch", p)
			}
		}
		if s := second.Stats(); s.State.Cause != invalidation.CauseLayout || s.Flushes.Layout != 8 || s.State.Ready {
			t.Errorf("stats: %+v", s)
		}
		second.eventually("the log", func() bool {
			return strings.Contains(second.logs.String(), `level=ERROR`) &&
				strings.Contains(second.logs.String(), `ours=1.8 theirs=1.4 remedy=`)
		})
		if first.Err() != nil || first.State().Degraded {
			t.Errorf("the first instance: %v, %+v", first.Err(), first.State())
		}
	})
}

func TestAConflictOfLayoutsEndsWithTheLastOfTheOthers(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		first := started(t, b.Client(t), partitions(4))
		second := start(t, b.Client(t), partitions(8))
		if err := second.Ready(t.Context()); !errors.Is(err, invalidation.ErrLayout) {
			t.Fatal(err)
		}
		_ = first.Close()
		b.FastForward(t, time.Minute)
		second.eventually("the end of the conflict", func() bool { return second.Err() == nil })
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := second.Ready(ctx); err != nil {
			t.Error(err)
		}
	})
}

func TestALivingInstanceKeepsItsLayout(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		n := started(t, b.Client(t))
		for range 3 {
			b.FastForward(t, 40*time.Second)
			n.confirmed()
			// Half a minute is left at least, or a longer outage of this
			// instance would give its layout away.
			if left := n.redis.PTTL(t.Context(), n.layout.AgreementKey()).Val(); left < 30*time.Second {
				t.Errorf("the layout's key has %v to live", left)
			}
		}
		second := start(t, b.Client(t), partitions(8))
		if err := second.Ready(t.Context()); !errors.Is(err, invalidation.ErrLayout) {
			t.Errorf("got %v, want ErrLayout", err)
		}
	})
}

// An instance that comes back from an isolation in which its layout was
// replaced finds out, and what it has held is void.
func TestAConflictThatBeginsLaterVoidsEverything(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		n := started(t, b.Client(t))
		m := n.copyOf(n.key(1, 0))
		key := n.layout.AgreementKey()
		if err := n.redis.Set(t.Context(), key, "1.8", 0).Err(); err != nil {
			t.Fatal(err)
		}
		n.eventually("the conflict", func() bool { return n.Err() != nil })
		n.eventually("the voiding", func() bool { return !n.valid(m) })
		if _, _, ok := n.Epoch(1); ok {
			t.Error("there is an epoch during the conflict")
		}
		n.eventually("the leases to end", n.dead)
		during := n.copyOf(n.key(1, 0)) // by a reader who does not heed Err
		if err := n.redis.Del(t.Context(), key).Err(); err != nil {
			t.Fatal(err)
		}
		n.eventually("the end of the conflict", func() bool { return n.Err() == nil })
		n.confirmed()
		if n.valid(m) || n.valid(during) {
			t.Error("a copy from before or during the conflict is valid after it")
		}
		n.eventually("the state", func() bool { return n.State().Cause == invalidation.CauseNone })
	})
}

// While another layout is in use, nobody invalidates the values under this
// one. When it comes back they must not.
func TestValuesDoNotOutliveTheUseOfAnotherLayout(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		use := func(p int) (sequence, epoch uint64, at int64) {
			n := started(t, b.Client(t), partitions(p))
			sequence = n.fences.Last(0)
			epoch, at, _ = n.Epoch(0)
			_ = n.Close()
			b.FastForward(t, time.Minute)
			return sequence, epoch, at
		}
		before, epoch, _ := use(4)
		if epoch != 0 {
			t.Errorf("the first use has an epoch at %d", epoch)
		}
		if _, epoch, _ := use(4); epoch != 0 {
			t.Errorf("the values of an earlier use of the same layout are distrusted: epoch at %d", epoch)
		}
		if _, epoch, _ := use(8); epoch != 0 {
			t.Errorf("the first use of another layout has an epoch at %d", epoch)
		}
		after, epoch, at := use(4)
		if epoch <= before || at != 0 || after < epoch {
			t.Errorf("epoch at %d of time %d after the use of another layout; the sequence was %d, is %d", epoch, at, before, after)
		}
		if _, again, _ := use(4); again != epoch {
			t.Errorf("another use of the same layout begins another epoch: %d after %d", again, epoch)
		}
	})
}

// Without the record nobody knows whether another layout was in use.
func TestALostRecordOfTheLayoutBeginsAnEra(t *testing.T) {
	check := func(t *testing.T, client redis.UniversalClient) {
		n := started(t, client)
		m := n.copyOf(n.key(1, 0))
		if err := client.Del(t.Context(), "{"+n.layout.AgreementKey()+"}:era").Err(); err != nil {
			t.Fatal(err)
		}
		n.eventually("an era in every partition", func() bool {
			for p := range 4 {
				if seq, at, ok := n.Epoch(p); seq == 0 || at != 0 || !ok {
					return false
				}
			}
			return true
		})
		n.confirmed()
		if n.valid(m) {
			t.Error("a copy from before is valid")
		}
		seq, _, _ := n.Epoch(1)
		n.confirmed()
		if again, _, _ := n.Epoch(1); again != seq {
			t.Error("another era has begun without a reason")
		}
	}
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) { check(t, b.Client(t)) })
	t.Run("cluster", func(t *testing.T) {
		client, _ := cluster(t)
		check(t, client)
	})
}
