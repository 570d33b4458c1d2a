package l2_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/l2"
)

func TestOnlyOneOfTwoLoadersHasTheLease(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		one, other := newStore(t, b.Client(t)), newStore(t, b.Client(t))
		l := grant(t, one, apple)
		r, err := other.GetOrLease(t.Context(), apple, l2.NewToken(), l2.Token{})
		if err != nil || r.Status != l2.Busy || r.Seq != l.Seq {
			t.Fatalf("the second: %+v, %v, want busy at %d", r, err, l.Seq)
		}
		wantRefused(t, other, l2.Lease{Key: apple, Token: l2.NewToken(), Seq: l.Seq})
		fill(t, one, l, "by one")
		r, err = other.GetOrLease(t.Context(), apple, l2.NewToken(), l2.Token{})
		if err != nil || r.Status != l2.Hit || string(r.Value.Payload) != "by one" {
			t.Errorf("after the fill: %+v, %v, want the value", r, err)
		}
	})
}

func TestReleaseLetsTheNextOneIn(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		l := grant(t, s, apple)
		if n := s.Stats().LeasesHeld; n != 1 {
			t.Errorf("%d leases held, want 1", n)
		}
		s.Release(l)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if exists(t, c, leaseName(apple)) || s.Stats().LeasesHeld != 0 {
			t.Error("the lease is still there")
		}
		wantRefused(t, s, l)
		grant(t, s, apple)
	})
}

func TestLeaseGrantedAgainKeepsItsSequence(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		l := grant(t, s, apple)
		c.PExpire(t.Context(), leaseName(apple), time.Minute)
		now := invalidate(t, s, sibling(apple))
		r, err := s.GetOrLease(t.Context(), apple, l.Token, l2.Token{})
		if err != nil || r.Status != l2.Granted || r.Lease != l {
			t.Fatalf("got %+v, %v, want %+v again", r, err, l)
		}
		if ttl := c.PTTL(t.Context(), leaseName(apple)).Val(); ttl <= time.Minute {
			t.Errorf("%v left, want a whole life", ttl)
		}
		if f := fill(t, s, l, "x"); f.Seq != now {
			t.Errorf("filled at %d, want %d", f.Seq, now)
		}
	})
}

func TestFillIsRefusedOnceTheLeaseIsGone(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		tests := map[string]func(l l2.Lease){
			"it has expired":         func(l2.Lease) { b.FastForward(t, 2*time.Hour) },
			"the key is invalidated": func(l2.Lease) { invalidate(t, s, apple) },
			"everything is flushed":  func(l2.Lease) { b.FlushAll(t) },
			"flushed, and counting again": func(l2.Lease) {
				b.FlushAll(t)
				invalidate(t, s, apple)
			},
			"the sequence is lost": func(l2.Lease) { c.Del(t.Context(), sequenceName(apple)) },
			"the region is cleared": func(l2.Lease) {
				if _, err := s.InvalidatePartition(t.Context(), partition(apple), []string{"products"}); err != nil {
					t.Fatal(err)
				}
			},
			"somebody sets the key": func(l2.Lease) {
				if _, err := s.Begin(t.Context(), apple, l2.NewToken()); err != nil {
					t.Fatal(err)
				}
			},
			"another has it": func(l2.Lease) {
				b.FastForward(t, 2*time.Hour)
				grant(t, s, apple)
			},
			"it was granted again after an invalidation": func(l l2.Lease) {
				invalidate(t, s, apple)
				if r, err := s.GetOrLease(t.Context(), apple, l.Token, l2.Token{}); err != nil || r.Status != l2.Granted {
					t.Fatal(r, err)
				}
			},
		}
		for name, happens := range tests {
			t.Run(name, func(t *testing.T) {
				b.FlushAll(t)
				l := grant(t, s, apple)
				happens(l)
				wantRefused(t, s, l)
				if exists(t, c, valueName(apple)) {
					t.Error("there is a value")
				}
			})
		}
		t.Run("not because another key is invalidated", func(t *testing.T) {
			b.FlushAll(t)
			l := grant(t, s, apple)
			same := sibling(apple)
			seq := invalidate(t, s, same)
			if f := fill(t, s, l, "good"); f.Seq != seq {
				t.Errorf("filled at %d, want the sequence at the fill, %d", f.Seq, seq)
			}
		})
	})
}

// sibling is another key of the same partition.
func sibling(k l2.Key) l2.Key {
	for i := 0; ; i++ {
		if s := keyspace.Of(k.Region, fmt.Sprint(k.Name, i)); partition(s) == partition(k) {
			return s
		}
	}
}

func TestLeasesAreRenewed(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		loadScripts(t, c)
		p := b.Proxy(t)
		s := newStore(t, p.Client(t))
		var held []l2.Lease
		for i := range 300 { // more than one pipeline carries
			held = append(held, grant(t, s, keyspace.Of("products", fmt.Sprint(i))))
		}
		for range 2 {
			b.FastForward(t, 50*time.Minute)
			p.ResetCounts()
			s.Renew()
			if n := p.RoundTrips(); n < 2 || n > 8 { // a pipeline may need several writes
				t.Errorf("%d round trips to renew %d leases", n, len(held))
			}
		}
		for _, l := range held {
			fill(t, s, l, "x")
		}
		p.ResetCounts()
		s.Renew()
		if n := p.RoundTrips(); n != 0 {
			t.Errorf("%d round trips to renew nothing", n)
		}
	})
}

