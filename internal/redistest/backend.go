package redistest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Backend is a Redis that a suite runs against: a real one or miniredis. See
// the package documentation for how miniredis differs.
type Backend struct {
	Name string // "redis" or "miniredis"
	Addr string // host:port
	Real bool

	Server    *Server              // nil for miniredis
	Miniredis *miniredis.Miniredis // nil for redis
}

// Each runs fn as one subtest per backend, each with a server of its own:
// "miniredis" always, "redis" where there is a redis-server or one is required
// (see [Require]).
func Each(t *testing.T, fn func(t *testing.T, b *Backend)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) { fn(t, Mini(t)) })
	t.Run("redis", func(t *testing.T) { fn(t, Real(t)) })
}

// Real starts a redis-server for this test. args are as for [Start].
func Real(tb testing.TB, args ...string) *Backend {
	tb.Helper()
	return realBackend(Start(tb, args...))
}

func realBackend(s *Server) *Backend {
	return &Backend{Name: "redis", Addr: s.Addr(), Real: true, Server: s}
}

// Mini starts a miniredis for this test, on a TCP port of the loopback
// interface. Keys expire as real time passes, and by [Backend.FastForward].
func Mini(tb testing.TB) *Backend {
	tb.Helper()
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		tb.Fatalf("redistest: start miniredis: %v", err)
	}
	tb.Cleanup(m.Close)
	m.ClockTTL(true)
	return &Backend{Name: "miniredis", Addr: m.Addr(), Miniredis: m}
}

// Client returns a client of the backend, closed in tb.Cleanup. See
// [NewClient] for its settings.
func (b *Backend) Client(tb testing.TB, opts ...func(*redis.Options)) *redis.Client {
	tb.Helper()
	return NewClient(tb, b.Addr, opts...)
}

// Proxy returns a new proxy in front of the backend.
func (b *Backend) Proxy(tb testing.TB) *Proxy {
	tb.Helper()
	return NewProxy(tb, b.Addr)
}

// expireSooner shortens the life of every key that has one.
const expireSooner = `
for _, k in ipairs(redis.call('KEYS', '*')) do
	local left = redis.call('PTTL', k)
	if left > tonumber(ARGV[1]) then
		redis.call('PEXPIRE', k, left - ARGV[1])
	elseif left >= 0 then
		redis.call('DEL', k)
	end
end`

// FastForward lets the keys of database 0 age by d at once: what has less left
// to live expires now, the rest has d less. The server's TIME does not move,
// on neither backend. The resolution is a millisecond.
func (b *Backend) FastForward(tb testing.TB, d time.Duration) {
	tb.Helper()
	if b.Miniredis != nil {
		b.Miniredis.FastForward(d)
		return
	}
	b.do(tb, "EVAL", expireSooner, 0, d.Milliseconds())
}

// FlushAll deletes all keys of all databases.
func (b *Backend) FlushAll(tb testing.TB) {
	tb.Helper()
	b.do(tb, "FLUSHALL")
}

func (b *Backend) do(tb testing.TB, args ...any) {
	tb.Helper()
	c := NewClient(tb, b.Addr)
	defer c.Close()
	if err := c.Do(context.Background(), args...).Err(); err != nil && !errors.Is(err, redis.Nil) {
		tb.Fatalf("redistest: %v at %s: %v", args[0], b.Addr, err)
	}
}

// shared is the server of [Shared].
var shared struct {
	mu     sync.Mutex
	server *Server
	dir    string
}

// Shared returns a redis-server that all callers in this test binary have in
// common, started by the first. Tests may run in parallel on it, so it is
// never emptied: take keys under a [Prefix], and neither flush, kill nor pause
// it. [Main] stops it; without Main it lives as long as the test binary.
// Without a redis-server on the machine see [Require].
func Shared(tb testing.TB) *Backend {
	tb.Helper()
	Require(tb)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server == nil {
		dir, err := os.MkdirTemp("", "redistest")
		if err != nil {
			tb.Fatalf("redistest: %v", err)
		}
		s, err := newServer(dir, nil)
		if err != nil {
			_ = os.RemoveAll(dir)
			tb.Fatalf("redistest: %v", err)
		}
		s.report = func(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
		shared.server, shared.dir = s, dir
	}
	return realBackend(shared.server)
}

func stopShared() {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server != nil {
		shared.server.close()
		_ = os.RemoveAll(shared.dir)
		shared.server = nil
	}
}

var prefixes atomic.Int64

// Prefix returns the beginning of key names for one test on a shared server:
// unlike any other in this process, and without characters that mean something
// in a key ('{', '}', ':').
func Prefix(tb testing.TB) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, tb.Name())
	return fmt.Sprintf("%s-%d", name, prefixes.Add(1))
}
