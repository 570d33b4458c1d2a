package invalidation

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
)

// ErrClosed is the error of calls that cannot succeed any more because
// [Backplane.Close] was called.
var ErrClosed = errors.New("invalidation: closed")

// closeGrace is how long Close waits for calls to Redis that do not return.
const closeGrace = 500 * time.Millisecond

// Backplane connects one instance to the invalidations of all others. It is
// safe for concurrent use.
type Backplane struct {
	opts   Options
	log    *slog.Logger
	fences *fence.Table
	layout *keyspace.Layout

	ctx    context.Context // ends with Close; owns everything below
	cancel context.CancelFunc
	loops  sync.WaitGroup // goroutines that end at once when ctx does
	calls  calls          // goroutines that end when Redis lets them
	close  sync.Once

	counters counters
	clock    clock
	agreed   agreement
	epochs   []atomic.Pointer[epoch]
	ready    chan struct{} // closed once every partition was confirmed under a live subscription
	changed  chan struct{} // the state may have changed

	subscriber subscriber
	prober     prober
	queue      queue
	acks       ackLog
}

// Start begins to listen and to probe. It does not wait for Redis, which may
// be down; use [Backplane.Ready] for that. The error joins all problems of the
// options.
func Start(opts Options) (*Backplane, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	n := opts.Layout.Partitions()
	b := &Backplane{
		opts:    opts,
		log:     opts.Logger,
		fences:  opts.Fences,
		layout:  opts.Layout,
		epochs:  make([]atomic.Pointer[epoch], n),
		ready:   make(chan struct{}),
		changed: make(chan struct{}, 1),
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.clock.init()
	b.agreed.init(opts.Layout, opts.Fences.Bound())
	b.subscriber.init(b)
	b.prober.init(b)
	b.queue.init(b)
	b.acks.init(n, opts.QueueLimit)

	for _, loop := range []func(context.Context){b.subscriber.loop, b.prober.loop, b.queue.loop, b.report} {
		b.loops.Go(func() { loop(b.ctx) })
	}
	return b, nil
}

// Close stops everything. It is idempotent, and bounded in time: a call to
// Redis that hangs is left behind, and its goroutine ends when the client gives
// the call up. What waits for a retry is dropped (use [Backplane.Drain] first)
// and logged. The error is always nil.
func (b *Backplane) Close() error {
	b.close.Do(func() {
		b.cancel()
		b.loops.Wait()
		b.calls.wait(closeGrace)
		if keys, partitions := b.queue.size(); keys+partitions > 0 {
			b.log.Warn("closed with invalidations that Redis has not confirmed",
				"keys", keys, "whole_partitions", partitions)
		}
	})
	return nil
}

// Ready waits until every partition has once been confirmed by a probe that
// was sent after the subscription had begun: from then on, what happens in
// Redis is heard. It is for start-up; it does not turn false again.
//
// It returns a [LayoutError] as soon as one is known, [ErrClosed] after Close,
// and otherwise ctx's error, wrapped with what is missing and, where that is known,
// why: a *net.OpError, say.
func (b *Backplane) Ready(ctx context.Context) error {
	for {
		changed := b.agreed.changed()
		if err := b.Err(); err != nil {
			return err
		}
		select {
		case <-b.ready:
			return nil
		default:
		}
		select {
		case <-b.ready:
		case <-changed:
		case <-b.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			s := b.State()
			return &waitError{what: "not ready: " + s.Reason, end: ctx.Err(), cause: s.Err}
		}
	}
}

// ServerNow is an upper bound of the time on Redis's clock, in µs, and whether
// it is known yet. It is taken from the last probe that was answered, and
// exceeds the true time by no more than that probe's round trip (and by what
// the two clocks drifted apart since).
func (b *Backplane) ServerNow() (micros int64, ok bool) { return b.clock.now(b.fences.Now()) }

// ServerAt is [Backplane.ServerNow] for a time that the caller has just read on
// the fences' clock.
func (b *Backplane) ServerAt(now int64) (micros int64, ok bool) { return b.clock.now(now) }

// ProbeNow asks for a probe soon. It never blocks; requests that come close
// together are answered by one probe.
func (b *Backplane) ProbeNow() { b.prober.soon() }

// Enqueue takes over invalidations whose outcome is unknown: they are sent
// again until Redis has confirmed them. It never blocks on Redis.
//
// Every copy of these keys, and every read of them that is under way, is void
// when Enqueue returns, and [Backplane.Pending] is true for them until Redis
// has confirmed.
//
// When more than [Options].QueueLimit keys wait, those of the partition
// concerned are replaced by one invalidation of the whole partition.
func (b *Backplane) Enqueue(keys []keyspace.Key) { b.queue.add(keys) }

// EnqueuePartition is [Backplane.Enqueue] for an invalidation of all keys of
// these regions in partition p. The empty region stands for all tags.
func (b *Backplane) EnqueuePartition(p int, regions []string) { b.queue.addPartition(p, regions) }

// Pending reports whether an invalidation of the key with this hash, or of its
// whole partition, waits for Redis's confirmation. While it does, what Redis
// holds for the key may be what the invalidation was to remove. It may be true
// for a key whose hash is the same as a waiting one's.
//
// The caller must have taken its fence stamp before it asks: see queue.add for
// why.
func (b *Backplane) Pending(hash uint64) bool {
	return b.queue.count.Load() > 0 && b.queue.pending(hash) // the first alone while nothing waits
}

// Drain waits until nothing waits for a retry any more. Otherwise the error
// says how much does, and why it was not sent, and wraps that and ctx's error, or
// [ErrClosed].
func (b *Backplane) Drain(ctx context.Context) error { return b.queue.drain(ctx) }

// Acknowledged notes that this instance's invalidation of keys in partition p
// was confirmed by Redis. If the primary then changes, those of the last
// seconds are sent again, because the new primary may not know of them. That has
// happened without these keys if the generation of the partition has changed, when
// this returns, since the invalidation was sent.
func (b *Backplane) Acknowledged(p int, keys []keyspace.Key) {
	b.acks.add(p, keys, b.fences.Now())
}

// AcknowledgedPartition is [Backplane.Acknowledged] for an invalidation of all
// keys of these regions in partition p.
func (b *Backplane) AcknowledgedPartition(p int, regions []string) {
	b.acks.addRegions(p, regions, b.fences.Now())
}
