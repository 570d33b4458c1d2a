package tiered

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/l2"
)

// lifetime is what is left of a life; at most 0: none.
type lifetime = time.Duration

// loaded is what a load brought, ready to be stored.
type loaded struct {
	value    any
	err      error
	absent   bool   // err says that the origin has no such thing
	payload  []byte // the encoding; nil if not needed or not possible
	encoded  int    // its length; -1: not known
	life     lifetime
	tagged   tagged
	tags     []fence.Mark // of its tags
	unstored error        // why the value cannot be stored

	validator Validator
	was       *prior // what lives on, because it is what the origin still has; nil: the value is new
}

// failed reports whether the load has brought neither a value nor an absence.
func (l *loaded) failed() bool { return l.err != nil && !l.absent }

// copyOf is what L1 is to keep of what was loaded.
func (f *flight) copyOf(l *loaded, mark fence.Mark, since int64) copyOf {
	return copyOf{
		value: l.value, negative: l.absent, encoded: l.encoded, validator: l.validator,
		mark: mark, tags: l.tags, since: since, life: l.life, past: f.stale.period,
	}
}

// withoutL2 loads for a region that lives in L1 only. What is loaded includes
// every invalidation heard before, see [fence.Stamp.Mark].
func (f *flight) withoutL2() step {
	if !f.kind.loads() {
		return step{out: f.failed(ErrNotFound)}
	}
	return step{do: loadBeside, mark: f.stamp.Mark()}
}

// detach answers without Redis, because of cause or because it is known to be
// out of use. What is loaded lives in L1 for the bound at most, whatever comes
// back meanwhile, and never gets into L2.
func (f *flight) detach(cause error) step {
	if f.node.closed.Load() {
		return step{out: f.failed(ErrClosed)}
	}
	if !f.kind.loads() {
		return step{out: f.failed(unavailable(cause))}
	}
	if f.originLag > 0 && f.node.backplane.Pending(f.key.Hash) {
		return step{do: loadBeside} // and keep nothing: the tombstone is still to come
	}
	// The load begins now, not when Redis was first asked.
	f.stamp = f.node.fences.Stamp(f.key.Hash)
	return step{do: loadBeside, mark: f.stamp.Mark().Detach()}
}

// loadUncached loads and keeps nothing.
func (f *flight) loadUncached(ctx context.Context) *outcome {
	return f.loadBeside(ctx, fence.Mark{})
}

// loadBeside loads without a lease and keeps the value in L1 under the mark.
func (f *flight) loadBeside(ctx context.Context, mark fence.Mark) *outcome {
	if f.prior = f.priorIn(ctx); f.prior == nil {
		f.prior = f.priorHere()
	}
	since := f.node.fences.Now()
	l, first := f.landingLoad(ctx)
	out := f.keepBeside(l, mark, since, first)
	if out.expires != 0 {
		// Nothing but L1 can answer the callers that come next, and Ristretto
		// applies what it is given a moment later: they would load again.
		f.node.l1.Wait()
	}
	return out
}

// encodes reports whether what is loaded in that way needs to be encoded.
func (f *flight) encodes(do action) bool {
	return do == loadHolding || !f.values.sized && f.usesL1()
}

// keepBeside keeps what was loaded without a lease, by a load that began at the
// time since, and was the first to end of those beside it, or not: see
// [landings].
func (f *flight) keepBeside(l loaded, mark fence.Mark, since int64, first bool) *outcome {
	out := f.brought(l)
	if !first {
		if !l.failed() {
			f.node.fences.Void(f.key.Hash)
		}
		return out
	}
	if l.life <= 0 || l.unstored != nil || l.encoded < 0 && !f.values.sized && !l.absent {
		return out
	}
	mark = l.aged(mark)
	if mark.Detached() {
		f.counters.unstored.Add(1)
		l.life = f.bounded(l.life, mark, since)
	}
	out.expires = f.keep(f.key, f.copyOf(&l, mark, since))
	if out.expires != 0 {
		out.mark = mark
	}
	return out
}

// landingLoad is callLoad for a load without a lease; see [landings].
func (f *flight) landingLoad(ctx context.Context) (l loaded, first bool) {
	land := f.landings.takeOff(f.key.Hash)
	defer func() { first = land(!l.failed()) }() // also if a function of the caller's panics: as if it had brought something
	l = f.callLoad(ctx, loadBeside)
	return l, false
}

// loadHolding loads under a lease and stores the value in both tiers. Whatever
// happens, the lease does not outlive the load.
func (f *flight) loadHolding(ctx context.Context, lease l2.Lease) *outcome {
	filled := false
	defer func() {
		if !filled {
			f.node.l2.Release(lease)
		}
	}()
	for f.prior = f.priorIn(ctx); ; f.prior = nil {
		o, ok := f.offer(f.callLoad(ctx, loadHolding), lease)
		if !ok {
			return o.out
		}
		res, err := f.storeL2(ctx, &o)
		if res.Gone {
			continue // what the origin was asked about: ask for what there is
		}
		filled = f.took(&o, res, err)
		return o.out
	}
}

