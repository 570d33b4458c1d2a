package invalidation

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// Waits between attempts to send the same again.
const (
	firstResend = 50 * time.Millisecond
	lastResend  = time.Second
	// maxSending bounds the partitions that are sent at the same time.
	maxSending = 4
)

// loop sends what waits until ctx ends.
func (q *queue) loop(ctx context.Context) {
	slots := make(chan struct{}, maxSending)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		batches, wait := q.due(q.b.fences.Now())
		for _, t := range batches {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			q.b.loops.Go(func() {
				q.retry(ctx, t)
				<-slots
				kick(q.wake)
			})
		}
		if len(batches) > 0 {
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-q.wake:
		case <-timer.C:
		}
	}
}

// retry sends one batch.
//
// The fences are raised before the batch leaves the queue, so that there is no
// moment at which a key is neither pending nor fenced by the sequence that its
// invalidation got: a copy that stems from before that sequence is refused by
// the one until it is refused by the other.
func (q *queue) retry(ctx context.Context, t batch) {
	b := q.b
	since := b.fences.Position(t.partition)
	seq, err := q.send(ctx, t)
	if err != nil {
		b.counters.retriesFailed.Add(1)
		q.failed(t, err, b.fences.Now())
		return
	}
	hashes := make([]uint64, len(t.keys)) // none: the whole partition
	for i, k := range t.keys {
		hashes[i] = k.Hash
	}
	if b.fences.Invalidated(t.partition, hashes, seq, since) {
		b.ProbeNow()
	}
	if len(t.regions) > 0 {
		b.AcknowledgedPartition(t.partition, t.regions)
	} else {
		b.Acknowledged(t.partition, t.keys)
	}
	b.counters.retries.Add(1)
	q.done(t)
}

// send makes the call where nobody has to wait for it. A call that returns
// late has an unknown outcome: it is made again, and may then have been carried
// out twice, which invalidates once more than necessary.
func (q *queue) send(ctx context.Context, t batch) (seq uint64, err error) {
	type result struct {
		seq uint64
		err error
	}
	timeout := q.b.opts.Timeout
	results := make(chan result, 1)
	if !q.b.calls.start("retry "+strconv.Itoa(t.partition), func() {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		var r result
		if len(t.regions) > 0 {
			r.seq, r.err = q.b.opts.Retrier.InvalidatePartition(ctx, t.partition, t.regions)
		} else {
			r.seq, r.err = q.b.opts.Retrier.Invalidate(ctx, t.partition, t.keys)
		}
		results <- r
	}) {
		return 0, errBusy
	}
	// The Invalidator keeps to the same time; a little more lets it say why.
	timer := time.NewTimer(timeout + timeout/4)
	defer timer.Stop()
	select {
	case r := <-results:
		if r.err == nil && r.seq == 0 {
			return 0, errors.New("invalidation: the invalidator confirmed without a sequence")
		}
		return r.seq, r.err
	case <-timer.C:
		return 0, errLate
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// kick wakes whoever waits on the channel, now or next.
func kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
