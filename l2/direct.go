package l2

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Limits of direct commands.
const (
	// directTimeout is how long a direct command may take; at most a part in
	// directShare of the store's timeout, so that time is left for the long way.
	directTimeout = 20 * time.Millisecond
	directShare   = 8
	// directMargin is how many times faster than that Redis must be on average.
	directMargin = 20
	// directWidth is how many direct commands there may be at once. With more
	// callers it pays to share round trips.
	directWidth = 3
	// directPenalty is the round trip that counts after a direct command
	// that failed; it takes some fifty good ones to be forgotten.
	directPenalty = time.Second
	// sample is 0 in the bits of the clock of those direct commands that are timed.
	sample = 7 << 4
)

// direct sends commands on the caller's own goroutine. Handing a command to
// another goroutine and waiting for it takes longer than a round trip to a Redis
// nearby takes on the whole: two goroutines have to be scheduled, on two threads,
// where there is nothing else to do. But a caller who is in the client's hands
// cannot leave. So this is done only as long as Redis is known to answer quickly,
// with a short limit on the socket, once; and if that does not work the command
// goes the long way, where it can be abandoned. (Then it may have been carried
// out already. All commands may run twice.)
type direct struct {
	store   *Store
	client  *redis.Client // sockets have the short limit
	limit   time.Duration
	trip    atomic.Int64 // ns, moving average of round trips
	running atomic.Int32
	context rotation
}

// once is a command that the client does not send again on its own.
type once struct{ *redis.StringSliceCmd }

// NoRetry says so to the client.
func (once) NoRetry() bool { return true }

// newDirect returns nil if the client cannot do it.
func newDirect(s *Store) *direct {
	single, ok := s.opts.Client.(*redis.Client)
	if !ok {
		return nil
	}
	d := &direct{store: s, limit: min(directTimeout, s.opts.Timeout/directShare)}
	d.client = single.WithTimeout(d.limit)
	d.context = rotation{store: s, least: d.limit}
	d.trip.Store(int64(directPenalty))
	return d
}

// took takes in how long a round trip took.
func (d *direct) took(trip time.Duration) {
	// Of two at the same time one may be lost; it is an average.
	avg := d.trip.Load()
	d.trip.Store(avg + (int64(min(trip, directPenalty))-avg)/8)
}

// take reserves the caller's goroutine for a command, if this is the time for
// it. Whoever gets true calls give.
func (d *direct) take(c *call, l *lane) bool {
	if d == nil || l.busy.Load() > 0 || l.breaker.failing.Load() || l.breaker.state.Load() != nil ||
		time.Duration(d.trip.Load()) > d.limit/directMargin {
		return false
	}
	if end, ok := c.ctx.Deadline(); ok && time.Until(end) < directShare*d.limit {
		return false
	}
	if d.running.Add(1) > directWidth {
		d.running.Add(-1)
		return false
	}
	return true
}

func (d *direct) give() { d.running.Add(-1) }

// send sends a command and reports whether it has its outcome. If not, it has to
// go on the lane.
func (d *direct) send(c *call, l *lane, cmd *redis.StringSliceCmd) (done bool, err error) {
	began := c.deadline - d.store.opts.Timeout
	err = d.client.Process(d.context.current(began), once{cmd})
	if err != nil {
		var answer redis.Error
		if !errors.As(err, &answer) {
			d.trip.Store(int64(directPenalty))
			cmd.SetErr(nil)
			return false, nil
		}
		l.breaker.report(err)
		return true, d.store.failed(err)
	}
	if began&sample == 0 {
		d.took(d.store.now() - began)
	}
	return true, nil
}

// read is send for reading a value.
func (d *direct) read(c *call, l *lane, q *reading) (done bool, err error) {
	cmd := redis.NewStringSliceCmd(c.ctx, "mget", c.store.names[q.partition].sequence, q.region.clear[q.partition], q.key)
	if done, err = d.send(c, l, cmd); !done || err != nil {
		return done, err
	}
	got := cmd.Val()
	if len(got) != 3 {
		return true, unavailable(fmt.Errorf("%w: %d values for 3 keys", errReply, len(got)))
	}
	q.seq, q.cleared, q.stored = sequenceOf(got[0]), sequenceOf(got[1]), got[2]
	return true, nil
}

// rotation hands out contexts that end between least and twice least from now,
// and when the store is closed. They are what makes the client stop waiting for
// a connection or retrying; no caller depends on them, so that they need not be
// exact, and one is made per least rather than per command.
type rotation struct {
	store *Store
	least time.Duration
	last  atomic.Pointer[expiry]
}

// expiry is a context that ends at a time on the store's clock.
type expiry struct {
	ctx    context.Context
	cancel context.CancelFunc // the deadline does it; kept to be seen to be kept
	end    time.Duration
}

func (r *rotation) current(now time.Duration) context.Context {
	e := r.last.Load()
	if e != nil && e.end-now > r.least {
		return e.ctx
	}
	fresh := &expiry{end: now + 2*r.least}
	fresh.ctx, fresh.cancel = context.WithTimeout(r.store.ctx, 2*r.least)
	// Of two that are made at the same time one is used once only.
	r.last.CompareAndSwap(e, fresh)
	return fresh.ctx
}
