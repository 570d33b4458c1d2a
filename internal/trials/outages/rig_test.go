package outages_test

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// rig is a service of some instances, with a Redis that can be broken.
type rig struct {
	server     *redistest.Server
	admin      *redis.Client // one connection, which stays whatever happens
	instances  []*instance
	origin     *origin
	background sync.WaitGroup
}

type instance struct {
	proxy *redistest.Proxy
	node  *tiered.Node
	items *tiered.Region[int]
	load  func(ctx context.Context, key string) (int, error)
	loads *ledger
}

func newRig(t *testing.T, o *outage, p plan) *rig {
	t.Helper()
	r := &rig{server: redistest.Start(t, o.args...), origin: &origin{latency: p.latency, versions: make(map[string]int)}}
	t.Cleanup(r.background.Wait)
	r.connect(t)
	for range p.instances {
		i := &instance{proxy: redistest.NewProxy(t, r.server.Addr()), loads: newLedger()}
		i.load = func(ctx context.Context, key string) (int, error) { return r.origin.load(ctx, key, i.loads) }
		client := redis.NewClient(&redis.Options{Addr: i.proxy.Addr()}) // of a user who has set nothing
		t.Cleanup(func() { _ = client.Close() })
		var err error
		i.node, err = tiered.Open(t.Context(), tiered.Options{
			Redis:        client,
			Prefix:       "outage",
			L1MaxBytes:   4 << 20,
			MaxStaleness: p.bound,
			L2Timeout:    p.timeout,
			Logger:       slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := i.node.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		if i.items, err = tiered.New(i.node, tiered.Config[int]{Name: "items", Jitter: -1}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err = i.node.Ready(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		r.instances = append(r.instances, i)
	}
	return r
}

// connect makes the connection over which the server is told what to do.
func (r *rig) connect(t *testing.T) {
	t.Helper()
	r.admin = r.server.Client(t, func(o *redis.Options) { o.PoolSize, o.ReadTimeout = 1, patience })
	r.ask(t, "PING")
}

func (r *rig) ask(t *testing.T, args ...any) {
	t.Helper()
	if err := r.admin.Do(t.Context(), args...).Err(); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
}

// killClients closes all connections but that of admin.
func (r *rig) killClients(t *testing.T) {
	t.Helper()
	for _, kind := range []string{"normal", "pubsub"} {
		r.ask(t, "CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
	}
}

func (r *rig) eachProxy(f func(*instance)) {
	for _, i := range r.instances {
		f(i)
	}
}

// patience bounds what only a broken test, or a broken library, makes wait.
const patience = 30 * time.Second

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond) //nolint:forbidigo // the interval of a poll
	}
}

// origin is the database: a version for each key. It takes its time.
type origin struct {
	latency time.Duration

	mu       sync.Mutex
	versions map[string]int
}

func (o *origin) commit(key string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.versions[key]++
	return o.versions[key]
}

func (o *origin) newest(key string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.versions[key]
}

func (o *origin) load(ctx context.Context, key string, l *ledger) (int, error) {
	o.mu.Lock()
	v := o.versions[key]
	o.mu.Unlock()
	timer := time.NewTimer(o.latency)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	l.count(key)
	return v, nil
}

// ledger counts the successful loads of one instance, by key.
type ledger struct {
	mu    sync.Mutex
	loads map[string]int
}

func newLedger() *ledger { return &ledger{loads: make(map[string]int)} }

func (l *ledger) count(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loads[key]++
}

// of returns the loads of a key.
func (l *ledger) of(key string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.loads[key]
}

// hot is the name of a key that is read all the time, doomed of one that is
// deleted during the outage, newKey of one that nobody has read.
func hot(n int) string    { return "hot" + strconv.Itoa(n) }
func doomed(n int) string { return "doomed" + strconv.Itoa(n) }
func newKey() string      { return "new" + strconv.FormatInt(fresh.Add(1), 10) }

var fresh atomic.Int64
