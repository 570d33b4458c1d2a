package l2

import (
	"context"
	"sync"
	"time"
)

// probeInterval is how often a server that is down is tried.
const probeInterval = 250 * time.Millisecond

// Limits of probes under way for one server. Beyond the first only one more per
// probePatience is sent: the client may not come back from a connection on which
// nothing is heard.
const (
	maxProbes     = 4
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
func (h *health) changed(b *breaker, up bool) {
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
			h.events = append(h.events, stateChange{cause: b.down.Load().cause})
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
			if e.up {
				s.log.Info("redis is available again", "prefix", s.layout.Prefix())
			} else {
				s.log.Warn("redis is unavailable", "prefix", s.layout.Prefix(), "cause", e.cause)
			}
			if s.opts.OnState != nil && !s.isClosed() {
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

// probeAll starts a probe of each server that is down and reports whether there
// is any.
func (h *health) probeAll() (down bool) {
	for _, p := range h.store.servers {
		if p.breaker.refuses() != nil {
			down = true
			h.try(p.breaker)
		}
	}
	return down
}

// try sends a probe in a goroutine of its own: nobody waits for it.
//
// The probe is a write, of a kind that Redis accepts even where its memory is
// full, to a key that does not exist. A read would be answered by a replica too,
// and by a primary that was cut off and has been replaced.
func (h *health) try(b *breaker) {
	now := time.Now()
	b.mu.Lock()
	wait := b.probing.Load() >= maxProbes && now.Sub(b.probedAt) < probePatience
	if !wait {
		b.probedAt = now
	}
	b.mu.Unlock()
	if wait {
		return
	}
	s := h.store
	b.probing.Add(1)
	s.background.Add(1)
	go func() {
		defer s.background.Done()
		defer b.probing.Add(-1)
		ctx, cancel := context.WithTimeout(s.ctx, s.opts.Timeout)
		defer cancel()
		err := s.client.Unlink(ctx, s.names[b.partition].none).Err()
		if err == nil && time.Since(now) > s.opts.Timeout {
			err = errTimeout
		}
		b.probed(err)
	}()
}
