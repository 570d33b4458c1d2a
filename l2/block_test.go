package l2_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/l2"
)

func block(t *testing.T, s *l2.Store, token l2.Token, life time.Duration, keys ...l2.Key) {
	t.Helper()
	for _, o := range s.Block(t.Context(), keys, token, life) {
		if o.Err != nil || o.Seq == 0 {
			t.Fatalf("block: %+v", o)
		}
	}
}

func unblock(t *testing.T, s *l2.Store, token l2.Token, keys ...l2.Key) {
	t.Helper()
	for _, o := range s.Unblock(t.Context(), keys, token, 0) {
		if o.Err != nil || o.Seq == 0 {
			t.Fatalf("unblock: %+v", o)
		}
	}
}

// wantBlocked checks whether anything may be stored at a key.
func wantBlocked(t *testing.T, s *l2.Store, k l2.Key, want bool) {
	t.Helper()
	r, err := s.Get(t.Context(), k)
	if err != nil || (r.Status == l2.Blocked) != want {
		t.Errorf("get of %s: %v, %v; blocked: want %v", k.Name, r.Status, err, want)
	}
	g, err := s.GetOrLease(t.Context(), k, l2.NewToken(), l2.Token{})
	if err != nil || (g.Status == l2.Blocked) != want {
		t.Errorf("get-or-lease of %s: %v, %v; blocked: want %v", k.Name, g.Status, err, want)
	}
	if g.Status == l2.Granted {
		s.Release(g.Lease)
		if err := s.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatIsBlockedIsNotStored(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		old := put(t, s, apple, "old")
		loading := grant(t, s, pear)
		hear := listen(t, c)
		mine := l2.NewToken()
		block(t, s, mine, time.Minute, apple, pear)
		if len(hear(2)) == 2 {
			wantBlocked(t, s, apple, true)
			wantBlocked(t, s, pear, true)
		}
		wantRefused(t, s, loading)
		setting, err := s.Begin(t.Context(), apple, l2.NewToken())
		if err != nil || setting.Seq <= old.Seq+1 {
			t.Errorf("begin: %+v, %v; want that it counts", setting, err)
		}
		wantRefused(t, s, setting)
		invalidate(t, s, apple)
		wantBlocked(t, s, apple, true)
		unblock(t, s, l2.NewToken(), apple) // not the one who blocked
		wantBlocked(t, s, apple, true)
		hear = listen(t, c)
		unblock(t, s, mine, apple, pear)
		hear(2)
		wantBlocked(t, s, apple, false)
		wantBlocked(t, s, pear, false)
		put(t, s, apple, "new")
		wantHit(t, s, apple, "new")
	})
}

// A Set that meets the tombstone of a Mutate counts, and is not stored: not when the
// tombstone has ended, either. What the Mutate has committed may have been read by
// then, and nothing that is replaced is announced where nothing is.
func TestASetUnderATombstoneIsNotStoredAfterIt(t *testing.T) {
	begin := map[string]func(t *testing.T, s *l2.Store) l2.Lease{
		"Begin": func(t *testing.T, s *l2.Store) l2.Lease {
			t.Helper()
			l, err := s.Begin(t.Context(), apple, l2.NewToken())
			if err != nil {
				t.Fatal(err)
			}
			return l
		},
		"BeginMany": func(t *testing.T, s *l2.Store) l2.Lease {
			t.Helper()
			got := s.BeginMany(t.Context(), []l2.Key{apple}, []l2.Token{l2.NewToken()})
			if got[0].Err != nil {
				t.Fatal(got[0].Err)
			}
			return got[0].Lease
		},
		"BeginLagging": func(t *testing.T, s *l2.Store) l2.Lease { t.Helper(); return beginLagging(t, s, apple, time.Second) },
	}
	for name, begin := range begin {
		t.Run(name, func(t *testing.T) {
			redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
				s := newStore(t, b.Client(t))
				block(t, s, l2.NewToken(), time.Minute, apple)
				setting := begin(t, s)
				b.FastForward(t, time.Minute+time.Second)
				wantRefused(t, s, setting)
				wantMiss(t, s, apple)
				put(t, s, apple, "new") // nobody waits for a lease that is nobody's
			})
		})
	}
}

