package invalidation

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// session is one go-redis subscription with the goroutines that may hang in
// it: one receives, one pings.
type session struct {
	s      *subscriber
	ps     *redis.PubSub
	ctx    context.Context // ends when the session is abandoned
	cancel context.CancelFunc
	pings  chan struct{}
	ended  chan struct{} // closed when receive has returned
	why    error         // why it has; read after ended is closed

	heard atomic.Int64 // when something came last or, without a subscription, when it was lost
	since atomic.Int64 // when the subscription was confirmed; unknown while there is none
}

func (s *subscriber) open(ctx context.Context) *session {
	ctx, cancel := context.WithCancel(ctx)
	n := &session{
		s:      s,
		ps:     s.b.opts.Client.Subscribe(ctx), // no channel yet: this does not dial
		ctx:    ctx,
		cancel: cancel,
		pings:  make(chan struct{}, 1),
		ended:  make(chan struct{}),
	}
	n.heard.Store(s.b.fences.Now())
	n.since.Store(unknown)
	s.running.Add(1)
	s.b.calls.run(func() {
		defer s.running.Add(-1)
		n.receive()
	})
	s.b.calls.run(n.pinger)
	return n
}

// ping asks for a pong, unless the last ping has not been sent yet.
func (n *session) ping() {
	select {
	case n.pings <- struct{}{}:
	default:
	}
}

// pinger sends pings. The pongs come through Receive.
func (n *session) pinger() {
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.pings:
			_ = n.ps.Ping(n.ctx) // Receive meets the same error
		}
	}
}

// receive applies what comes, until the session is abandoned or useless.
//
// After most errors go-redis has dialled and subscribed anew before Receive
// returns the error, so that receiving again is the quickest way back. An
// error that the server sent is different: the connection works, go-redis
// keeps it, and it has no subscription.
func (n *session) receive() {
	defer close(n.ended)
	defer func() {
		// go-redis asserts the types in a reply. What a broken proxy sends
		// must not take the process down.
		if r := recover(); r != nil {
			n.why = fmt.Errorf("panic in Receive: %v", r)
			n.unsubscribed()
		}
	}()
	// Its error is met again by Receive, which then dials by itself.
	_ = n.ps.Subscribe(n.ctx, n.s.channel)
	for failures := 0; n.ctx.Err() == nil; {
		v, err := n.ps.Receive(n.ctx)
		if err == nil {
			failures = 0
			if !n.take(v) {
				return
			}
			continue
		}
		if n.ctx.Err() != nil {
			return // abandoned: that is the error
		}
		n.unsubscribed()
		n.s.problem.Store(&err)
		n.s.b.ProbeNow()
		var reply redis.Error
		if errors.As(err, &reply) || errors.Is(err, redis.ErrClosed) {
			n.why = err
			return
		}
		failures++
		if !pause(n.ctx, backoff(failures, firstRetry, lastRetry)) {
			return
		}
	}
}

// take applies what Receive returned. It reports whether the session is still
// of use.
func (n *session) take(v any) bool {
	n.heard.Store(n.s.b.fences.Now())
	switch v := v.(type) {
	case *redis.Message:
		n.s.b.hear([]byte(v.Payload))
	case *redis.Subscription:
		n.s.b.ProbeNow()
		if v.Kind != "subscribe" {
			// "unsubscribe", which we never send: the server has ended it.
			n.why = errors.New(v.Kind + " by the server")
			n.unsubscribed()
			return false
		}
		n.s.problem.Store(nil)
		n.since.Store(n.s.b.fences.Now())
		n.s.b.counters.subscriptions.Add(1)
		n.s.b.stateMayHaveChanged()
	}
	return true
}

// unsubscribed notes that messages may be missed from now on.
func (n *session) unsubscribed() {
	if n.since.Swap(unknown) == unknown {
		return
	}
	now := n.s.b.fences.Now()
	n.heard.Store(now)
	n.s.lostAt.Store(now)
	n.s.b.stateMayHaveChanged()
}
