package fleet

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/chaos/oracle"
	"github.com/doppio-cache/doppio/internal/chaos/wire"
	"github.com/doppio-cache/doppio/internal/redistest"
)

// Options say what is run. All fields are required.
type Options struct {
	Instances int
	Bound     time.Duration // D, by which reads are judged
	Library   time.Duration // MaxStaleness that the library is given; a longer one than Bound must break G1b
	Seed      uint64
	Keys      int           // of the first region; all others are smaller
	TTL       time.Duration // of the first region, and of others with long lives
	Latency   time.Duration // of a load, half to one and a half of it
	Features  bool          // all of the library's operations; else GetOrLoad and Delete alone
	Output    io.Writer     // of the instances
}

// Load of each instance. With four instances it is about 13,000 reads and 80
// commits a second, of which two cores do everything else beside.
const (
	readers     = 8 // of each system
	burst       = 2
	pace        = 10 * time.Millisecond
	writers     = 2
	writeEvery  = 100 * time.Millisecond
	reportEvery = 50 * time.Millisecond
	l2Timeout   = 250 * time.Millisecond // the library's default
	skew        = 1.1
	bulkKeys    = 20_000
	bucket      = 250 * time.Millisecond // of the chart
	judgeEvery  = 250 * time.Millisecond
)

// Fleet is the instances and what they share.
type Fleet struct {
	Server  *redistest.Server
	Admin   *redis.Client // of the server, past all proxies
	Members []*Member
	Judge   *oracle.Judge

	tb     testing.TB
	opts   Options
	socket string
	ctx    context.Context // ends with the fleet
	cancel context.CancelFunc
	wg     sync.WaitGroup

	origin origin

	mu     sync.Mutex
	orders wire.Orders
}

// Regions are those of a run.
func (o *Options) Regions() wire.Regions {
	long := func(keys int) wire.Region { return wire.Region{Keys: uint32(keys), TTL: o.TTL} }
	if !o.Features {
		return wire.Regions{long(o.Keys)}
	}
	lives := wire.Region{
		Keys: uint32(max(16, o.Keys/8)), TTL: 2 * time.Second, SlidingTTL: time.Second, StaleFor: 2 * time.Second,
		SoftTimeout: 50 * time.Millisecond, Refresh: 0.6,
	}
	return wire.Regions{long(o.Keys), lives, long(max(16, o.Keys/32)), long(max(16*o.Instances, o.Keys/8))}
}

// Start starts a redis-server and the instances. It returns when all of them
// have reported.
func Start(tb testing.TB, opts Options) *Fleet {
	tb.Helper()
	f := &Fleet{tb: tb, opts: opts}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	tb.Cleanup(f.cancel)
	f.Server = redistest.Start(tb, "--notify-keyspace-events", "Ee", "--maxmemory-policy", "noeviction")
	f.Admin = f.Server.Client(tb)
	f.Judge = oracle.New(oracle.Options{Regions: opts.Regions(), Bound: opts.Bound, Bucket: bucket}, wire.Now())
	for i := range opts.Instances {
		f.Members = append(f.Members, &Member{f: f, number: i, Proxy: redistest.NewProxy(tb, f.Server.Addr())})
	}
	if err := f.listen(tb); err != nil {
		tb.Fatalf("fleet: %v", err)
	}
	tb.Cleanup(f.end)
	for _, m := range f.Members {
		if err := m.Born(); err != nil {
			tb.Fatalf("%v", err)
		}
	}
	f.wg.Go(f.judge)
	if err := f.Settle(wire.Now()); err != nil {
		tb.Fatalf("%v", err)
	}
	return f
}

func (f *Fleet) listen(tb testing.TB) error {
	// Not the test's own directory: the path of a socket must be short.
	dir, err := os.MkdirTemp("", "chaos") //nolint:usetesting // see above
	if err != nil {
		return err
	}
	f.socket = filepath.Join(dir, "hub")
	server := rpc.NewServer()
	if err := server.Register(&Hub{f}); err != nil {
		return err
	}
	unix, err := new(net.ListenConfig).Listen(f.ctx, "unix", f.socket)
	if err != nil {
		return err
	}
	l := &listener{Listener: unix}
	f.wg.Go(func() { l.serve(server) })
	tb.Cleanup(func() {
		f.cancel()
		l.close()
		f.wg.Wait()
		_ = os.RemoveAll(dir)
	})
	return nil
}