func TestABlockEndsByItself(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		s := newStore(t, b.Client(t))
		block(t, s, l2.NewToken(), time.Minute, apple)
		b.FastForward(t, time.Minute+time.Second)
		wantBlocked(t, s, apple, false)
	})
}

// Of two writers neither ends what protects the other.
func TestAKeyThatTwoBlockIsNobodys(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		first, second := l2.NewToken(), l2.NewToken()
		block(t, s, first, time.Hour, apple)
		block(t, s, second, time.Minute, apple)
		if ttl := c.PTTL(t.Context(), valueName(apple)).Val(); ttl < 50*time.Minute {
			t.Errorf("the later one shortened it to %v", ttl)
		}
		unblock(t, s, second, apple)
		unblock(t, s, first, apple)
		wantBlocked(t, s, apple, true)
		b.FastForward(t, time.Hour+time.Second)
		wantBlocked(t, s, apple, false)
	})
}

// Nobody's tombstone does not end earlier because another one comes.
func TestATombstoneIsNeverShortened(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		mine := l2.NewToken()
		block(t, s, mine, time.Hour, apple)
		for range 2 {
			block(t, s, l2.Token{}, time.Second, apple) // as an invalidation in a region with a lag does
		}
		for _, o := range s.Unblock(t.Context(), []l2.Key{apple}, l2.NewToken(), time.Second) {
			if o.Err != nil {
				t.Error(o.Err)
			}
		}
		if ttl := c.PTTL(t.Context(), valueName(apple)).Val(); ttl < 50*time.Minute {
			t.Errorf("it ends in %v", ttl)
		}
		wantBlocked(t, s, apple, true)
	})
}

// There is no moment at which neither the write's tombstone nor that of the lag is
// there.
func TestUnblockWithALagLeavesTheKeyBlocked(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		mine := l2.NewToken()
		block(t, s, mine, time.Hour, apple)
		for range 2 {
			for _, o := range s.Unblock(t.Context(), []l2.Key{apple}, mine, time.Minute) {
				if o.Err != nil {
					t.Error(o.Err)
				}
			}
			wantBlocked(t, s, apple, true)
		}
		if ttl := c.PTTL(t.Context(), valueName(apple)).Val(); ttl > time.Minute {
			t.Errorf("it is blocked for %v", ttl)
		}
		b.FastForward(t, time.Minute+time.Second)
		wantBlocked(t, s, apple, false)
	})
}

func TestBlockTwiceIsOne(t *testing.T) {
	eachCut(t, func(t *testing.T, c cut) {
		mine := l2.NewToken()
		c.lose("block")
		for _, o := range c.Block(t.Context(), []l2.Key{apple}, mine, time.Minute) {
			c.check(t, o.Err)
		}
		wantBlocked(t, c.direct, apple, true)
		unblock(t, c.direct, mine, apple)
		wantBlocked(t, c.direct, apple, false)
	})
}

func TestUnblockTwiceInvalidates(t *testing.T) {
	eachCut(t, func(t *testing.T, c cut) {
		mine := l2.NewToken()
		block(t, c.direct, mine, time.Minute, apple)
		c.lose("unblock")
		for _, o := range c.Unblock(t.Context(), []l2.Key{apple}, mine, 0) {
			c.check(t, o.Err)
		}
		wantBlocked(t, c.direct, apple, false)
	})
}

// A block that is carried out when its writer has long ended costs loads until
// its life is over, and no more.
func TestALateBlockEndsByItself(t *testing.T) {
	mine := l2.NewToken()
	late(t, "block",
		func(ctx context.Context, s *l2.Store) error {
			return s.Block(ctx, []l2.Key{apple}, mine, time.Second)[0].Err
		},
		func(t *testing.T, s *l2.Store, _ *redistest.Backend) {
			unblock(t, s, mine, apple)
			put(t, s, apple, "new")
		},
		func(t *testing.T, s *l2.Store, c *redis.Client) {
			eventually(t, "it has ended", func() bool {
				r, err := s.Get(t.Context(), apple)
				return err == nil && r.Status == l2.Miss || c.PTTL(t.Context(), valueName(apple)).Val() <= time.Second
			})
		})
}