func TestLeasesAreRenewedByThemselves(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c, leaseTTL(time.Second))
		grant(t, s, apple)
		// A renewal shows in that it ends a longer life.
		c.PExpire(t.Context(), leaseName(apple), time.Hour)
		eventually(t, "the lease is renewed", func() bool {
			return c.PTTL(t.Context(), leaseName(apple)).Val() <= time.Second
		})
	})
}

func TestRenewalForgetsALeaseThatIsGone(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		grant(t, s, apple)
		grant(t, s, pear)
		other := newStore(t, b.Client(t))
		invalidate(t, other, apple)
		theirs := grant(t, other, apple)
		c.PExpire(t.Context(), leaseName(apple), time.Minute)
		s.Renew()
		if st := s.Stats(); st.LeasesHeld != 1 || st.LeasesLost != 1 {
			t.Errorf("got %+v, want one lease lost, one held", st)
		}
		if ttl := c.PTTL(t.Context(), leaseName(apple)).Val(); ttl > time.Minute {
			t.Errorf("the lease of another was prolonged to %v", ttl)
		}
		fill(t, other, theirs, "x")
	})
}

func TestLeaseGrantedToACallerWhoHasLeftIsReleased(t *testing.T) {
	calls := map[string]struct {
		script string
		call   func(ctx context.Context, s *l2.Store) error
	}{
		"get-or-lease": {"get_or_lease", func(ctx context.Context, s *l2.Store) error {
			_, err := s.GetOrLease(ctx, apple, l2.NewToken(), l2.Token{})
			return err
		}},
		"begin": {"begin", func(ctx context.Context, s *l2.Store) error {
			_, err := s.Begin(ctx, apple, l2.NewToken())
			return err
		}},
	}
	for name, tt := range calls {
		t.Run(name, func(t *testing.T) {
			redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
				c := b.Client(t)
				loadScripts(t, c)
				p := b.Proxy(t)
				s := newStore(t, p.Client(t))
				wantMiss(t, s, apple)
				held := p.Hold(redistest.Script(l2.Scripts[tt.script]))
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- tt.call(ctx, s) }()
				held.Wait(t)
				cancel()
				if err := <-done; !isCanceled(err) {
					t.Fatalf("got %v, want that the context has ended", err)
				}
				if err := s.Flush(t.Context()); err != nil { // the release that was asked for then
					t.Fatal(err)
				}
				held.ReleaseAndWait(t)
				eventually(t, "the late lease is released", func() bool {
					return s.Stats().LateGrants == 1 && !exists(t, c, leaseName(apple))
				})
				if n := s.Stats().LeasesHeld; n != 0 {
					t.Errorf("%d leases are renewed", n)
				}
			})
		})
	}
}

// What a large call held is given back to the last lease, however it ends, and
// each once although it is asked for twice.
func TestLeasesOfALargeCallAreAllReleased(t *testing.T) {
	const n = 70_000 // more than may wait of leases of which nobody knows
	server := redistest.Start(t)
	c := server.Client(t)
	ends := map[string]func(t *testing.T, s *l2.Store, leases []l2.Lease){
		"they are released": func(_ *testing.T, s *l2.Store, leases []l2.Lease) {
			for _, l := range leases {
				s.Release(l)
			}
		},
		"their fills fail, and then they are released": func(t *testing.T, s *l2.Store, leases []l2.Lease) {
			fills := make([]l2.Filling, len(leases))
			for i, l := range leases {
				fills[i] = l2.Filling{Lease: l, Fill: l2.Fill{Kind: l2.Tombstone}}
			}
			for i, got := range s.FillMany(t.Context(), fills) {
				if got.Err == nil {
					t.Fatal("the fill has not failed")
				}
				s.Release(leases[i])
			}
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, c, timeout(never))
			leases := leaseMany(t, s, manyKeys(n))
			end(t, s, leases)
			if waits := s.Releases(); waits > n {
				t.Errorf("%d releases wait for %d leases", waits, n)
			}
			if err := s.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if lost := s.Stats().ReleasesLost; lost != 0 {
				t.Errorf("%d releases are lost", lost)
			}
			var left int
			for p := range partitions {
				left += len(c.Keys(t.Context(), layout.Lease(p, "products", "*")).Val())
			}
			if left != 0 {
				t.Errorf("%d leases are left", left)
			}
		})
	}
}

func TestReleasesOfWhatMayNotHaveBeenGrantedAreBounded(t *testing.T) {
	p := redistest.Mini(t).Proxy(t)
	s := newStore(t, p.Client(t, patient), timeout(never))
	wantMiss(t, s, apple)
	p.BlackHole(true)
	defer p.BlackHole(false)
	for range l2.MaxReleases + 1000 {
		s.Release(l2.Lease{Key: apple, Token: l2.NewToken()})
	}
	// One or two batches may have left the queue.
	if n := s.Releases(); n > l2.MaxReleases {
		t.Errorf("%d releases wait, want at most %d", n, l2.MaxReleases)
	}
	before := s.Releases()
	again := l2.Lease{Key: pear, Token: l2.NewToken()}
	for range 10 {
		s.Release(again)
	}
	if n := s.Releases(); n > before+1 {
		t.Errorf("a release that is asked for 10 times waits %d times", n-before)
	}
}
