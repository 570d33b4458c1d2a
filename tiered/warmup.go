package tiered

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/invalidation"
)

// warmup is one call of Warm. All of it belongs to the calling goroutine; those of
// the batches only send what has become of theirs.
type warmup struct {
	*region
	ctx    context.Context //nolint:containedctx // of the call that this is
	call   call
	with   Warming
	ended  chan warmedBatch
	under  int // batches under way
	warmed Warmed
	failed map[string]error // the first of them
	cause  error            // why there was no end to it; nil: there is
}

// warmedBatch is what has become of a batch.
type warmedBatch struct {
	Warmed
	failed map[string]error // the first of them
	left   error            // why some keys have no answer
}

func newWarmup(ctx context.Context, r *region, w Warming, opts []Option, loads, iterates bool) (*warmup, error) {
	errs := []error{w.validate()}
	if !iterates {
		errs = append(errs, errors.New("the iterator is nil"))
	}
	if !loads {
		errs = append(errs, errors.New("the load function is nil"))
	}
	c, err := resolveMany(opGetOrLoad, r, opts)
	if err = errors.Join(append(errs, err)...); err != nil {
		return nil, fmt.Errorf("%w: warm-up of region %s: %w", ErrInvalidOption, r.name, err)
	}
	w.Batch, w.Concurrency = orDefault(w.Batch, DefaultWarmBatch), orDefault(w.Concurrency, DefaultWarmConcurrency)
	return &warmup{
		region: r, ctx: ctx, call: c, with: w,
		ended: make(chan warmedBatch), failed: make(map[string]error),
	}, nil
}

// run warms keys. load makes the load function of the keys that were yielded since
// it was called last.
func (u *warmup) run(keys iter.Seq[keyspace.Key], load func() manyLoad) (Warmed, error) {
	ctx, cancel := context.WithCancel(u.ctx)
	defer func() { // if the iterator, or Progress, panics
		cancel()
		for ; u.under > 0; u.under-- {
			<-u.ended
		}
	}()
	if err := u.node.Ready(ctx); err != nil {
		return u.warmed, u.result(err)
	}
	u.ctx = ctx
	var batch []keyspace.Key
	seen := make(map[string]struct{})
	send := func() {
		u.begin(batch, load())
		batch = nil
		clear(seen)
	}
	// A batch may begin before its first key is asked for: so no more keys are
	// taken than may be under way.
	if u.mayBegin() {
		for k := range keys {
			if !u.goesOn() {
				break
			}
			if _, twice := seen[k.Name]; twice {
				continue
			}
			seen[k.Name] = struct{}{}
			if batch = append(batch, k); len(batch) < u.with.Batch {
				continue
			}
			if send(); !u.mayBegin() {
				break
			}
		}
	}
	if len(batch) > 0 && u.goesOn() {
		send()
	}
	for u.under > 0 {
		u.take(<-u.ended)
	}
	if u.usesL1() {
		u.node.l1.Wait()
	}
	return u.warmed, u.result(u.cause)
}

// goesOn takes in what has ended, without waiting, and reports whether there is
// more to be done.
func (u *warmup) goesOn() bool {
	select {
	case b := <-u.ended:
		u.take(b)
	default:
	}
	switch {
	case u.cause != nil:
	case u.node.refusing():
		u.cause = ErrClosed
	default:
		u.cause = u.ctx.Err()
	}
	return u.cause == nil
}

// mayBegin waits until there is room for another batch, and Redis to take it, and
// reports whether there will be one.
func (u *warmup) mayBegin() bool {
	for u.under >= u.with.Concurrency {
		u.take(<-u.ended)
	}
	for u.goesOn() && !u.node.serving() {
		retry := time.NewTimer(warmPause)
		select {
		case b := <-u.ended:
			u.take(b)
		case <-u.ctx.Done():
		case <-u.node.done:
		case <-retry.C:
		}
		retry.Stop()
	}
	return u.cause == nil
}

