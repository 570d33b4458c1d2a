package l2_test

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/l2"
)

// cut is a store whose connection is cut before the reply to the next run of a
// script, which is carried out. sent says whether the client sends again what
// got no reply; then the script runs twice.
type cut struct {
	*l2.Store
	direct *l2.Store     // another one on the same Redis, undisturbed
	redis  *redis.Client // likewise
	twice  bool
	lose   func(script string)
}

// eachCut runs fn with a client that repeats and with one that does not.
func eachCut(t *testing.T, fn func(t *testing.T, c cut)) {
	t.Helper()
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		for name, n := range map[string]int{"and it runs twice": 3, "and nobody knows": -1} {
			t.Run(name, func(t *testing.T) {
				b.FlushAll(t)
				c := cut{redis: b.Client(t), twice: n > 0}
				loadScripts(t, c.redis)
				p := b.Proxy(t)
				c.Store, c.direct = newStore(t, p.Client(t, retries(n))), newStore(t, c.redis)
				wantMiss(t, c.Store, apple)
				c.lose = func(script string) { p.DropReplyAfter(redistest.Script(l2.Scripts[script]), 1) }
				fn(t, c)
			})
		}
	})
}

// check is for the error of a call whose reply was lost; it reports whether the
// call went well.
func (c cut) check(t *testing.T, err error) (ok bool) {
	t.Helper()
	if c.twice && err != nil || !c.twice && !errors.Is(err, l2.ErrUnavailable) {
		t.Fatalf("got error %v", err)
	}
	return err == nil
}

func TestReplyToGetOrLeaseIsLost(t *testing.T) {
	eachCut(t, func(t *testing.T, c cut) {
		c.lose("get_or_lease")
		r, err := c.GetOrLease(t.Context(), apple, l2.NewToken(), l2.Token{})
		if !c.check(t, err) {
			eventually(t, "the lease that may have been granted is released", func() bool {
				return !exists(t, c.redis, leaseName(apple))
			})
			put(t, c.direct, apple, "by another")
			return
		}
		if r.Status != l2.Granted {
			t.Fatalf("got %v, want the lease of the first run", r.Status)
		}
		fill(t, c.Store, r.Lease, "x")
	})
}

func TestReplyToFillIsLost(t *testing.T) {
	eachCut(t, func(t *testing.T, c cut) {
		old := put(t, c.direct, apple, "old")
		r, err := c.GetOrLease(t.Context(), apple, l2.NewToken(), wantHit(t, c.direct, apple, "old").Value.Token)
		if err != nil || r.Status != l2.Granted {
			t.Fatal(r, err)
		}
		hear := listen(t, c.redis)
		c.lose("fill")
		f, err := c.Fill(t.Context(), r.Lease, value("new"))
		if c.check(t, err) && (!f.Accepted || f.Seq != old.Seq+1) {
			t.Errorf("got %+v, want accepted at %d", f, old.Seq+1)
		}
		hear(1) // replacing the old value was counted once
		got := wantHit(t, c.direct, apple, "new")
		if exists(t, c.redis, leaseName(apple)) {
			t.Error("the lease is still there")
		}

		again, err := c.Fill(t.Context(), r.Lease, value("new"))
		if err != nil || !again.Accepted || again.Created != got.Value.Created || again.SoftEnd != got.Value.SoftEnd {
			t.Errorf("asked again: %+v, %v, want what is there, %+v", again, err, got.Value)
		}
		hear(0)
		invalidate(t, c.direct, apple)
		wantRefused(t, c.Store, r.Lease)
	})
}

func TestReplyToBeginIsLost(t *testing.T) {
	eachCut(t, func(t *testing.T, c cut) {
		old := put(t, c.direct, apple, "old")
		hear := listen(t, c.redis)
		c.lose("begin")
		l, err := c.Begin(t.Context(), apple, l2.NewToken())
		wantMiss(t, c.direct, apple)
		if !c.check(t, err) {
			hear(1)
			eventually(t, "the lease that may have been granted is released", func() bool {
				return !exists(t, c.redis, leaseName(apple))
			})
			return
		}
		if a := hear(2); a[1].seq != l.Seq || l.Seq != old.Seq+2 {
			t.Errorf("lease %+v, announced %+v, want that of the second run", l, a)
		}
		fill(t, c.Store, l, "new")
	})
}

func TestReplyToInvalidateIsLost(t *testing.T) {
	eachCut(t, func(t *testing.T, c cut) {
		old := put(t, c.direct, apple, "old")
		hear := listen(t, c.redis)
		c.lose("invalidate")
		seq, err := c.Invalidate(t.Context(), partition(apple), []l2.Key{apple})
		wantMiss(t, c.direct, apple)
		if !c.check(t, err) {
			hear(1)
			return
		}
		if a := hear(2); a[1].seq != seq || seq != old.Seq+2 {
			t.Errorf("sequence %d, announced %+v, want that of the second run", seq, a)
		}
	})
}

func TestReplyToInvalidatePartitionIsLost(t *testing.T) {
	eachCut(t, func(t *testing.T, c cut) {
		old := put(t, c.direct, apple, "old")
		c.lose("invalidate_partition")
		seq, err := c.InvalidatePartition(t.Context(), partition(apple), []string{"products"})
		wantMiss(t, c.direct, apple)
		if c.check(t, err) && seq != old.Seq+2 {
			t.Errorf("sequence %d, want that of the second run, %d", seq, old.Seq+2)
		}
	})
}

func TestReplyToRenewOrReleaseIsLost(t *testing.T) {
	eachCut(t, func(t *testing.T, c cut) {
		l := grant(t, c.Store, apple)
		c.redis.PExpire(t.Context(), leaseName(apple), time.Minute)
		c.lose("renew")
		c.Renew()
		if ttl := c.redis.PTTL(t.Context(), leaseName(apple)).Val(); ttl <= time.Minute {
			t.Errorf("%v left after a renewal", ttl)
		}
		if n := c.Stats().LeasesHeld; n != 1 {
			t.Errorf("%d leases held after a renewal of which nothing is known", n)
		}
		c.lose("release")
		c.Release(l)
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if exists(t, c.redis, leaseName(apple)) {
			t.Error("the lease is still there")
		}
	})
}

func TestScriptsThatRedisHasForgottenAreSentInFull(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		forget := func() {
			if err := c.ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		}
		forget()
		l := grant(t, s, apple)
		forget()
		fill(t, s, l, "x")
		forget()
		invalidate(t, s, apple)
		forget()
		l, err := s.Begin(t.Context(), apple, l2.NewToken())
		if err != nil {
			t.Fatal(err)
		}
		forget()
		c.PExpire(t.Context(), leaseName(apple), time.Minute)
		s.Renew()
		if ttl := c.PTTL(t.Context(), leaseName(apple)).Val(); ttl <= time.Minute {
			t.Errorf("%v left after a renewal", ttl)
		}
		forget()
		s.Release(l)
		if err := s.Flush(t.Context()); err != nil || exists(t, c, leaseName(apple)) {
			t.Errorf("released: %v, %v", err, !exists(t, c, leaseName(apple)))
		}
		forget()
		if _, err := s.InvalidatePartition(t.Context(), 0, []string{"products"}); err != nil {
			t.Error(err)
		}
		forget()
		for _, o := range s.InvalidateAll(t.Context(), manyKeys(100)) {
			if o.Err != nil {
				t.Errorf("partition %d: %v", o.Partition, o.Err)
			}
		}
		if st := s.Stats(); st.Scripts < 7+partitions || st.Failures != 0 {
			t.Errorf("got %+v, want each script sent in full, and no failures", st)
		}
	})
}
