package l2

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// tripAfter is the number of failures in a row after which Redis counts as
// down. One that says that this is the wrong server counts as all of them.
const tripAfter = 5

// breaker decides whether a primary is asked at all. It wraps a library's
// breaker in two ways. While it is open no call is let through on trial: a
// caller would wait for a dead server; the store's prober tries instead. And
// while all goes well a call costs one atomic load, not a lock.
type breaker struct {
	partition int                       // a partition that this primary has
	down      atomic.Pointer[downError] // nil: closed
	failing   atomic.Bool               // there was a failure since the last success
	probing   atomic.Int32              // probes under way
	changed   func(b *breaker, up bool) // called with mu held
	mu        sync.Mutex                // serializes what follows
	machine   *gobreaker.CircuitBreaker[struct{}]
	fatal     bool
	probedAt  time.Time
}

// downError is the answer of an open breaker.
type downError struct {
	err   error // matches ErrUnavailable
	cause error
}

func newBreaker(partition int, changed func(*breaker, bool)) *breaker {
	b := &breaker{partition: partition, changed: changed}
	b.machine = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		// Half open at once: when to try is the prober's decision.
		Timeout:     time.Nanosecond,
		ReadyToTrip: func(c gobreaker.Counts) bool { return b.fatal || c.ConsecutiveFailures >= tripAfter },
	})
	return b
}

// refuses returns the error for calls while Redis is known to be down, else nil.
func (b *breaker) refuses() error {
	if d := b.down.Load(); d != nil {
		return d.err
	}
	return nil
}

// report takes in the outcome of a call.
func (b *breaker) report(err error) {
	verdict := judge(err)
	if verdict == healthy && !b.failing.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down.Load() != nil {
		return // a late answer; only the prober closes
	}
	b.feed(verdict, err)
}

// probed takes in the outcome of a probe.
func (b *breaker) probed(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down.Load() == nil {
		return
	}
	b.feed(judge(err), err)
}

// feed advances the state machine. The caller holds b.mu.
func (b *breaker) feed(v verdict, err error) {
	b.failing.Store(v != healthy)
	b.fatal = v == fatal
	_, _ = b.machine.Execute(func() (struct{}, error) {
		if v == healthy {
			return struct{}{}, nil
		}
		return struct{}{}, err
	})
	closed := b.machine.State() == gobreaker.StateClosed
	switch wasDown := b.down.Load() != nil; {
	case closed && wasDown:
		b.down.Store(nil)
		b.changed(b, true)
	case !closed:
		b.down.Store(&downError{err: unavailable(err), cause: err})
		if !wasDown {
			b.changed(b, false)
		}
	}
}
