package l2_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/l2"
)

// states collects what OnState is told.
type states struct {
	mu  sync.Mutex
	got []string
}

func (s *states) told(up bool, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, fmt.Sprint(up, cause != nil))
}

func (s *states) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.got, ", ")
}

// bringDown calls until Redis is known to be down.
func bringDown(t *testing.T, s *l2.Store) {
	t.Helper()
	eventually(t, "Redis is known to be down", func() bool {
		_, _ = s.GetOrLease(t.Context(), apple, l2.NewToken(), l2.Token{})
		return !s.Up()
	})
}

func TestDeadRedisIsNotAskedUntilItIsBack(t *testing.T) {
	deaths := map[string]func(t *testing.T) (die, revive func(), c *redis.Client){
		"silent": func(t *testing.T) (func(), func(), *redis.Client) {
			p := redistest.Mini(t).Proxy(t)
			return func() { p.BlackHole(true) }, func() { p.BlackHole(false) }, p.Client(t, patient)
		},
		"refusing": func(t *testing.T) (func(), func(), *redis.Client) {
			p := redistest.Mini(t).Proxy(t)
			return func() { p.Refuse(true) }, func() { p.Refuse(false) }, p.Client(t)
		},
		"killed": func(t *testing.T) (func(), func(), *redis.Client) {
			b := redistest.Real(t)
			return b.Server.Kill, b.Server.Restart, b.Client(t)
		},
		"hanging": func(t *testing.T) (func(), func(), *redis.Client) {
			b := redistest.Real(t)
			return b.Server.Pause, b.Server.Resume, b.Client(t, patient, retries(3))
		},
	}
	for name, prepare := range deaths {
		for _, first := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/at first=%v", name, first), func(t *testing.T) {
				die, revive, c := prepare(t)
				told, logged := new(states), new(record)
				s := newStore(t, c, timeout(100*time.Millisecond), func(o *l2.Options) {
					o.OnState, o.Logger = told.told, slog.New(logged)
				})
				if !first {
					putPatiently(t, s, apple, "x")
				}
				die()
				bringDown(t, s)
				before := s.Stats()
				for name, call := range calls {
					if err := call(t.Context(), s); !errors.Is(err, l2.ErrUnavailable) {
						t.Errorf("%s: got %v, want %v", name, err, l2.ErrUnavailable)
					}
				}
				if n := s.Stats().Refused - before.Refused; n < uint64(len(calls)) {
					t.Errorf("%d calls were not sent, want all %d", n, len(calls))
				}
				revive()
				eventually(t, "Redis is known to be up", s.Up)
				eventually(t, "calls are answered", func() bool {
					_, err := s.Get(t.Context(), apple)
					return err == nil
				})
				want := "false true, true false"
				eventually(t, "all is told", func() bool { return strings.HasPrefix(told.all(), want) })
				lines := logged.all()
				if len(lines) < 2 || !strings.HasPrefix(lines[0], "WARN redis is unavailable") || !strings.HasPrefix(lines[1], "INFO redis is available again") {
					t.Errorf("logged %q", lines)
				}
			})
		}
	}
}

func TestServerThatRefusesWritesIsNotReadFrom(t *testing.T) {
	ways := map[string]func(t *testing.T, b *redistest.Backend, c *redis.Client) (change, back func()){
		"a replica": func(t *testing.T, _ *redistest.Backend, c *redis.Client) (func(), func()) {
			primary := redistest.Start(t)
			// The replica keeps what it has, as the primary is never reached.
			return func() { do(t, c, "REPLICAOF", "127.0.0.1", primary.Port()+1) }, func() { do(t, c, "REPLICAOF", "NO", "ONE") }
		},
		"an isolated primary": func(t *testing.T, _ *redistest.Backend, c *redis.Client) (func(), func()) {
			return func() { do(t, c, "CONFIG", "SET", "min-replicas-to-write", 1) },
				func() { do(t, c, "CONFIG", "SET", "min-replicas-to-write", 0) }
		},
	}
	for name, prepare := range ways {
		t.Run(name, func(t *testing.T) {
			b := redistest.Real(t)
			c := b.Client(t)
			change, back := prepare(t, b, c)
			before := newStore(t, c)
			put(t, before, apple, "old")
			change()
			if got := c.Get(t.Context(), valueName(apple)).Err(); got != nil {
				t.Fatalf("the test needs a value that can be read: %v", got)
			}

			// A client that is used from the start with a replica, as with Sentinel's
			// ReplicaOnly, reads nothing at all.
			fresh := newStore(t, c)
			if r, err := fresh.Get(t.Context(), apple); !errors.Is(err, l2.ErrUnavailable) {
				t.Errorf("first read: %v, %v, want %v", r.Status, err, l2.ErrUnavailable)
			}
			// One that has been on a primary notices at its first write.
			if _, err := before.GetOrLease(t.Context(), pear, l2.NewToken(), l2.Token{}); !errors.Is(err, l2.ErrUnavailable) {
				t.Errorf("get-or-lease: %v, want %v", err, l2.ErrUnavailable)
			}
			for _, s := range []*l2.Store{fresh, before} {
				if s.Up() {
					t.Error("it is taken for up")
				}
				if r, err := s.Get(t.Context(), apple); !errors.Is(err, l2.ErrUnavailable) {
					t.Errorf("read: %v, %v, want %v", r.Status, err, l2.ErrUnavailable)
				}
			}
			back()
			for _, s := range []*l2.Store{fresh, before} {
				eventually(t, "it is up again", s.Up)
				wantHit(t, s, apple, "old")
			}
		})
	}
}

