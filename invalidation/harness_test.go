package invalidation_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/invalidation"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// patience is how long a test waits for what must happen. It is far longer
// than anything takes, so that a slow machine fails no test.
const patience = 20 * time.Second

// node is one instance: a backplane with its fences.
type node struct {
	*invalidation.Backplane
	t      *testing.T
	fences *fence.Table
	layout *keyspace.Layout
	redis  redis.UniversalClient
	logs   *logs

	mu       sync.Mutex
	messages []invalidation.Message
	states   []invalidation.State
}

// config is what tests change about a node.
type config struct {
	prefix     string
	partitions int
	bound      time.Duration
	timeout    time.Duration
	options    func(*invalidation.Options)
}

// start starts a node on this client. It is closed at the end of the test.
func start(t *testing.T, client redis.UniversalClient, changes ...func(*config)) *node {
	t.Helper()
	c := config{prefix: "test", partitions: 4, bound: 400 * time.Millisecond}
	for _, change := range changes {
		change(&c)
	}
	layout, err := keyspace.New(c.prefix, c.partitions)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, fences: fence.New(c.partitions, c.bound, 1<<20), layout: layout, redis: client, logs: new(logs)}
	opts := invalidation.Options{
		Client:    client,
		Timeout:   c.timeout,
		Layout:    layout,
		Fences:    n.fences,
		Origin:    1,
		Retrier:   &invalidator{client: client, layout: layout, origin: 1},
		Logger:    slog.New(slog.NewTextHandler(n.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		OnMessage: n.onMessage,
		OnState:   n.onState,
	}
	if c.options != nil {
		c.options(&opts)
	}
	if n.Backplane, err = invalidation.Start(opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = n.Close()
		if t.Failed() {
			t.Logf("log of the node:\n%s", n.logs)
		}
	})
	return n
}

// started is start, and waits until the node is ready.
func started(t *testing.T, client redis.UniversalClient, changes ...func(*config)) *node {
	t.Helper()
	n := start(t, client, changes...)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := n.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return n
}

func partitions(n int) func(*config) { return func(c *config) { c.partitions = n } }

func options(f func(*invalidation.Options)) func(*config) {
	return func(c *config) { c.options = f }
}

func (n *node) onMessage(m invalidation.Message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.messages = append(n.messages, m)
}

func (n *node) onState(s invalidation.State) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.states = append(n.states, s)
}

func (n *node) heard() []invalidation.Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]invalidation.Message(nil), n.messages...)
}

// copyOf is the mark of a copy of the key that is good at this moment, as if it
// had been read from Redis just now.
func (n *node) copyOf(k keyspace.Key) *fence.Mark {
	n.t.Helper()
	s := n.fences.Stamp(k.Hash)
	seq, err := n.redis.Get(n.t.Context(), n.layout.Sequence(n.layout.Partition(k.Hash))).Uint64()
	if err != nil {
		n.t.Fatalf("read the sequence: %v", err)
	}
	m := s.At(seq)
	return &m
}

func (n *node) valid(m *fence.Mark) bool {
	_, ok := n.fences.Valid(m)
	return ok
}

// live reports whether all partitions have a lease within the bound.
func (n *node) live() bool {
	for p := range n.fences.Partitions() {
		if !n.fences.Live(p) {
			return false
		}
	}
	return true
}

// dead reports whether no partition has one.
func (n *node) dead() bool {
	for p := range n.fences.Partitions() {
		if n.fences.Live(p) {
			return false
		}
	}
	return true
}

// confirmed waits until every partition was confirmed by a probe sent from now
// on.
func (n *node) confirmed() {
	n.t.Helper()
	now := n.fences.Now()
	n.eventually("a new lease for every partition", func() bool {
		for p := range n.fences.Partitions() {
			if at, ok := n.fences.Lease(p); !ok || at < now {
				return false
			}
		}
		return true
	})
}

func (n *node) eventually(what string, ok func() bool) {
	n.t.Helper()
	if !eventually(ok) {
		n.t.Fatalf("waited %v in vain for: %s\nstate: %+v", patience, what, n.State())
	}
}

func eventually(ok func() bool) bool {
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(time.Millisecond) //nolint:forbidigo // between two looks
	}
	return true
}

// key is the i-th key of a partition.
func (n *node) key(p, i int) keyspace.Key {
	for j := 0; ; j++ {
		if k := keyspace.Of("region", fmt.Sprintf("%d-%d", i, j)); n.layout.Partition(k.Hash) == p {
			return k
		}
	}
}

// invalidator carries out invalidations as the second tier does, apart from
// values: it counts and announces.
type invalidator struct {
	client redis.UniversalClient
	layout *keyspace.Layout
	origin uint64
}

var announce = redis.NewScript(keyspace.SequenceLua + `
local s = advance(KEYS[1])
redis.call('PUBLISH', ARGV[1], ARGV[2] .. u64(s) .. ARGV[3] .. u64(now()) .. ARGV[4])
return s
`)

func (i *invalidator) Invalidate(ctx context.Context, p int, keys []keyspace.Key) (uint64, error) {
	hashes := make([]uint64, len(keys))
	for j, k := range keys {
		hashes[j] = k.Hash
	}
	head, mid, tail := invalidation.Encoder{Origin: i.origin}.Announce(p, hashes)
	return announce.Run(ctx, i.client, []string{i.layout.Sequence(p)}, i.layout.Channel(), head, mid, tail).Uint64()
}

func (i *invalidator) InvalidatePartition(ctx context.Context, p int, _ []string) (uint64, error) {
	return i.Invalidate(ctx, p, nil)
}

// invalidate is another instance's invalidation of keys of one partition.
func (n *node) invalidate(keys ...keyspace.Key) (seq uint64) {
	n.t.Helper()
	i := &invalidator{client: n.redis, layout: n.layout, origin: 2}
	seq, err := i.Invalidate(n.t.Context(), n.layout.Partition(keys[0].Hash), keys)
	if err != nil {
		n.t.Fatalf("invalidate: %v", err)
	}
	return seq
}

// lose is an invalidation that is counted and whose message nobody gets.
func (n *node) lose(p int) (seq uint64) {
	n.t.Helper()
	seq, err := n.redis.Incr(n.t.Context(), n.layout.Sequence(p)).Uint64()
	if err != nil {
		n.t.Fatalf("lose: %v", err)
	}
	return seq
}

// logs collects log lines.
type logs struct {
	mu   sync.Mutex
	text []byte
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	return len(b), nil
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// gate stands before a client's probes. It is a redis.Hook.
type gate struct {
	sent   atomic.Int64  // probes, as the client's caller sees them
	passes chan struct{} // if not nil, each probe takes one first
}

func (g *gate) DialHook(next redis.DialHook) redis.DialHook { return next }

func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); cmd.Name() == "evalsha" && slices.Contains(args, any("all")) {
			if g.passes != nil {
				select {
				case <-g.passes:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			g.sent.Add(1)
		}
		return next(ctx, cmd)
	}
}