// end kills whoever has not ended in an orderly way.
func (f *Fleet) end() {
	for _, m := range f.Members {
		m.Kill()
	}
}

// Close orders the instances to end, and waits for that. Its error tells which
// of them did not end well.
func (f *Fleet) Close() error {
	f.order(func(o *wire.Orders) { o.Stop = true })
	for _, m := range f.Members {
		if err := m.ended(); err != nil {
			return err
		}
	}
	return nil
}

func (f *Fleet) settings() *wire.Settings {
	return &wire.Settings{
		Socket: f.socket, Seed: f.opts.Seed,
		Bound: f.opts.Library, L2Timeout: l2Timeout, Regions: f.opts.Regions(), Instances: f.opts.Instances,
		Skew: skew, Readers: readers, Burst: burst, Pace: pace,
		Writers: writers, WriteEvery: writeEvery, ReportEvery: reportEvery, Bulk: bulkKeys,
	}
}

func (f *Fleet) order(change func(*wire.Orders)) wire.Orders {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.orders)
	return f.orders
}

// judge keeps the oracle up to date.
func (f *Fleet) judge() {
	for Pause(f.ctx, judgeEvery) == nil {
		f.Judge.Advance(f.through())
	}
}

// through is the moment up to which all living instances have reported.
func (f *Fleet) through() int64 {
	through := wire.Now()
	for _, m := range f.Members {
		if t, alive := state(m, func(m *Member) int64 { return m.through }); alive {
			through = min(through, t)
		}
	}
	return through
}

// settleTimeout bounds what is waited for: a read that hangs, or an instance.
const settleTimeout = 60 * time.Second

// Settle waits until everything that began before the given time is judged.
func (f *Fleet) Settle(at int64) error {
	err := f.await(func() bool { return f.through() >= at })
	f.Judge.Advance(f.through())
	if err != nil {
		return fmt.Errorf("fleet: an instance has not reported what began %v ago: %w", time.Duration(wire.Now()-at), err)
	}
	return nil
}

func (f *Fleet) await(ok func() bool) error {
	ctx, cancel := context.WithTimeout(f.ctx, settleTimeout)
	defer cancel()
	for !ok() {
		if err := Pause(ctx, reportEvery/2); err != nil {
			return err
		}
	}
	return nil
}

// Quiet stops the commits, or lets them go on.
func (f *Fleet) Quiet(on bool) { f.order(func(o *wire.Orders) { o.Quiet = on }) }

// Risky has all commits made in the middle of Mutates that take their time, or
// lets everything be as before.
func (f *Fleet) Risky(on bool) { f.order(func(o *wire.Orders) { o.Risky = on }) }

// Features reports whether all operations are in use.
func (f *Fleet) Features() bool { return f.opts.Features }

// Sweep has every instance read every key in every way, and waits for that.
func (f *Fleet) Sweep() error {
	n := f.order(func(o *wire.Orders) { o.Sweep++ }).Sweep
	return f.everywhere(func(m *Member) bool { return m.swept >= n })
}

// Bulk has every instance invalidate many keys, and waits for that.
func (f *Fleet) Bulk() error {
	n := f.order(func(o *wire.Orders) { o.Bulk++ }).Bulk
	return f.everywhere(func(m *Member) bool { return m.bulked >= n })
}

func (f *Fleet) everywhere(done func(*Member) bool) error {
	return f.await(func() bool {
		for _, m := range f.Members {
			if ok, alive := state(m, done); alive && !ok {
				return false
			}
		}
		return true
	})
}

// Errorf notes a problem of the run itself.
func (f *Fleet) Errorf(format string, args ...any) { f.tb.Errorf(format, args...) }

// Started is how many processes there have been.
func (f *Fleet) Started() (n int) {
	for _, m := range f.Members {
		lives, _ := state(m, func(m *Member) int { return m.life })
		n += lives
	}
	return n
}

// Version is that of Redis.
func (f *Fleet) Version() string {
	info, err := f.Admin.InfoMap(f.ctx, "server").Result()
	if err != nil {
		f.Errorf("fleet: %v", err)
	}
	return info["Server"]["redis_version"]
}
