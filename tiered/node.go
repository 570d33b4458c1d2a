package tiered

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/invalidation"
	"github.com/doppio-cache/doppio/l1"
	"github.com/doppio-cache/doppio/l2"
)

var errNilNode = fmt.Errorf("%w: the Node is nil (did Open return an error?)", ErrInvalidOption)

// logName is the attribute that every line of a node's log has: who speaks, and for
// which application.
const logName = "doppio"

// Node is this process's part of the cache: it owns the L1, the subscription
// to invalidations and the probe that makes sure that none was missed. There
// should be one per process. It is safe for concurrent use.
type Node struct {
	opts   Options
	log    *slog.Logger
	layout *keyspace.Layout
	fences *fence.Table
	l1     *l1.Cache

	// Nil in a Local node.
	l2        sharedTier
	backplane backplane

	ctx       context.Context // ends with the node; parent of nothing but loads
	cancel    context.CancelFunc
	done      <-chan struct{} // ctx.Done()
	gate      *gate           // flights and Sets that are running
	mutations *gate           // Mutates that are; shut after that, and not waited for by Close
	writes    *gate           // invalidations that are; shut last

	air       airspace
	refreshes chan struct{} // one element for each load ahead of time
	settled   chan struct{} // closed when ready for the first time, or after L2Timeout
	first     sync.WaitGroup

	closeOnce sync.Once
	closeErr  error
	closed    atomic.Bool
	draining  atomic.Bool
	sent      atomic.Uint64 // invalidations that Redis has confirmed

	lagging atomic.Bool // some region has an OriginLag

	observerFailed atomic.Bool // that was logged

	mu      sync.RWMutex
	regions map[string]*region
}

// Open joins this process to the cache. Options are checked all at once; the
// error joins all problems, and is an [ErrInvalidOption]. Redis being down is no error: the node starts
// degraded and recovers by itself. ctx bounds Open itself, not the node's life.
//
// The node has goroutines and a Redis subscription until [Node.Shutdown] or
// [Node.Close].
func Open(ctx context.Context, opts Options) (*Node, error) {
	opts = opts.withDefaults()
	layout, layoutErr := keyspace.New(opts.Prefix, opts.Partitions)
	if err := errors.Join(opts.validate(), layoutErr, clientProblem(&opts)); err != nil {
		return nil, fmt.Errorf("%w: Options: %w", ErrInvalidOption, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("doppio: open: %w", err)
	}
	n := &Node{
		opts:      opts,
		log:       opts.Logger.With(logName, opts.Prefix),
		layout:    layout,
		fences:    fence.New(opts.Partitions, opts.MaxStaleness, opts.L1MaxBytes),
		gate:      newGate(),
		mutations: newGate(),
		writes:    newGate(),
		regions:   make(map[string]*region),
		settled:   make(chan struct{}),
		refreshes: make(chan struct{}, maxRefreshes),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.done = n.ctx.Done()
	if err := n.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("doppio: open: %w", err), n.Close())
	}
	return n, nil
}

// clientProblem is what is wrong with the client, if there is one.
func clientProblem(opts *Options) error {
	if opts.Local || isNil(opts.Redis) {
		return nil
	}
	return l2.CheckClient(opts.Redis)
}

// start makes the tiers. What was made before an error is closed by Close.
func (n *Node) start() error {
	var err error
	if n.l1, err = l1.New(l1.Options{MaxBytes: n.opts.L1MaxBytes, Fences: n.fences}); err != nil {
		return err
	}
	if n.opts.Local {
		n.fences.GrantForever()
		return nil
	}
	origin := rand.Uint64()
	store, err := l2.New(l2.Options{
		Client:    n.opts.Redis,
		Layout:    n.layout,
		Timeout:   n.opts.L2Timeout,
		Announcer: invalidation.Encoder{Origin: origin},
		Logger:    n.log,
	})
	if err != nil {
		return err
	}
	n.l2 = store
	bp, err := invalidation.Start(invalidation.Options{
		Client:    n.opts.Redis,
		Layout:    n.layout,
		Fences:    n.fences,
		Origin:    origin,
		Timeout:   n.opts.L2Timeout,
		Retrier:   retrier{n, store},
		Logger:    n.log,
		OnRefused: store.WriteFailed,
	})
	if err != nil {
		return err
	}
	n.backplane = bp
	n.first.Go(func() {
		defer close(n.settled)
		ctx, cancel := context.WithTimeout(n.ctx, n.opts.L2Timeout)
		defer cancel()
		_ = bp.Ready(ctx) // not ready in time: calls go on without L2
	})
	return nil
}

// settle lets the calls that come while a node has hardly begun wait for its
// first probe, for at most L2Timeout after Open. Until then nothing that is in
// Redis may be used, and a whole fleet that restarts would go to the origin.
func (n *Node) settle(ctx context.Context) error {
	if n.l2 == nil {
		return nil
	}
	select {
	case <-n.settled:
		return nil
	default:
	}
	select {
	case <-n.settled:
	case <-n.done:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("doppio: waiting for the first probe: %w", ctx.Err())
	}
	return nil
}