func (f *flight) brought(l loaded) *outcome {
	if l.unstored != nil {
		f.counters.encodeErrors.Add(1)
		f.warnOnce("a loaded value cannot be encoded, or has invalid tags, and is not cached", "key", f.key.Name, "error", l.unstored)
	}
	return &outcome{value: l.value, err: l.err, source: SourceLoad, stamp: f.stamp, tags: l.tags, validator: l.validator, was: l.was}
}

// callLoad runs the load function, and everything else of the caller's that
// goes with a load, in a goroutine of its own: a panic or runtime.Goexit must
// reach the waiters as an error, and a function that ignores its context must
// not hold them longer than LoadTimeout. (That goroutine then ends when the
// function does; what it brings is thrown away.)
func (f *flight) callLoad(ctx context.Context, do action) (l loaded) {
	if err := f.standing(); err != nil {
		return loaded{err: err, encoded: -1}
	}
	f.counters.loads.Add(1)
	op := Operation{Kind: OpLoad, Key: f.key.Name, Keys: 1}
	if do == loadHolding {
		op.Leased = 1
	}
	ctx, watched := f.begins(ctx, op)
	defer func() {
		if l.failed() {
			f.counters.loadErrors.Add(1)
		}
		f.loadEnded(&l)
		watched.end(l.err)
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, f.loadTimeout, ErrLoadTimeout)
	defer cancel()
	defer context.AfterFunc(f.node.ctx, cancel)()
	ch := make(chan loaded, 1)
	go func() {
		var l loaded
		returned := false
		defer func() {
			if !returned {
				l = loaded{err: f.panicked(recover())}
			}
			ch <- l
		}()
		l = f.prepare(ctx, f.encodes(do))
		returned = true
	}()
	select {
	case l = <-ch:
	case <-ctx.Done():
		select {
		case l = <-ch: // it was just in time
		default:
			l = loaded{err: ctx.Err()}
		}
	}
	if l.failed() && ctx.Err() != nil {
		// Also if the load was the first to say so: it is chance who is.
		l.err = f.ended(ctx, l.err)
	}
	f.concluded(&l)
	return l
}

// prepare loads, and works out what storing the value takes.
func (f *flight) prepare(ctx context.Context, encode bool) loaded {
	tagged := f.snapshot(f.call)
	was := f.prior
	v, validator, err := f.load(ctx, was)
	if err == errStillSo { //nolint:errorlint // it is ours, and never wrapped
		return f.unchanged(was, tagged)
	}
	l := f.prepared(v, err, encode, tagged)
	if err == nil {
		l.validator = f.checked(validator)
	}
	return l
}

// prepared is prepare for what a load has returned, that began with a snapshot
// for its tags.
func (f *flight) prepared(v any, err error, encode bool, tagged tagged) loaded {
	if err != nil {
		if elsewhere, ok := errors.AsType[*raised](err); ok {
			return loaded{err: elsewhere.of(f), encoded: -1}
		}
		if errors.Is(err, ErrUnchanged) {
			err = &ofNothing{err}
		}
		if !f.values.notFound(err) {
			return loaded{err: err, encoded: -1}
		}
		l := loaded{err: fmt.Errorf("%w: %w", ErrAbsent, err), absent: true, tagged: tagged}
		if f.negativeTTL > 0 {
			l.life = f.jittered(f.negativeTTL)
		}
		l.label(f.region, f.key.Name, f.call)
		return l
	}
	l := loaded{value: f.values.clone(v), encoded: -1, life: f.life(f.key.Name, v, f.call), tagged: tagged}
	l.label(f.region, f.key.Name, f.call)
	if encode && l.life > 0 && l.unstored == nil {
		if l.payload, l.unstored = f.values.encode(v); l.unstored == nil {
			l.encoded = f.values.encoded(l.payload)
		}
	}
	return l
}

func (f *flight) panicked(p any) error {
	e := &LoadPanicError{Region: f.name, Key: f.key.Name, Value: p, Goexit: p == nil}
	if p != nil {
		e.Stack = debug.Stack()
	}
	return e
}

// ended is the error of a load whose context ended before it had an answer;
// err is what it said itself, or the context's error.
func (f *flight) ended(ctx context.Context, err error) error {
	if f.node.closed.Load() {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	if !errors.Is(context.Cause(ctx), ErrLoadTimeout) {
		return err
	}
	if !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return fmt.Errorf("%w after %v: %s:%s: %w", ErrLoadTimeout, f.loadTimeout, f.name, f.key.Name, err)
}
