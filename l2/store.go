package l2

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// Key is a key of a region together with its hash.
type Key = keyspace.Key

// Store is the shared tier. It is safe for concurrent use.
type Store struct {
	opts   Options
	layout *keyspace.Layout
	log    *slog.Logger
	client redis.UniversalClient // the user's, or a view of it with socket timeouts

	names      []partitionNames
	primary    []*primary // by partition; all the same one, unless this is a Cluster
	servers    []*primary // each once
	lanes      []*lane    // all, but those that bulk has for masters
	bulk       *bulk
	requests   sync.Pool // of *request; of this store, because a channel belongs to its test bubble
	regions    sync.Map  // name → *regionNames
	lastRegion atomic.Pointer[regionNames]

	base       time.Time // of the store's clock
	contexts   rotation
	ctx        context.Context // ends with Close
	cancel     context.CancelFunc
	background sync.WaitGroup // goroutines that wait for the client
	owned      sync.WaitGroup // goroutines that end at once on Close
	closing    sync.Once

	leases  leases
	touches touches
	health  health
	watch   watch
	counts  counters
	logged  [len(unreadableKinds)]atomic.Bool
}

// partitionNames are the names that every command of a partition carries.
type partitionNames struct {
	sequence any // boxed once
	none     string
}

// primary is one server, as far as a store can tell them apart, with what must
// not suffer when another one is down.
type primary struct {
	breaker *breaker
	reads   *lane // MGET
	scripts *lane // leases and fills
	urgent  *lane // invalidations; never behind anything else
}

// Widths of lanes: batches under way at once. See doc.go for the measurements.
const (
	readWidth   = 2
	scriptWidth = 4
	urgentWidth = 4
)

// closePatience is how long Close waits for the client to let go.
const closePatience = 100 * time.Millisecond

// New returns a store. It does no I/O and so does not notice whether Redis is
// up. Its error joins all that is wrong with the options.
func New(opts Options) (*Store, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	s := &Store{
		opts:   opts,
		layout: opts.Layout,
		log:    opts.Logger,
		client: withSocketTimeouts(opts.Client, opts.Timeout),
		base:   time.Now(),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.requests.New = func() any { return &request{done: make(chan struct{}, 1)} }
	s.contexts = rotation{store: s, least: s.opts.Timeout}
	s.health.init(s)
	s.leases.init(s)
	s.touches.init(s)
	s.watch.init(s)
	s.partition()
	s.owned.Add(5)
	go s.watch.run()
	go s.health.probe()
	go s.health.notify()
	go s.leases.run()
	go s.touches.run()
	return s, nil
}

// partition names the partitions and gives each a primary. On a Cluster nobody
// but the client knows which partitions share a server, and that may change, so
// that each partition counts as a server of its own.
func (s *Store) partition() {
	n := s.layout.Partitions()
	s.names = make([]partitionNames, n)
	s.primary = make([]*primary, n)
	_, single := s.client.(*redis.Client)
	for p := range n {
		s.names[p] = partitionNames{sequence: s.layout.Sequence(p), none: s.layout.Lease(p, "", "")}
		if p > 0 && single {
			s.primary[p] = s.primary[0]
			continue
		}
		b, d := newBreaker(p, s.health.changed), newDirect(s)
		s.primary[p] = &primary{
			breaker: b,
			reads:   &lane{store: s, breaker: b, direct: d, width: readWidth, limits: ordinary, readers: &readers{store: s}},
			scripts: &lane{store: s, breaker: b, direct: d, width: scriptWidth, limits: ordinary},
			urgent:  &lane{store: s, breaker: b, direct: d, width: urgentWidth, limits: ordinary},
		}
		for _, l := range s.primary[p].lanes() {
			s.lanes = append(s.lanes, l)
		}
		s.servers = append(s.servers, s.primary[p])
	}
	s.bulk = newBulk(s, single)
	s.lanes = append(s.lanes, s.bulk.work, s.bulk.urgent)
}

// withSocketTimeouts returns a view of the client that shares its connections
// and waits for a socket no longer than the timeout. Only *redis.Client can do
// that; with others the client's own timeouts say for how long a goroutine that
// nobody waits for may be left behind.
func withSocketTimeouts(c redis.UniversalClient, timeout time.Duration) redis.UniversalClient {
	if single, ok := c.(*redis.Client); ok {
		return single.WithTimeout(timeout)
	}
	return c
}

// Up reports whether all of Redis is in use. While it is false calls that
// concern what is down return [ErrUnavailable] at once.
func (s *Store) Up() bool {
	for _, p := range s.servers {
		if p.breaker.isDown() {
			return false
		}
	}
	return true
}

// Close ends the store: calls under way return [ErrClosed], and so does every
// later one. Leases that are still held expire. All goroutines of the store have
// ended when it returns, but for those that the client does not let go of at
// once; they do nothing more, and end when it does. Close is idempotent and does
// not close the client. It must not be called from OnState.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.cancel()
		s.owned.Wait()
		for _, p := range s.servers {
			p.breaker.close()
		}
		s.eachLane((*lane).close)
		gone := make(chan struct{})
		go func() {
			s.background.Wait()
			close(gone)
		}()
		timer := time.NewTimer(min(s.opts.Timeout, closePatience))
		defer timer.Stop()
		select {
		case <-gone:
		case <-timer.C:
		}
	})
	return nil
}

func (s *Store) isClosed() bool { return s.ctx.Err() != nil }

// eachLane calls f with all lanes. Those of masters are the last: requests come
// there from others, and are not missed on their way.
func (s *Store) eachLane(f func(*lane)) {
	for _, l := range s.lanes {
		f(l)
	}
	for _, l := range *s.bulk.lanes.Load() {
		f(l)
	}
}

// now is the time on the store's clock.
func (s *Store) now() time.Duration { return time.Since(s.base) }

// deadline returns a context for a batch that begins now.
func (s *Store) deadline(now time.Duration) context.Context { return s.contexts.current(now) }

// lanes are the lanes of a primary.
func (p *primary) lanes() [3]*lane { return [3]*lane{p.reads, p.scripts, p.urgent} }