// Ready waits until the node hears invalidations, so that a service starts with a
// cache that it may use. (It loads nothing: see [Region.Warm].) It is for start-up,
// not for a readiness probe: a node that is not ready answers all the same, only
// slower. Its error wraps ctx's, says what is missing, and wraps why, as far as that is
// known: a *net.OpError if Redis cannot be reached. It is [ErrClosed] if the
// node is closed meanwhile, and [ErrLayout], at once, if other instances use another
// layout.
func (n *Node) Ready(ctx context.Context) error {
	switch {
	case n == nil:
		return errNilNode
	case n.closed.Load():
		return ErrClosed
	case n.backplane == nil:
		return nil
	}
	switch err := n.backplane.Ready(ctx); {
	case err == nil:
		return nil
	case errors.Is(err, invalidation.ErrClosed):
		return ErrClosed
	case errors.Is(err, invalidation.ErrLayout):
		return named(err)
	default:
		return fmt.Errorf("doppio: %w", err)
	}
}

// Ref names a key of a region for [Node.Delete]. Neither is checked before it
// is used, and the region need not be declared in this process, unless it has a
// Config.OriginLag: then no tombstone is left.
func (n *Node) Ref(region, key string) Ref { return Ref{region: region, key: key} }

// Close stops everything at once: calls that wait return [ErrClosed],
// invalidations that Redis has not confirmed are lost (use [Node.Shutdown] to
// wait for them). It does not close the Redis client. It is idempotent, and
// complete when it returns, except for load functions that ignore their
// context: their goroutines end when they do.
func (n *Node) Close() error {
	if n == nil {
		return errNilNode
	}
	n.closeOnce.Do(func() {
		n.closed.Store(true)
		n.gate.close()
		n.mutations.close()
		n.writes.close()
		n.cancel()
		var errs []error
		if n.l2 != nil {
			errs = append(errs, n.l2.Close())
		}
		if n.backplane != nil {
			errs = append(errs, n.backplane.Close())
		}
		n.first.Wait()
		<-n.gate.idle
		<-n.writes.idle
		if n.l1 != nil {
			errs = append(errs, n.l1.Close())
		}
		n.closeErr = errors.Join(errs...)
	})
	return n.closeErr
}

// Shutdown takes no new loads and Sets, waits until those that are running, and the
// Mutates, have ended and Redis has confirmed all queued invalidations, then closes
// the node. If ctx ends before, the node is closed all the same, what is queued is
// lost, and the error says how much, and wraps ctx's and why Redis has not confirmed it,
// as far as that is known. It is idempotent.
func (n *Node) Shutdown(ctx context.Context) error {
	if n == nil {
		return errNilNode
	}
	if n.closed.Load() {
		return n.Close()
	}
	n.draining.Store(true)
	var errs []error
	// Loads first: what they do may invalidate. Then the Mutates, which end with an
	// invalidation. Then the Deletes under way, whose
	// keys are confirmed or queued when they return, and only then the queue.
	for _, g := range []struct {
		*gate
		what string
	}{{n.gate, "loads"}, {n.mutations, "writes of Mutate"}, {n.writes, "invalidations"}} {
		if err := g.drain(ctx, n.done); err != nil {
			errs = append(errs, fmt.Errorf("doppio: shutdown: %s still running: %w", g.what, err))
		}
	}
	if n.backplane != nil {
		if err := n.backplane.Drain(ctx); err != nil {
			errs = append(errs, fmt.Errorf("doppio: shutdown: %w", err))
		}
	}
	return errors.Join(append(errs, n.Close())...)
}

// refusing reports whether new loads are refused.
func (n *Node) refusing() bool { return n.closed.Load() || n.draining.Load() }

// conflicted reports whether other instances use another layout. Then neither
// tier may be used: their invalidations would not be heard here.
func (n *Node) conflicted() bool { return n.backplane != nil && n.backplane.Err() != nil }

// usable reports whether a key may be read from, and filled into, L2. (Whether
// Redis is up is the store's to know: it answers at once if not.) A partition
// without an epoch was never probed: its values may be from before a time in
// which other instances used another layout and nobody invalidated them.
func (n *Node) usable(k keyspace.Key) bool {
	if n.l2 == nil || n.backplane.Pending(k.Hash) || n.conflicted() {
		return false
	}
	_, _, probed := n.backplane.Epoch(n.fences.Partition(k.Hash))
	return probed
}

// declare registers a region under its name.
func (n *Node) declare(r *region) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.refusing() {
		return ErrClosed
	}
	if _, taken := n.regions[r.name]; taken {
		return fmt.Errorf("%w: region %q is declared already", ErrInvalidOption, r.name)
	}
	n.regions[r.name] = r
	if r.originLag > 0 {
		n.lagging.Store(true)
	}
	return nil
}

func (n *Node) region(name string) *region {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.regions[name]
}
