package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/tiered"
)

// cache is what the clients of a node use. The real one is a tiered.Node with
// its regions; the naive one shows that the oracle can tell the difference.
type cache interface {
	read(ctx context.Context, region, key string, load func(context.Context, string) (string, error), opts ...tiered.Option) (string, error)
	ask(ctx context.Context, region, key string, load asking, opts ...tiered.Option) (string, error)
	set(ctx context.Context, region, key, value string) error
	delete(ctx context.Context, region, key string) error
	ready(ctx context.Context) error
	pending() bool
	doubted(region string) uint64 // values in Redis that were not used
	healthy() error
	close() error
}

// node is one incarnation of an instance: after a crash there is a new one.
type node struct {
	world  *world
	name   string // "a", then "a2", …
	cache  cache
	inner  *real // what cache is, or wraps
	client *redis.Client

	ctx     context.Context // of its clients; ends with it
	cancel  context.CancelFunc
	clients sync.WaitGroup

	mu      sync.Mutex
	ready   time.Time            // when it became so; zero: not yet
	unwell  map[string]bool      // by key: the last call to Redis for it has failed
	failed  map[string]time.Time // by key: when one has failed last
	queued  time.Time            // when an invalidation was last known to wait for its confirmation
	doubts  map[string]uint64    // by region: values in Redis that were not used, when that was asked last
	running map[string]int       // calls and loads under way, by what they are
}

// settings are what nodes are made with.
type settings struct {
	bound       time.Duration
	timeout     time.Duration // of a round trip
	readTimeout time.Duration // of the client's sockets
	retries     int           // of the client
	ttl         time.Duration
	loadTimeout time.Duration
	noL1        bool      // the first region is in L2 only
	traits      [2]traits // of the regions
}

// regions of the fleet.
var regions = []string{"r", "q"}

// real is a cache of package tiered.
type real struct {
	node    *tiered.Node
	regions map[string]*tiered.Region[string]
	bound   map[string]*tiered.Loading[string, string] // loads of single keys are gathered
}

// real is the node's cache, for what one that is not the real one has not.
func (n *node) real() *real { return n.inner }

// region is the region of a key, and the key's name in it.
func (r *real) region(key string) (*tiered.Region[string], string) {
	region, name := split(key)
	return r.regions[region], name
}

func openReal(ctx context.Context, n *node, s settings) (cache, error) {
	t, err := tiered.Open(ctx, tiered.Options{
		Redis:        n.client,
		Prefix:       prefix,
		L1MaxBytes:   64 << 10,
		MaxStaleness: s.bound,
		Partitions:   partitions,
		L2Timeout:    s.timeout,
		Logger:       slog.New(slog.NewTextHandler(io.Discard, nil)),
		Observer:     watcher{n},
	})
	if err != nil {
		return nil, err
	}
	r := &real{node: t, regions: make(map[string]*tiered.Region[string]), bound: make(map[string]*tiered.Loading[string, string])}
	for i, name := range regions {
		if r.regions[name], err = tiered.New(t, s.config(i)); err != nil {
			return nil, errors.Join(err, t.Close())
		}
		r.bound[name] = tiered.BindMany(r.regions[name], func(k string) string { return k }, n.world.loadBound(n, name),
			tiered.Coalescing{MaxWait: 2 * time.Millisecond, MaxBatch: 3})
	}
	n.inner = r
	return r, nil
}

func (r *real) read(ctx context.Context, region, key string, load func(context.Context, string) (string, error), opts ...tiered.Option) (string, error) {
	if load == nil {
		return r.regions[region].Get(ctx, key, opts...)
	}
	return r.regions[region].GetOrLoad(ctx, key, load, opts...)
}

func (r *real) ask(ctx context.Context, region, key string, load asking, opts ...tiered.Option) (string, error) {
	return r.regions[region].LoadIf(ctx, key, load, opts...)
}

func (r *real) set(ctx context.Context, region, key, value string) error {
	return r.regions[region].Set(ctx, key, value)
}

func (r *real) delete(ctx context.Context, region, key string) error {
	return r.regions[region].Delete(ctx, key)
}

func (r *real) ready(ctx context.Context) error { return r.node.Ready(ctx) }
func (r *real) doubted(region string) uint64    { return r.node.Stats().Regions[region].Doubted }

func (r *real) pending() bool { return r.node.Stats().PendingRetries > 0 }
func (r *real) close() error  { return r.node.Close() }

func (r *real) healthy() error {
	if s := r.node.Stats(); s.Degraded || s.PendingRetries > 0 {
		return fmt.Errorf("degraded: %v (%s), %d retries pending", s.Degraded, s.DegradedReason, s.PendingRetries)
	}
	return nil
}

// watcher notes whether calls to Redis succeed.
type watcher struct{ n *node }

func (w watcher) Observe(ctx context.Context, op tiered.Operation) (context.Context, func(error)) {
	if op.Kind != tiered.OpL2Get && op.Kind != tiered.OpL2Lease {
		return ctx, nil
	}
	return ctx, func(err error) {
		w.n.mu.Lock()
		key := op.Region + ":" + op.Key // without a key: those of a call for several
		if w.n.unwell[key] = err != nil; err != nil {
			w.n.failed[key] = time.Now()
		}
		w.n.mu.Unlock()
	}
}

// excused reports whether a load of a key without a lease is to be expected: a
// read of Redis failed, an invalidation waits for its confirmation, the node has
// not heard from Redis yet, Redis knows less than the node has heard (it has lost
// something, and the next probe will tell), another load holds the lease for
// longer than a caller waits, or there is a tombstone.
//
// Of two flights at once one may fail, and the other succeed before it loads; and a
// load of several keys waits for what the others need. since is how long ago the
// reason may have been there.
func (n *node) excused(key string, lastStatus string, doubted bool, since time.Duration) bool {
	n.mu.Lock()
	region, _, _ := strings.Cut(key, ":")
	all := region + ":"
	unwell, ready := n.unwell[key] || time.Since(n.failed[key]) < since || time.Since(n.failed[all]) < since, !n.ready.IsZero()
	unwell = unwell || doubted
	unwell = unwell || time.Since(n.queued) < since || since > time.Millisecond && time.Since(n.ready) < since
	n.mu.Unlock()
	return unwell || !ready || n.cache.pending() || lastStatus == "busy" || lastStatus == "blocked"
}

// waits notes whether an invalidation waits for its confirmation.
func (n *node) waits() {
	if n.cache.pending() {
		n.mu.Lock()
		n.queued = time.Now()
		n.mu.Unlock()
	}
}

// doubting reports whether values in Redis were not used since it was last asked.
func (n *node) doubting(key string) bool {
	region, _ := split(key)
	doubted := n.cache.doubted(region)
	n.mu.Lock()
	defer n.mu.Unlock()
	before := n.doubts[region]
	n.doubts[region] = doubted
	return doubted > before
}

// enter counts something that is under way, until the function is called.
func (n *node) enter(what string) (leave func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.running[what]++
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.running[what]--
	}
}

// underWay are the calls and loads that are under way.
func (n *node) underWay() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := ""
	for _, what := range []string{"read", "load", "set", "delete", "mutate"} {
		if n.running[what] > 0 {
			s += what + " "
		}
	}
	if n.cache.pending() {
		s += "retry "
	}
	return s
}
