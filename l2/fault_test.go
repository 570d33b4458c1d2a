package l2_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/l2"
)

// never is a timeout that no test lives to see.
const never = time.Hour

// patient clients wait for an answer for ever.
func patient(o *redis.Options) { o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = -1, -1, never }

// calls are all calls that wait for Redis.
var calls = map[string]func(ctx context.Context, s *l2.Store) error{
	"get": func(ctx context.Context, s *l2.Store) error {
		_, err := s.Get(ctx, apple)
		return err
	},
	"get-or-lease": func(ctx context.Context, s *l2.Store) error {
		_, err := s.GetOrLease(ctx, apple, l2.NewToken(), l2.Token{})
		return err
	},
	"fill": func(ctx context.Context, s *l2.Store) error {
		_, err := s.Fill(ctx, l2.Lease{Key: apple, Token: l2.NewToken()}, value("x"))
		return err
	},
	"begin": func(ctx context.Context, s *l2.Store) error {
		_, err := s.Begin(ctx, apple, l2.NewToken())
		return err
	},
	"invalidate": func(ctx context.Context, s *l2.Store) error {
		_, err := s.Invalidate(ctx, partition(apple), []l2.Key{apple})
		return err
	},
	"invalidate all": func(ctx context.Context, s *l2.Store) error {
		var errs []error
		for _, o := range s.InvalidateAll(ctx, []l2.Key{apple, pear, nut}) {
			errs = append(errs, o.Err)
		}
		return errors.Join(errs...)
	},
	"tags": func(ctx context.Context, s *l2.Store) error {
		_, err := s.Tags(ctx, []l2.Key{tag("red"), tag("blue")})
		return err
	},
	"invalidate region": func(ctx context.Context, s *l2.Store) error {
		var errs []error
		for _, o := range s.InvalidateRegion(ctx, "products") {
			errs = append(errs, o.Err)
		}
		return errors.Join(errs...)
	},
	"invalidate partition": func(ctx context.Context, s *l2.Store) error {
		_, err := s.InvalidatePartition(ctx, 0, []string{"products"})
		return err
	},
}

// eachCall runs fn for every call, with a store that had good times, and one
// that never had an answer.
func eachCall(t *testing.T, limit time.Duration, fn func(t *testing.T, s *l2.Store, p *redistest.Proxy, call func(context.Context) error)) {
	t.Helper()
	for name, call := range calls {
		for _, experience := range []string{"as the first call", "later"} {
			t.Run(name+"/"+experience, func(t *testing.T) {
				p := redistest.Mini(t).Proxy(t)
				s := newStore(t, p.Client(t, patient), timeout(limit))
				if experience == "later" {
					eventually(t, "it has a connection", func() bool {
						_, err := s.Get(t.Context(), apple)
						return err == nil
					})
					s.HadGoodTimes()
				}
				fn(t, s, p, func(ctx context.Context) error { return call(ctx, s) })
			})
		}
	}
}

func TestNoCallOutlivesTheTimeoutWhateverTheClientDoes(t *testing.T) {
	eachCall(t, 100*time.Millisecond, func(t *testing.T, s *l2.Store, p *redistest.Proxy, call func(context.Context) error) {
		p.BlackHole(true)
		if err := call(t.Context()); !errors.Is(err, l2.ErrUnavailable) {
			t.Errorf("got %v, want %v", err, l2.ErrUnavailable)
		}
	})
}

func TestNoCallOutlivesItsContext(t *testing.T) {
	eachCall(t, never, func(t *testing.T, s *l2.Store, p *redistest.Proxy, call func(context.Context) error) {
		p.BlackHole(true)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, l2.ErrUnavailable) {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
		p.BlackHole(false)
	})
}

func TestCloseEndsAllCalls(t *testing.T) {
	eachCall(t, never, func(t *testing.T, s *l2.Store, p *redistest.Proxy, call func(context.Context) error) {
		p.BlackHole(true)
		done := make(chan error)
		go func() { done <- call(context.Background()) }()
		eventually(t, "the call is under way", func() bool { return s.UnderWay() })
		s.Close()
		if err := <-done; !errors.Is(err, l2.ErrClosed) {
			t.Errorf("under way: got %v, want %v", err, l2.ErrClosed)
		}
		if err := call(t.Context()); !errors.Is(err, l2.ErrClosed) {
			t.Errorf("afterwards: got %v, want %v", err, l2.ErrClosed)
		}
		s.Release(l2.Lease{Key: apple})
		if err := s.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
		p.BlackHole(false) // lets go of the client
	})
}

