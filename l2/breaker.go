package l2

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// tripAfter is the number of failures in a row after which Redis counts as
// down. One that says that this is the wrong server counts as all of them.
const tripAfter = 5

// breaker decides whether a primary is asked at all. It wraps a library's
// breaker in three ways. While it is open no call is let through on trial: a
// caller would wait for a dead server; the store's prober tries instead. While
// all goes well a call costs one atomic load, not a lock. And it begins closed
// to reads that come before the first probe: see [errUnproven].
type breaker struct {
	partition int                        // one that this primary has
	state     atomic.Pointer[refusal]    // nil: calls pass
	failing   atomic.Bool                // there was a failure since the last success
	changed   func(up bool, cause error) // called with mu held
	probing   atomic.Int32               // probes under way
	mu        sync.Mutex                 // serializes what follows
	machine   *gobreaker.CircuitBreaker[struct{}]
	fatal     bool
	probedAt  time.Duration
}

// refusal is why a breaker lets no call pass.
type refusal struct {
	err    error         // for the caller; matches ErrUnavailable
	proven chan struct{} // if no probe has ended yet: closed when one has
}

// errUnproven is the state of a primary of which it is not known yet whether it
// is one. A client may have been made to read from replicas in a way that does
// not show (a Sentinel client with ReplicaOnly does not tell). So the first calls
// wait until a probe, which writes, has gone through.
var errUnproven = errors.New("no answer to the first probe yet")

func newBreaker(partition int, changed func(up bool, cause error)) *breaker {
	b := &breaker{partition: partition, changed: changed}
	b.machine = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		// Half open at once: when to try is the prober's decision.
		Timeout:     time.Nanosecond,
		ReadyToTrip: func(c gobreaker.Counts) bool { return b.fatal || c.ConsecutiveFailures >= tripAfter },
	})
	b.state.Store(&refusal{err: unavailable(errUnproven), proven: make(chan struct{})})
	return b
}

// isDown reports whether the primary is known to be down.
func (b *breaker) isDown() bool {
	r := b.state.Load()
	return r != nil && r.proven == nil
}

// isUnproven reports whether no probe of the primary has ended yet.
func (b *breaker) isUnproven() bool {
	r := b.state.Load()
	return r != nil && r.proven != nil
}

// report takes in the outcome of a call. A nil breaker does not care.
func (b *breaker) report(err error) {
	if b == nil {
		return
	}
	verdict := judge(err)
	if verdict == healthy && !b.failing.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state.Load() != nil {
		return // a late answer; only the prober closes
	}
	if b.feed(verdict, err); b.machine.State() != gobreaker.StateClosed {
		b.open(err)
	}
}

// probed takes in the outcome of a probe. One success closes the breaker, one
// failure leaves it open. The first probe of all may find it neither.
func (b *breaker) probed(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.state.Load()
	if r == nil {
		return
	}
	verdict := judge(err)
	if r.proven != nil {
		b.fatal = verdict != healthy // there is no doubt to be given the benefit of
		if b.feed(verdict, err); verdict != healthy {
			b.open(err)
		} else {
			b.state.Store(nil)
		}
		close(r.proven)
		return
	}
	if b.feed(verdict, err); b.machine.State() == gobreaker.StateClosed {
		b.state.Store(nil)
		b.changed(true, nil)
	}
}

// feed advances the state machine. The caller holds b.mu.
func (b *breaker) feed(v verdict, err error) {
	b.failing.Store(v != healthy)
	b.fatal = b.fatal || v == fatal
	_, _ = b.machine.Execute(func() (struct{}, error) {
		if v == healthy {
			return struct{}{}, nil
		}
		return struct{}{}, err
	})
	b.fatal = false
}

// open lets no call pass from now on. The caller holds b.mu.
func (b *breaker) open(cause error) {
	b.state.Store(&refusal{err: unavailable(cause)})
	b.changed(false, cause)
}

// close waits for a probe that is being started; none is after the store has
// been closed.
func (b *breaker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state.CompareAndSwap(nil, &refusal{err: ErrClosed})
}
