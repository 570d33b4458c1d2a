package l2_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/l2"
)

// late holds back the first run of a script while its caller gives up and other
// things happen, then lets it run.
func late(t *testing.T, script string, call func(ctx context.Context, s *l2.Store) error, happens func(t *testing.T, s *l2.Store, b *redistest.Backend), check func(t *testing.T, s *l2.Store, c *redis.Client)) {
	t.Helper()
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		loadScripts(t, c)
		p := b.Proxy(t)
		s, other := newStore(t, p.Client(t)), newStore(t, c)
		wantMiss(t, s, apple)
		held := p.Hold(redistest.Script(l2.Scripts[script]))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- call(ctx, s) }()
		held.Wait(t)
		cancel()
		if err := <-done; !isCanceled(err) {
			t.Fatalf("got %v, want that the context has ended", err)
		}
		happens(t, other, b)
		held.ReleaseAndWait(t)
		check(t, other, c)
	})
}

func TestLateGetOrLeaseTakesNothingAway(t *testing.T) {
	call := func(ctx context.Context, s *l2.Store) error {
		_, err := s.GetOrLease(ctx, apple, l2.NewToken(), l2.Token{})
		return err
	}
	t.Run("another has filled", func(t *testing.T) {
		late(t, "get_or_lease", call,
			func(t *testing.T, s *l2.Store, _ *redistest.Backend) { put(t, s, apple, "by another") },
			func(t *testing.T, s *l2.Store, c *redis.Client) {
				wantHit(t, s, apple, "by another")
				if exists(t, c, leaseName(apple)) {
					t.Error("there is a lease beside a value")
				}
			})
	})
	t.Run("another is loading", func(t *testing.T) {
		var theirs l2.Lease
		late(t, "get_or_lease", call,
			func(t *testing.T, s *l2.Store, _ *redistest.Backend) { theirs = grant(t, s, apple) },
			func(t *testing.T, s *l2.Store, _ *redis.Client) { fill(t, s, theirs, "by another") })
	})
}

func TestLateFillIsRefused(t *testing.T) {
	// The lease is taken before and the fill of it is what is late.
	happens := map[string]func(t *testing.T, s *l2.Store, b *redistest.Backend){
		"the key is invalidated": func(t *testing.T, s *l2.Store, _ *redistest.Backend) { invalidate(t, s, apple) },
		"another has the lease": func(t *testing.T, s *l2.Store, b *redistest.Backend) {
			b.FastForward(t, 2*time.Hour)
			grant(t, s, apple)
		},
		"everything is flushed": func(t *testing.T, _ *l2.Store, b *redistest.Backend) { b.FlushAll(t) },
		"flushed and invalidated": func(t *testing.T, s *l2.Store, b *redistest.Backend) {
			b.FlushAll(t)
			invalidate(t, s, apple)
		},
		// Its caller does not know whether it was stored, and has released the lease.
		"nothing else": func(t *testing.T, _ *l2.Store, b *redistest.Backend) {
			c := b.Client(t)
			eventually(t, "the lease is released", func() bool { return !exists(t, c, leaseName(apple)) })
		},
	}
	for name, h := range happens {
		t.Run(name, func(t *testing.T) {
			late(t, "fill",
				func(ctx context.Context, s *l2.Store) error {
					_, err := s.Fill(ctx, grant(t, s, apple), value("late"))
					return err
				}, h,
				func(t *testing.T, s *l2.Store, _ *redis.Client) { wantMiss(t, s, apple) })
		})
	}
}

func TestLateBeginOnlyInvalidates(t *testing.T) {
	late(t, "begin",
		func(ctx context.Context, s *l2.Store) error {
			_, err := s.Begin(ctx, apple, l2.NewToken())
			return err
		},
		func(t *testing.T, s *l2.Store, _ *redistest.Backend) {
			l, err := s.Begin(t.Context(), apple, l2.NewToken())
			if err != nil {
				t.Fatal(err)
			}
			fill(t, s, l, "by another")
		},
		func(t *testing.T, s *l2.Store, c *redis.Client) {
			wantMiss(t, s, apple)
			eventually(t, "its lease is released", func() bool { return !exists(t, c, leaseName(apple)) })
			put(t, s, apple, "loaded again")
		})
}

func TestLateInvalidateRemovesWhatIsThere(t *testing.T) {
	for script, call := range map[string]func(context.Context, *l2.Store) error{
		"invalidate": func(ctx context.Context, s *l2.Store) error {
			_, err := s.Invalidate(ctx, partition(apple), []l2.Key{apple})
			return err
		},
		"invalidate_partition": func(ctx context.Context, s *l2.Store) error {
			_, err := s.InvalidatePartition(ctx, partition(apple), []string{"products"})
			return err
		},
	} {
		t.Run(script, func(t *testing.T) {
			late(t, script, call,
				func(t *testing.T, s *l2.Store, _ *redistest.Backend) { put(t, s, apple, "newer") },
				func(t *testing.T, s *l2.Store, _ *redis.Client) {
					wantMiss(t, s, apple)
					put(t, s, apple, "loaded again")
					wantHit(t, s, apple, "loaded again")
				})
		})
	}
}

func TestLateReleaseAndRenewLeaveTheLeaseOfAnother(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		for script, send := range map[string]func(s *l2.Store, l l2.Lease){
			"release": func(s *l2.Store, l l2.Lease) { s.Release(l) },
			"renew":   func(s *l2.Store, _ l2.Lease) { s.Renew() },
		} {
			t.Run(script, func(t *testing.T) {
				b.FlushAll(t)
				c := b.Client(t)
				loadScripts(t, c)
				p := b.Proxy(t)
				s, other := newStore(t, p.Client(t)), newStore(t, c)
				l := grant(t, s, apple)
				held := p.Hold(redistest.Script(l2.Scripts[script]))
				done := make(chan struct{})
				go func() {
					defer close(done)
					send(s, l)
				}()
				held.Wait(t)
				b.FastForward(t, 2*time.Hour)
				theirs := grant(t, other, apple)
				c.PExpire(t.Context(), leaseName(apple), time.Minute)
				held.ReleaseAndWait(t)
				<-done
				if ttl := c.PTTL(t.Context(), leaseName(apple)).Val(); ttl > time.Minute {
					t.Errorf("prolonged to %v", ttl)
				}
				fill(t, other, theirs, "by another")
			})
		}
	})
}