// serving reports whether Redis is in use, if it is to be. Without a subscription it is,
// if probes get through: what is loaded is stored, and invalidations come with the probe.
func (n *Node) serving() bool {
	if n.l2 == nil {
		return true
	}
	state := n.backplane.Stats().State
	return n.l2.Up() && (!state.Degraded || state.Cause == invalidation.CauseSubscription && state.Probed)
}

// begin starts a batch. It ends when its answers are there, or when ctx or the
// node does.
func (u *warmup) begin(keys []keyspace.Key, load manyLoad) {
	u.under++
	ctx := u.ctx // u is the calling goroutine's
	go func() {
		b := warmedBatch{Warmed: Warmed{Keys: len(keys), Failed: len(keys)}}
		returned := false
		defer func() {
			if !returned { // an Observer's doing, which must not end the process
				b.fail(keys[0].Name, raisedBy(recover()).named(u.name, keys[0].Name))
			}
			u.ended <- b
		}()
		b = u.warmMany(ctx, keys, u.call, load)
		returned = true
	}()
}

// take adds what has become of a batch.
func (u *warmup) take(b warmedBatch) {
	u.under--
	u.warmed.add(b.Warmed)
	for key, err := range b.failed {
		if len(u.failed) < shownFailures {
			u.failed[key] = err
		}
	}
	if u.cause == nil {
		u.cause = b.left
	}
	if u.with.Progress != nil {
		u.with.Progress(u.warmed)
	}
}

// result is the error of the call.
func (u *warmup) result(cause error) error {
	var errs []error
	if cause != nil {
		errs = append(errs, fmt.Errorf("doppio: warm-up of region %s ended after %d keys: %w", u.name, u.warmed.Keys, cause))
	}
	if u.warmed.Failed > 0 {
		errs = append(errs, fmt.Errorf("doppio: warm-up of region %s: %d of %d keys failed, for instance: %w",
			u.name, u.warmed.Failed, u.warmed.Keys, batchFailed(u.name, u.failed)))
	}
	return errors.Join(errs...)
}

// warmMany does what GetOrLoadMany does for keys, which are different, and says
// what has become of them. It makes no copies of values.
func (r *region) warmMany(ctx context.Context, keys []keyspace.Key, c call, load manyLoad) (b warmedBatch) {
	missed := make([]keyspace.Key, 0, len(keys))
	for _, k := range keys {
		if err := checkKey(k.Name); err != nil {
			b.count(k.Name, &answered{left: err})
			continue
		}
		if r.peeks(c) {
			if e, _, now := r.node.l1.Get(r.l1, k.Hash, k.Name); e != nil {
				if e.IsDue(now) {
					r.attend(ctx, k.Name, k.Hash, c, oneOf(k.Name, func() manyLoad { return load }))
				}
				if e.Negative {
					r.l1.NegativeHit()
				}
				b.count(k.Name, &answered{outcome: *fromL1(e)})
				continue
			}
		}
		missed = append(missed, k)
	}
	if len(missed) == 0 {
		return b
	}
	answers, _ := r.fetchMany(ctx, missed, c, load)
	for i := range answers {
		a := &answers[i]
		if a.left != nil && (ctx.Err() != nil || r.node.refusing()) || errors.Is(a.err, ErrClosed) && r.node.refusing() {
			b.left = ctx.Err()
			if r.node.refusing() {
				b.left = ErrClosed
			}
			continue
		}
		b.count(missed[i].Name, a)
	}
	return b
}

// count takes in what has become of a key.
func (b *warmedBatch) count(key string, a *answered) {
	b.Keys++
	err := a.left
	if err == nil {
		err = a.err
	}
	switch {
	case isAbsent(err, true):
		b.Absent++
	case err != nil:
		b.Failed++
		b.fail(key, err)
	case a.stale:
		b.Stale++
	case a.source == SourceLoad:
		b.Loaded++
	default:
		b.Hits++
	}
}

// fail keeps the first few errors.
func (b *warmedBatch) fail(key string, err error) {
	if b.failed == nil {
		b.failed = make(map[string]error)
	}
	if len(b.failed) < shownFailures {
		b.failed[key] = err
	}
}
