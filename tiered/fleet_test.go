package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// bound is D in the tests of the guarantees: long enough for a busy machine to
// renew its leases, short enough to be waited for.
const bound = 400 * time.Millisecond

// fleet is a service that runs as several instances, each with its own way to
// Redis that can be broken.
type fleet struct {
	server  *redistest.Server
	members []*member
	origin  *origin
	opts    tiered.Options
}

type member struct {
	*tiered.Node
	proxy  *redistest.Proxy
	client *redis.Client
	items  *tiered.Region[int]
	origin *origin
}

// patience is an L2Timeout for tests in which Redis is well, and only the
// machine may be slow.
const patience = 30 * time.Second

// unhurried are options for tests that are not about time: also where the machine
// stalls, no instance loses touch with a Redis that is well.
var unhurried = tiered.Options{MaxStaleness: 20 * time.Second, L2Timeout: patience}

// newFleet starts a redis-server and n nodes, and waits until all are ready. They
// have all the time in the world for Redis: a fault that answers nothing is for
// members that joinHasty adds.
func newFleet(t *testing.T, n int, change ...func(*tiered.Config[int])) *fleet {
	t.Helper()
	return newFleetWith(t, n, tiered.Options{MaxStaleness: bound, L2Timeout: patience}, change...)
}

func newFleetWith(t *testing.T, n int, opts tiered.Options, change ...func(*tiered.Config[int])) *fleet {
	t.Helper()
	f := &fleet{server: redistest.Start(t), origin: newOrigin(), opts: opts}
	for range n {
		f.join(t, change...)
	}
	for _, m := range f.members {
		ready(t, m.Node)
	}
	return f
}

// joinHasty adds a member that gives Redis the default time only, and waits until
// it is ready. On a machine that stalls it takes a Redis that is well for one that
// is not, so what it is asked must be right either way.
func (f *fleet) joinHasty(t *testing.T, change ...func(*tiered.Config[int])) *member {
	t.Helper()
	f.opts.L2Timeout = tiered.DefaultL2Timeout
	m := f.join(t, change...)
	ready(t, m.Node)
	return m
}

// join adds a member.
func (f *fleet) join(t *testing.T, change ...func(*tiered.Config[int])) *member {
	t.Helper()
	m := &member{proxy: redistest.NewProxy(t, f.server.Addr()), origin: f.origin}
	m.client = m.proxy.Client(t, func(o *redis.Options) { o.PoolTimeout = patience })
	opts := f.opts
	opts.Redis = m.client
	m.Node = open(t, opts)
	cfg := tiered.Config[int]{Name: "items", Jitter: -1}
	for _, c := range change {
		c(&cfg)
	}
	m.items = region(t, m.Node, cfg)
	f.members = append(f.members, m)
	return m
}

func open(t testing.TB, opts tiered.Options) *tiered.Node {
	t.Helper()
	if opts.Prefix == "" {
		opts.Prefix = "test"
	}
	if opts.L1MaxBytes == 0 {
		opts.L1MaxBytes = 4 << 20 // the default takes a while to allocate under -race
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	n, err := tiered.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return n
}

func region[V any](t testing.TB, n *tiered.Node, cfg tiered.Config[V]) *tiered.Region[V] {
	t.Helper()
	r, err := tiered.New(n, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ready(t testing.TB, n *tiered.Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := n.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}

// eventually polls until ok, with a deadline that only a broken test reaches.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond) //nolint:forbidigo // the interval of a poll
	}
}

// origin is the database: a version for each key.
type origin struct {
	mu       sync.Mutex
	versions map[string]int
	reads    atomic.Int64
	now, max atomic.Int64 // loads running, and at most
	hold     atomic.Pointer[hold]
}

// hold stops the next load after it has read, until it is let go.
type hold struct {
	read    chan struct{} // closed when the load has read
	release chan struct{}
}

func newOrigin() *origin { return &origin{versions: make(map[string]int)} }

func (o *origin) commit(key string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.versions[key]++
	return o.versions[key]
}

func (o *origin) load(_ context.Context, key string) (int, error) {
	o.reads.Add(1)
	o.max.Store(max(o.max.Load(), o.now.Add(1)))
	defer o.now.Add(-1)
	o.mu.Lock()
	v := o.versions[key]
	o.mu.Unlock()
	if h := o.hold.Swap(nil); h != nil {
		close(h.read)
		<-h.release
	}
	if v == 0 {
		return 0, fmt.Errorf("key %s: %w", key, tiered.ErrNotFound)
	}
	return v, nil
}

// holdNext makes the next load stop after it has read.
func (o *origin) holdNext() *hold {
	h := &hold{read: make(chan struct{}), release: make(chan struct{})}
	o.hold.Store(h)
	return h
}

// deletes returns when Redis has confirmed the Delete. It is for members that are
// hasty: on a machine that stalls theirs may be queued at first.
func (m *member) deletes(t testing.TB, key string) {
	t.Helper()
	err := m.items.Delete(t.Context(), key)
	if pending := new(tiered.PendingError); err != nil && !errors.As(err, &pending) {
		t.Fatal(err)
	}
	eventually(t, "the Delete is confirmed", func() bool { return m.Stats().PendingRetries == 0 })
}

// pause is what a reader does between two looks. One that does not stop at all
// takes the processor from those whose steps it is to look between.
func pause() {
	time.Sleep(100 * time.Microsecond) //nolint:forbidigo // between two looks of a poll
}

// get reads through the cache and fails the test on an error.
func (m *member) get(t testing.TB, key string, opts ...tiered.Option) int {
	t.Helper()
	v, err := m.items.GetOrLoad(t.Context(), key, m.origin.load, opts...)
	if err != nil {
		t.Errorf("read of %s: %v", key, err)
	}
	return v
}

// warm reads until the key is answered by L1.
func (m *member) warm(t testing.TB, key string) {
	t.Helper()
	eventually(t, "an L1 hit of "+key, func() bool {
		var info tiered.Info
		m.get(t, key, tiered.WithInfo(&info))
		return info.Source == tiered.SourceL1
	})
}