// beginLagging begins a Set of a region whose loads lag behind.
func beginLagging(t *testing.T, s *l2.Store, k l2.Key, lag time.Duration) l2.Lease {
	t.Helper()
	got := s.BeginLagging(t.Context(), []l2.Key{k}, []l2.Token{l2.NewToken()}, lag)
	if got[0].Err != nil {
		t.Fatal(got[0].Err)
	}
	return got[0].Lease
}

// wantLeaseBlocked checks whether a loader that does not accept what is there may
// store something else.
func wantLeaseBlocked(t *testing.T, s *l2.Store, k l2.Key, refuse l2.Token, want bool) {
	t.Helper()
	g, err := s.GetOrLease(t.Context(), k, l2.NewToken(), refuse)
	if err != nil || (g.Status == l2.Blocked) != want {
		t.Errorf("get-or-lease: %v, %v; blocked: want %v", g.Status, err, want)
	}
	if g.Status == l2.Granted {
		s.Release(g.Lease)
		if err := s.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// For the lag nothing but the fill of the Set is stored, before it and after it.
func TestOnlyTheSetIsStoredForTheLag(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		put(t, s, apple, "old")
		loading := grant(t, s, pear)
		hear := listen(t, c)
		l := beginLagging(t, s, apple, time.Minute)
		p := beginLagging(t, s, pear, time.Minute)
		hear(2)
		wantRefused(t, s, loading)
		wantBlocked(t, s, apple, true)
		f := fill(t, s, l, "new")
		if again, err := s.Fill(t.Context(), l, value("new")); err != nil || !again.Accepted || again.Seq != f.Seq {
			t.Errorf("the fill again: %+v, %v, want %+v", again, err, f)
		}
		hear(0) // it replaces nothing that anybody keeps
		wantHit(t, s, apple, "new")
		wantBlocked(t, s, apple, false)
		wantLeaseBlocked(t, s, apple, l.Token, true)
		if s.Release(p); s.Flush(t.Context()) != nil { // the Set of pear has failed
			t.Fatal("not flushed")
		}
		wantBlocked(t, s, pear, true)
		wantRefused(t, s, p)
		b.FastForward(t, time.Minute+time.Second)
		wantLeaseBlocked(t, s, apple, l.Token, false)
		wantBlocked(t, s, pear, false)
	})
}

// A Set takes the place of what a Set has left; tombstones of others stay, for no
// less time than the lag.
func TestASetAndWhatBlocksItsKey(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		first := beginLagging(t, s, apple, time.Minute)
		second := beginLagging(t, s, apple, time.Minute)
		wantRefused(t, s, first)
		fill(t, s, second, "second")
		third := beginLagging(t, s, apple, time.Minute)
		fill(t, s, third, "third")
		wantHit(t, s, apple, "third")
		invalidate(t, s, apple)
		wantMiss(t, s, apple)

		writing := l2.NewToken()
		block(t, s, writing, time.Second, pear)
		l := beginLagging(t, s, pear, time.Minute)
		if left := c.PTTL(t.Context(), valueName(pear)).Val(); left <= time.Second {
			t.Errorf("the tombstone stays for %v, want the lag", left)
		}
		wantRefused(t, s, l)
		block(t, s, l2.NewToken(), time.Second, nut) // of a Set that is lost, it becomes nobody's
		unblock(t, s, writing, pear)
		wantBlocked(t, s, pear, false)

		lost := beginLagging(t, s, nut, time.Minute)
		block(t, s, writing, time.Second, nut)
		wantRefused(t, s, lost)
		unblock(t, s, writing, nut)
		wantBlocked(t, s, nut, true)
	})
}
