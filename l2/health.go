package l2

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// probeInterval is how often a server that is down is tried.
const probeInterval = 250 * time.Millisecond

// Limits of probes.
const (
	// probeWidth is how many probes may go out for one server at once: one for
	// each connection in the client's pools that nobody uses. Where a network was
	// silent for a while connections may be dead without knowing; they are found
	// all at once, before callers get them one after the other.
	probeWidth = 8
	// maxProbes bounds the probes under way for one server. Beyond it one more per
	// probePatience is sent: the client may not come back from a connection on
	// which nothing is heard.
	maxProbes     = 3 * probeWidth
	probePatience = 30 * time.Second
)

// health notices when Redis is down and when it is back, and tells.
type health struct {
	store *Store
	wake  chan struct{} // one element: some breaker has opened

	mu      sync.Mutex
	down    int // breakers that are open
	events  []stateChange
	pending chan struct{} // one element: there are events
}

type stateChange struct {
	up    bool
	cause error
}

func (h *health) init(s *Store) {
	h.store = s
	h.wake = make(chan struct{}, 1)
	h.pending = make(chan struct{}, 1)
}

// changed is called by a breaker, under its lock, when it opened or closed.
func (h *health) changed(up bool, cause error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if up {
		h.down--
		if h.down == 0 {
			h.events = append(h.events, stateChange{up: true})
		}
	} else {
		h.store.counts.downs.Add(1)
		h.down++
		if h.down == 1 {
			h.events = append(h.events, stateChange{cause: cause})
		}
		signal(h.wake)
	}
	signal(h.pending)
}

// signal leaves a mark in a channel of one element.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// notify is the goroutine that tells about changes. It is apart from the one
// that probes, which must not wait for the user's function.
func (h *health) notify() {
	s := h.store
	defer s.owned.Done()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-h.pending:
		}
		h.mu.Lock()
		events := h.events
		h.events = nil
		h.mu.Unlock()
		for _, e := range events {
			if s.isClosed() {
				return
			}
			if e.up {
				s.log.Info("redis is available again")
			} else {
				s.log.Warn("redis is unavailable", "cause", e.cause)
			}
			if s.opts.OnState != nil {
				s.opts.OnState(e.up, e.cause)
			}
		}
	}
}

// probe is the goroutine that tries servers that are down.
func (h *health) probe() {
	s := h.store
	defer s.owned.Done()
	tick := time.NewTicker(probeInterval)
	tick.Stop()
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-h.wake:
			tick.Reset(probeInterval)
		case <-tick.C:
			if !h.probeAll() {
				tick.Stop()
			}
		}
	}
}

// probeAll tries each server that is down and reports whether there is any.
func (h *health) probeAll() (down bool) {
	idle, idlePipelines := h.idle()
	for _, p := range h.store.servers {
		if !p.breaker.isDown() {
			continue
		}
		down = true
		for range max(1, min(idle, probeWidth)) {
			h.try(p.breaker, h.unlink)
		}
		for range min(idlePipelines, probeWidth) {
			h.try(p.breaker, h.unlinkInPipeline)
		}
	}
	return down
}

// idle is how many connections the client keeps that nobody uses, for single
// commands and for pipelines. For a Cluster nobody can tell whose they are.
func (h *health) idle() (single, pipelines int) {
	c, ok := h.store.client.(*redis.Client)
	if !ok {
		return 0, 0
	}
	stats := c.PoolStats()
	if stats.PipelineStats != nil {
		pipelines = int(stats.PipelineStats.IdleConns)
	}
	return int(stats.IdleConns), pipelines
}

// try sends a probe in a goroutine of its own: nobody waits for it.
func (h *health) try(b *breaker, send func(context.Context, string) error) {
	s := h.store
	now := s.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.isClosed() || b.probing.Load() >= maxProbes && now-b.probedAt < probePatience {
		return
	}
	b.probedAt = now
	b.probing.Add(1)
	s.background.Go(func() {
		defer b.probing.Add(-1)
		err := send(s.deadline(now), s.names[b.partition].none)
		if err == nil && s.now()-now > s.opts.Timeout {
			err = errTimeout
		}
		b.probed(err)
	})
}

// unlink is a probe. It is a write, of a kind that Redis accepts even where its
// memory is full, to a key that does not exist. A read would be answered by a
// replica too, and by a primary that was cut off and has been replaced.
func (h *health) unlink(ctx context.Context, key string) error {
	return h.store.client.Unlink(ctx, key).Err()
}

func (h *health) unlinkInPipeline(ctx context.Context, key string) error {
	pipe := h.store.client.Pipeline()
	cmd := pipe.Unlink(ctx, key)
	_, _ = pipe.Exec(ctx)
	return cmd.Err()
}

// WriteFailed takes in that somebody else's write to partition p has failed. If
// that was a refusal, the server may be a replica or a primary that has been
// replaced, and is not read from until it takes a write again. Without it a store
// that only reads would not notice. Other failures say nothing about reads and
// are ignored.
func (s *Store) WriteFailed(p int, err error) {
	if judge(err) == fatal {
		s.primary[p].breaker.report(err)
	}
}

// admit lets a call pass, or says why not. The first calls of all wait until it
// is known whether the server takes writes.
func (c *call) admit(b *breaker) error {
	r := b.state.Load()
	if r == nil {
		return nil
	}
	if r.proven == nil {
		c.store.counts.refused.Add(1)
		return r.err
	}
	return c.awaitProof(b, r)
}

func (c *call) awaitProof(b *breaker, r *refusal) error {
	s := c.store
	if b.probing.Load() == 0 {
		s.health.try(b, s.health.unlink)
	}
	timer := time.NewTimer(c.deadline - s.now())
	defer timer.Stop()
	select {
	case <-r.proven:
		if r = b.state.Load(); r != nil {
			return r.err
		}
		return nil
	case <-timer.C:
		b.probed(errTimeout)
		return unavailable(errTimeout)
	case <-c.ctx.Done():
		return left(c.ctx.Err())
	case <-s.ctx.Done():
		return ErrClosed
	}
}
