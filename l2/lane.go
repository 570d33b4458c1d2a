package l2

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of a lane.
const (
	maxBatch  = 256     // commands of one round trip
	maxBytes  = 1 << 20 // bytes of values in one round trip, unless it is one value; on average, for reads
	maxQueued = 1 << 16 // commands that wait for their turn
	maxStuck  = 32      // batches without an answer for longer than the timeout
)

// limits are what a lane puts into one round trip, and lets wait for its turn.
type limits struct {
	commands int
	bytes    int // of values, unless it is one value; on average, for reads
	queue    int // commands
}

var ordinary = limits{commands: maxBatch, bytes: maxBytes, queue: maxQueued}

// A lane carries the commands for one primary, some batches at a time. A
// command is sent at once, on its own, while fewer batches are under way than
// the lane has width; otherwise it waits for the next batch to return, and all
// that wait then go as one pipeline. So few callers are not held up for the sake
// of others, and many callers share few round trips.
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
	limits  limits
	readers *readers     // nil: the requests are commands
	direct  *direct      // to be told how long round trips take; may be nil
	bulk    *bulk        // nil: the lane is one of a primary's own
	sorts   bool         // it sends nothing, but hands over to the lanes of masters
	busy    atomic.Int32 // len(running) + len(queue), for a look without the lock

	mu      sync.Mutex
	queue   []*request
	running []*batch // oldest first, stuck ones left out
	stuck   int
}

// batch is what is sent in one round trip.
type batch struct {
	requests []*request
	one      [1]*request // what a batch of one is made of
	began    time.Duration
	stuck    bool                 // guarded by lane.mu
	returned bool                 // guarded by lane.mu; see lane.returned
	told     map[*breaker]verdict // see untold
}

// untold returns the breaker if it is to be told of an outcome, otherwise nil. A
// round trip for many partitions is one failure to each of them, however many
// keys were asked for and in whatever order: five in a row would switch them off.
// Something worse than what it was told before is news.
func (b *batch) untold(to *breaker, err error) *breaker {
	v := judge(err)
	if v == healthy {
		return to
	}
	if v <= b.told[to] {
		return nil
	}
	if b.told == nil {
		b.told = make(map[*breaker]verdict, 1)
	}
	b.told[to] = v
	return to
}

// send puts requests on the lane: all or none of them.
func (l *lane) send(reqs ...*request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.store.isClosed() {
		return ErrClosed
	}
	if len(l.queue)+len(reqs) > l.limits.queue || l.stuck >= maxStuck {
		return unavailable(errBusy)
	}
	if len(reqs) == 1 && len(l.running) < l.width && len(l.queue) == 0 {
		b := &batch{one: [1]*request{reqs[0]}}
		b.requests = b.one[:]
		l.launch(b)
	} else {
		l.queue = append(l.queue, reqs...)
		l.start()
	}
	l.weigh()
	return nil
}

// start launches batches of what waits while there is room. The caller holds
// l.mu.
func (l *lane) start() {
	for len(l.running) < l.width {
		b := l.next()
		if b == nil {
			return
		}
		l.launch(b)
	}
}

// launch sends a batch in a goroutine of its own. The caller holds l.mu.
func (l *lane) launch(b *batch) {
	b.began = l.store.now()
	l.running = append(l.running, b)
	l.store.background.Add(1)
	go l.run(b)
}

// next takes the next batch off the queue, without those whose callers have
// left: they were never sent, and need not be. It returns nil if there is none.
// The caller holds l.mu.
func (l *lane) next() *batch {
	reqs := make([]*request, 0, min(len(l.queue), l.limits.commands))
	i, bytes := 0, 0
	for ; i < len(l.queue) && len(reqs) < l.limits.commands; i++ {
		if r := l.queue[i]; r.underWay() {
			if bytes += r.bytes; bytes > l.limits.bytes && len(reqs) > 0 {
				break // what is small does not wait for much that is large
			}
			reqs = append(reqs, r)
		}
		l.queue[i] = nil
	}
	if l.queue = l.queue[i:]; len(l.queue) == 0 {
		l.queue = nil
	}
	if len(reqs) == 0 {
		return nil
	}
	return &batch{requests: reqs}
}