func TestManyCallersOfASilentRedisCostFewGoroutines(t *testing.T) {
	const callers = 10_000
	p := redistest.Mini(t).Proxy(t)
	s := newStore(t, p.Client(t, patient), timeout(never))
	wantMiss(t, s, apple)
	p.BlackHole(true)
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var ended atomic.Int32
	keys := manyKeys(callers)
	for i := range callers {
		wg.Go(func() {
			_, err := s.Get(ctx, keys[i])
			if i%2 == 1 {
				_, err = s.GetOrLease(ctx, keys[i], l2.NewToken(), l2.Token{})
			}
			if !isCanceled(err) {
				t.Errorf("got %v", err)
			}
			ended.Add(1)
		})
	}
	eventually(t, "all are waiting", func() bool { return s.Waiting() >= callers-10 })
	if n := runtime.NumGoroutine() - before - callers; n > 50 {
		t.Errorf("%d goroutines beside the callers", n)
	}
	if n := ended.Load(); n != 0 {
		t.Errorf("%d callers did not wait", n)
	}
	cancel()
	wg.Wait()
	p.BlackHole(false)
	s2 := newStore(t, p.Client(t))
	eventually(t, "all works again", func() bool {
		_, err := s.Get(t.Context(), apple)
		return err == nil
	})
	wantMiss(t, s2, apple)
}

func TestOneSilentCommandHoldsUpNoOther(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		loadScripts(t, c)
		p := b.Proxy(t)
		// A wrapper cannot be given socket timeouts: what is stuck stays stuck.
		s := newStore(t, wrapper{p.Client(t, patient)}, timeout(time.Second))
		wantMiss(t, s, apple)
		other := sibling(apple) // on the same lanes
		put(t, s, other, "x")

		var stuck []*redistest.Held
		var wg sync.WaitGroup
		for range 3 { // more than a lane carries at once
			stuck = append(stuck, p.Hold(redistest.Argument(valueName(apple))))
			wg.Go(func() {
				if _, err := s.Get(t.Context(), apple); !errors.Is(err, l2.ErrUnavailable) {
					t.Errorf("got %v, want %v", err, l2.ErrUnavailable)
				}
			})
		}
		stuck[0].Wait(t)
		stuck[1].Wait(t)
		invalidate(t, s, other) // at once: it has a lane of its own
		wg.Wait()
		wantMiss(t, s, other) // after the timeout at the latest
		if !s.Up() {
			t.Error("Redis is taken to be down")
		}
		p.ClearRules()
		for _, h := range stuck {
			h.Release()
		}
		eventually(t, "all that was stuck is back", func() bool { return s.Stats().Stuck == 0 })
		wantMiss(t, s, apple)
	})
}

func TestWhatIsLeftBehindEndsByItself(t *testing.T) {
	p := redistest.Mini(t).Proxy(t)
	s := newStore(t, p.Client(t, patient), timeout(50*time.Millisecond))
	putPatiently(t, s, apple, "x")
	p.BlackHole(true)
	bringDown(t, s)
	// Redis is still silent, and the client would wait for ever.
	eventually(t, "the client has been let go of", func() bool { return s.Stats().Stuck == 0 })
	p.BlackHole(false)
}

func TestTooManyCommandsAreRefusedAtOnce(t *testing.T) {
	p := redistest.Mini(t).Proxy(t)
	s := newStore(t, p.Client(t, patient), timeout(never))
	wantMiss(t, s, apple)
	p.BlackHole(true)
	s.FillQueues()
	if _, err := s.GetOrLease(t.Context(), apple, l2.NewToken(), l2.Token{}); !errors.Is(err, l2.ErrUnavailable) {
		t.Errorf("got %v, want %v", err, l2.ErrUnavailable)
	}
	for _, o := range s.InvalidateAll(t.Context(), []l2.Key{apple, pear}) {
		if !errors.Is(o.Err, l2.ErrUnavailable) {
			t.Errorf("got %v, want %v", o.Err, l2.ErrUnavailable)
		}
	}
	if !s.Up() {
		t.Error("that is not Redis' fault")
	}
	p.BlackHole(false)
}

// silenced is a connection that can be made to lose what is sent on it, like one
// that a firewall has forgotten.
type silenced struct {
	net.Conn
	lost *atomic.Bool
}

func (c silenced) Write(b []byte) (int, error) {
	if c.lost.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func TestConnectionsThatDiedSilentlyAreFoundOut(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		var mu sync.Mutex
		current := new(atomic.Bool)
		c := b.Client(t, func(o *redis.Options) {
			o.ReadTimeout = -1
			o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
				var d net.Dialer
				conn, err := d.DialContext(ctx, network, addr)
				mu.Lock()
				defer mu.Unlock()
				return silenced{conn, current}, err
			}
		})
		s := newStore(t, c, timeout(100*time.Millisecond))
		putPatiently(t, s, apple, "x")
		// Some connections of each kind.
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				_, _ = s.Get(t.Context(), apple)
				_, _ = s.GetOrLease(t.Context(), apple, l2.NewToken(), l2.Token{})
				_ = s.InvalidateAll(t.Context(), manyKeys(2))
			})
		}
		wg.Wait()
		mu.Lock()
		current.Store(true)
		current = new(atomic.Bool) // of the connections to come
		mu.Unlock()

		eventually(t, "it works again, on other connections", func() bool {
			for _, call := range calls {
				if call(t.Context(), s) != nil {
					return false
				}
			}
			return s.Up()
		})
	})
}