// A store that only reads learns of a refusal from others, and reads again when
// the server takes writes again. Other failures are no reason not to read.
func TestServerThatRefusesOthersWritesIsNotReadFrom(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		s := newStore(t, b.Client(t))
		put(t, s, apple, "x")
		wantHit(t, s, apple, "x")
		for _, harmless := range []error{nil, context.DeadlineExceeded, refused("OOM command not allowed"), refused("LOADING Redis is loading the dataset in memory")} {
			s.WriteFailed(partition(apple), harmless)
			wantHit(t, s, apple, "x")
		}
		for _, refusal := range []error{
			refused("READONLY You can't write against a read only replica."),
			refused("NOREPLICAS Not enough good replicas to write."),
		} {
			s.WriteFailed(partition(apple), refusal)
			if r, err := s.Get(t.Context(), apple); !errors.Is(err, l2.ErrUnavailable) {
				t.Errorf("read after %q: %v, %v, want %v", refusal, r.Status, err, l2.ErrUnavailable)
			}
			eventually(t, "it takes writes again", s.Up)
			wantHit(t, s, apple, "x")
		}
	})
}

// refused is an error that a server answers with.
type refused string

func (r refused) Error() string { return string(r) }
func (refused) RedisError()     {}

func do(t *testing.T, c *redis.Client, args ...any) {
	t.Helper()
	if err := c.Do(t.Context(), args...).Err(); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
}

func TestFullRedisIsReadFromAndInvalidated(t *testing.T) {
	b := redistest.Real(t, "--maxmemory", "4mb", "--maxmemory-policy", "noeviction")
	c := b.Client(t)
	s := newStore(t, c)
	for _, k := range []l2.Key{apple, pear, nut} {
		put(t, s, k, "x")
	}
	loadScripts(t, c)
	lost := sequenceName(nut) != sequenceName(apple) && sequenceName(nut) != sequenceName(pear)
	if lost {
		do(t, c, "DEL", sequenceName(nut)) // to be created again where there is no room
	}
	blocked := sibling(pear)
	do(t, c, "SET", valueName(blocked), readGolden(t, "tombstone"))
	eventually(t, "its memory is full", func() bool {
		err := c.Append(t.Context(), "ballast", strings.Repeat("x", 1<<16)).Err()
		return err != nil && strings.HasPrefix(err.Error(), "OOM")
	})

	for range 10 { // a breaker must not open
		if _, err := s.GetOrLease(t.Context(), sibling(apple), l2.NewToken(), l2.Token{}); !errors.Is(err, l2.ErrUnavailable) || !strings.Contains(err.Error(), "OOM") {
			t.Errorf("get-or-lease: got %v, want OOM", err)
		}
	}
	if !s.Up() {
		t.Error("it is taken for down")
	}
	wantHit(t, s, apple, "x")
	invalidate(t, s, apple)
	wantMiss(t, s, apple)
	invalidate(t, s, nut)
	if _, err := s.InvalidatePartition(t.Context(), partition(pear), []string{"products"}); err != nil {
		t.Errorf("invalidate partition: %v", err)
	}
	wantMiss(t, s, pear)
	l, err := s.Begin(t.Context(), apple, l2.NewToken())
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	if f, err := s.Fill(t.Context(), l, value("x")); !errors.Is(err, l2.ErrUnavailable) {
		t.Errorf("fill: %+v, %v, want it refused", f, err)
	}
	wantMiss(t, s, apple)
	if _, err := s.Begin(t.Context(), blocked, l2.NewToken()); err != nil {
		t.Errorf("begin at a tombstone: %v", err)
	}
	invalidate(t, s, blocked)
	if !s.Up() {
		t.Error("it is taken for down")
	}
}

func TestErrorsThatConcernOneCommandDoNotBringRedisDown(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		c.RPush(t.Context(), sequenceName(apple), "not a number")
		for range 10 {
			if _, err := s.Invalidate(t.Context(), partition(apple), []l2.Key{apple}); !errors.Is(err, l2.ErrUnavailable) {
				t.Errorf("got %v, want %v", err, l2.ErrUnavailable)
			}
		}
		if !s.Up() {
			t.Error("Redis is taken to be down")
		}
	})
}

func TestCallersWhoLeaveEarlyDoNotHideADeadRedis(t *testing.T) {
	// A wrapper is used with the client's own timeouts.
	ways := map[string]struct {
		limit  time.Duration
		client func(*redis.Options)
	}{
		"the client gives up": {never, func(o *redis.Options) { o.ReadTimeout = 20 * time.Millisecond }},
		"nobody gives up":     {50 * time.Millisecond, patient},
	}
	for name, tt := range ways {
		t.Run(name, func(t *testing.T) {
			p := redistest.Mini(t).Proxy(t)
			s := newStore(t, wrapper{p.Client(t, tt.client)}, timeout(tt.limit))
			putPatiently(t, s, apple, "x")
			p.BlackHole(true)
			// So many calls, not so much time: in the end some caller would see it.
			for n := 0; s.Up(); n++ {
				if n == 3000 {
					t.Fatal("Redis is taken for up")
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				_, _ = s.Get(ctx, apple) // not what leaves a lease to be released
				cancel()
			}
			p.BlackHole(false)
		})
	}
}