// isIdle reports whether the lane carries nothing, not even what is stuck.
func (l *lane) isIdle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.running)+len(l.queue)+l.stuck == 0
}

// weigh publishes how busy the lane is. The caller holds l.mu.
func (l *lane) weigh() { l.busy.Store(int32(len(l.running) + len(l.queue))) }

// run sends a batch, hands out the answers, and goes on with what waits.
func (l *lane) run(b *batch) {
	defer l.store.background.Done()
	for b != nil {
		l.exchange(b)
		if len(b.requests) > 1 {
			runtime.Gosched()
		}
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
	if b = l.next(); b != nil {
		b.began = l.store.now()
		l.running = append(l.running, b)
	}
	l.weigh()
	return b
}

// exchange is one round trip.
func (l *lane) exchange(b *batch) {
	ctx := l.store.deadline(b.began)
	switch {
	case l.readers != nil:
		l.readers.exchange(ctx, b)
	case l.sorts:
		l.bulk.sort(ctx, l, b)
		return
	case l.bulk != nil:
		l.bulk.exchange(ctx, l, b)
		return
	case len(b.requests) == 1:
		_ = l.store.client.Process(ctx, b.requests[0].cmd)
	default:
		l.pipeline(ctx, b.requests)
	}
	if l.direct != nil {
		l.direct.took(l.store.now() - b.began)
	}
	for _, r := range b.requests {
		r.answer(l.breaker)
	}
}

// pipeline sends several commands at once. Their errors are with them.
func (l *lane) pipeline(ctx context.Context, requests []*request) {
	pipe := l.store.client.Pipeline()
	for _, r := range requests {
		_ = pipe.Process(ctx, r.cmd)
	}
	_, _ = pipe.Exec(ctx)
}

// expire settles the requests whose time is up by now, and takes batches that
// are stuck out of the way.
func (l *lane) expire(now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.running {
		if !b.returned {
			l.expireAll(b, b.requests, now)
		}
	}
	l.expireAll(&batch{}, l.queue, now)
	for len(l.running) > 0 && now-l.running[0].began >= l.store.opts.Timeout {
		b := l.running[0]
		b.stuck = true
		l.running = l.running[1:]
		l.stuck++
		l.blame(b)
	}
	l.start()
	l.weigh()
}

// expireAll settles requests of a batch. On the lane of a primary each is a call
// of its own, and a failure of its own.
func (l *lane) expireAll(b *batch, requests []*request, now time.Duration) {
	for _, r := range requests {
		if !r.expire(now) {
			continue
		}
		l.store.counts.timeouts.Add(1)
		to := l.of(r)
		if l.bulk != nil {
			to = b.untold(to, errTimeout)
		}
		to.report(errTimeout)
	}
}

// of is the breaker of the primary that a request is for.
func (l *lane) of(r *request) *breaker {
	if r.gate != nil {
		return r.gate
	}
	return l.breaker
}

// blame tells those concerned that a round trip had no answer in time, unless they
// know: a request of it has expired. All callers may have left before.
func (l *lane) blame(b *batch) {
	if l.bulk == nil {
		if !b.reported() {
			l.breaker.report(errTimeout)
		}
		return
	}
	if b.returned {
		return // it has its answers, they are being handed out
	}
	for _, r := range b.requests {
		b.untold(l.of(r), errTimeout).report(errTimeout)
	}
}

// reported reports whether a request of the batch expired.
func (b *batch) reported() bool {
	for _, r := range b.requests {
		if r.settled() == expired {
			return true
		}
	}
	return false
}

// returned makes the requests of a batch their callers' again: whoever has the
// answer to one uses it for something else. The watch, which looks at batches of
// many partitions for whom to tell that there is no answer, would read there
//
//	watch                                        batch                  caller
//	finds the batch stuck
//	                                             answers r
//	                                                                    has r.gate = nil for its next use
//	reads r.gate, to tell it of a failure
//
// So the batch is marked first, under the lock under which the watch looks.
func (l *lane) returned(b *batch) {
	l.mu.Lock()
	b.returned = true
	l.mu.Unlock()
}

// close settles everything that is under way, in favour of nobody.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.running {
		for _, r := range b.requests {
			r.close()
		}
	}
	for _, r := range l.queue {
		r.close()
	}
	l.queue = nil
	l.weigh()
}
