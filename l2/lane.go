package l2

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Limits of a lane.
const (
	maxBatch  = 256     // commands of one pipeline
	maxQueued = 1 << 16 // commands that wait for their turn
	maxStuck  = 32      // batches without an answer for longer than the timeout
)

// A lane carries the commands for one primary, some batches at a time. A
// command is sent at once, on its own, while fewer batches are under way than
// the lane has width; otherwise it waits for the next batch to return, and all
// that wait then go as one pipeline. So a lone caller pays for no batching, and
// many callers share few round trips.
//
// The client is never waited for by a caller, because it honours neither
// deadlines nor cancellation reliably: each batch has a goroutine. A batch that
// has no answer for longer than the timeout is stuck: it no longer counts
// against the width, so that the lane goes on beside it, and when its answer
// comes, late, nobody waits for it any more.
type lane struct {
	store   *Store
	breaker *breaker
	width   int
	depth   int // commands of one pipeline

	mu      sync.Mutex
	queue   []*request
	running []*batch // oldest first, stuck ones left out
	stuck   int
}

// batch is what is sent in one round trip.
type batch struct {
	requests []*request
	began    time.Time
	stuck    bool // guarded by lane.mu
}

// request is one command on its way. Its outcome is settled once: by the
// goroutine of its batch, or by its caller, who leaves without an answer.
type request struct {
	cmd     redis.Cmder
	settled atomic.Uint32
	done    chan struct{}         // one element, sent when answered
	late    func(cmd redis.Cmder) // called instead, if the caller has left
}

// How a request was settled.
const (
	underWay uint32 = iota
	answered
	timedOut  // the caller left, and has reported that
	abandoned // the caller left for a reason of its own
)

// send puts requests on the lane: all or none of them.
func (l *lane) send(reqs ...*request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.store.isClosed() {
		return ErrClosed
	}
	if len(l.running) >= l.width {
		l.unblock(time.Now())
	}
	if len(l.queue)+len(reqs) > maxQueued || l.stuck >= maxStuck {
		return unavailable(errBusy)
	}
	if len(l.running) < l.width && len(l.queue) == 0 && len(reqs) <= l.depth {
		l.launch(reqs)
		return nil
	}
	l.queue = append(l.queue, reqs...)
	l.start()
	return nil
}

// start launches batches of what waits while there is room. The caller holds
// l.mu.
func (l *lane) start() {
	for len(l.running) < l.width && len(l.queue) > 0 {
		l.launch(l.next())
	}
}

// launch sends a batch in a goroutine of its own. The caller holds l.mu.
func (l *lane) launch(reqs []*request) {
	b := &batch{requests: reqs, began: time.Now()}
	l.running = append(l.running, b)
	l.store.background.Add(1)
	go l.run(b)
}

// next takes the next batch off the queue, without those whose callers have
// left: they were never sent, and need not be. The caller holds l.mu.
func (l *lane) next() []*request {
	reqs := make([]*request, 0, min(len(l.queue), l.depth))
	i := 0
	for ; i < len(l.queue) && len(reqs) < l.depth; i++ {
		if r := l.queue[i]; r.settled.Load() == underWay {
			reqs = append(reqs, r)
		}
		l.queue[i] = nil
	}
	if l.queue = l.queue[i:]; len(l.queue) == 0 {
		l.queue = nil
	}
	return reqs
}

// run sends a batch, hands out the answers, and goes on with what waits.
func (l *lane) run(b *batch) {
	defer l.store.background.Done()
	for b != nil {
		l.exchange(b)
		b = l.after(b)
	}
}

// after removes a batch that has returned, and returns the one to go on with.
func (l *lane) after(b *batch) *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.stuck {
		l.stuck--
		return nil // its place was taken
	}
	for i, other := range l.running {
		if other == b {
			l.running = append(l.running[:i], l.running[i+1:]...)
			break
		}
	}
	reqs := l.next()
	if len(reqs) == 0 {
		return nil
	}
	b = &batch{requests: reqs, began: time.Now()}
	l.running = append(l.running, b)
	return b
}

// exchange is one round trip.
func (l *lane) exchange(b *batch) {
	ctx := l.store.deadline(b.began)
	if len(b.requests) == 1 {
		_ = l.store.client.Process(ctx, b.requests[0].cmd)
	} else {
		l.pipeline(ctx, b)
	}
	for _, r := range b.requests {
		r.answer(l.breaker)
	}
}

// pipeline sends several commands at once. Their errors are with them.
func (l *lane) pipeline(ctx context.Context, b *batch) {
	pipe := l.store.client.Pipeline()
	for _, r := range b.requests {
		_ = pipe.Process(ctx, r.cmd)
	}
	_, _ = pipe.Exec(ctx)
}

// answer settles the request with the outcome of its command. The caller of a
// request may use it for something else as soon as it has the answer.
func (r *request) answer(b *breaker) {
	err := r.cmd.Err()
	if r.settled.CompareAndSwap(underWay, answered) {
		b.report(err)
		r.done <- struct{}{}
		return
	}
	if r.settled.Load() == abandoned {
		// Its caller has reported nothing. Were that left out, a server that is
		// silent would not be noticed by callers who never wait for long.
		b.report(err)
	}
	if r.late != nil {
		r.late(r.cmd)
	}
}

// unblock takes batches that are stuck out of the way. The caller holds l.mu.
func (l *lane) unblock(now time.Time) {
	for len(l.running) > 0 && now.Sub(l.running[0].began) > l.store.opts.Timeout {
		l.running[0].stuck = true
		l.running = l.running[1:]
		l.stuck++
		l.breaker.report(errTimeout)
	}
}

// sweep lets the lane go on beside batches that are stuck.
func (l *lane) sweep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unblock(time.Now())
	l.start()
}

// close forgets what waits. Its callers leave by themselves.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = nil
}
