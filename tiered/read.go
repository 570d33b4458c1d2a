package tiered

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/invalidation"
	"github.com/doppio-cache/doppio/l2"
)

// failoverGrace is R: how long, at most, values from before a failover of
// Redis live on. Acknowledged invalidations that the new primary never got are
// sent again within it.
const failoverGrace = 10 * time.Second

// How long a flight waits before it looks again whether another instance has
// finished the load it holds the lease for.
const (
	minLeaseWait = 2 * time.Millisecond
	maxLeaseWait = 50 * time.Millisecond
)

// look asks Redis for the value.
func (f *flight) look(ctx context.Context) {
	f.looked = true
	watching, watched := f.watch(ctx, OpL2Get, f.key.Name)
	f.reply, f.err = f.node.l2.Get(watching, f.key)
	f.found(ctx, watched.end(f.err))
}

// found judges what a look has brought.
func (f *flight) found(ctx context.Context, now int64) {
	if f.err == nil && !f.kind.forces() {
		f.verdict = f.judge(ctx, &f.reply, now)
	}
}

// throughL2 answers the flight from Redis, or loads under a lease.
func (f *flight) throughL2(ctx context.Context) *outcome {
	if !f.looked {
		f.look(ctx)
	}
	return f.follow(ctx, f.afterLook())
}

// afterLook is how a flight goes on with what was found in Redis.
func (f *flight) afterLook() step {
	switch {
	case f.err != nil:
		return f.detach(f.err)
	case f.kind.forces():
		f.consider(&f.reply)
		return step{do: ask, refuse: f.reply.Value.Token}
	case f.verdict == usable:
		return step{out: &f.hit}
	}
	f.counters.l2Misses.Add(1)
	switch {
	case !f.kind.loads():
		return step{out: f.failed(ErrNotFound)}
	case f.verdict == foreign:
		return f.aside(&f.reply)
	}
	if err := f.standing(); err != nil { // not to be loaded: let others have the lease
		return step{out: &outcome{err: err, source: SourceLoad, stamp: f.stamp}}
	}
	if f.verdict == worthless {
		return step{do: ask, refuse: f.reply.Value.Token}
	}
	return step{do: ask}
}

// verdict is what a reply of Redis is good for.
type verdict int

const (
	missing   verdict = iota // there is no value
	usable                   // the value is the answer
	foreign                  // another version of the service's value: left alone
	worthless                // a value that will not do and is to be replaced
)

// judge decides whether what Redis has may be used. If so it is in f.hit, and
// is kept in L1. now is the time on the fences' clock. If f.err is set, Redis
// must not be used at all.
func (f *flight) judge(ctx context.Context, reply *l2.Reply, now int64) verdict {
	if reply.Status != l2.Hit {
		return missing
	}
	v := &reply.Value
	left, past, known := f.remaining(v, now)
	if known && left <= 0 {
		f.consider(reply)
		f.hold(ctx, reply, now, -left, left+past)
		return worthless
	}
	if v.Kind == l2.Live && (v.Schema != f.schema || v.Codec != f.codec) {
		f.counters.foreign.Add(1)
		f.warnOnce("a value in Redis has another schema and is left there", "key", f.key.Name,
			"schema", v.Schema, "codec", v.Codec, "want_schema", f.schema, "want_codec", f.codec)
		return foreign
	}
	out := &f.hit
	*out = outcome{source: SourceL2, stamp: f.stamp, mark: f.readMark(reply.Seq), validator: Validator(v.Validator)}
	if f.err = f.doubt(ctx, &out.mark); f.err != nil {
		return missing
	}
	if len(v.Tags) > 0 {
		var ok bool
		if out.tags, ok = f.judgeTags(ctx, v.Tags); !ok {
			return worthless
		}
		// Once more: a mark may be of a primary that was not known the first time.
		if left, past, known = f.remaining(v, now); known && left <= 0 {
			return worthless
		}
	}
	if v.Kind == l2.Negative {
		out.err = ErrAbsent
		f.counters.negativeHits.Add(1)
	} else {
		var err error
		if out.value, err = f.values.decode(v.Payload); err != nil {
			f.counters.undecodable.Add(1)
			f.warnOnce("a value in Redis cannot be decoded and is loaded anew", "key", f.key.Name, "error", err)
			return worthless
		}
	}
	if !known {
		left = 0 // not known for how long, so not to be kept
	}
	whole := time.Duration(v.SoftEnd-v.Created) * time.Microsecond
	age := f.age(v, now)
	validator := f.copiedValidator(v)
	if left > 0 {
		out.told = times{made: now - int64(age), dated: true, end: now + int64(left), staleEnd: now + int64(left+past)}
	}
	if left > 0 && v.Kind == l2.Live {
		out.ahead = dueAhead{f.refreshing.from(now+int64(left), whole), now + int64(left), v.Token, f.values.encoded(v.Payload), validator}
	}
	if f.usesL1() {
		out.expires = f.keep(f.key, copyOf{
			value: out.value, negative: v.Kind == l2.Negative, encoded: f.values.encoded(v.Payload),
			mark: out.mark, tags: out.tags, since: now, life: left, whole: whole, past: past, age: age, token: v.Token, validator: validator,
		})
	}
	if v.Kind == l2.Live {
		f.touch(f.key, v.Token, Validator(v.Validator), now)
	}
	f.counters.l2Hits.Add(1)
	return usable
}

// aside loads what Redis has in another version's encoding. The load begins
// after the sequence was read, so the copy is as of that sequence; it only has no
// place in Redis while the other lives.
func (f *flight) aside(reply *l2.Reply) step {
	return step{do: loadBeside, mark: f.stamp.At(reply.Seq)}
}

// remaining is what is left of a value's life, by the server's clock, how long
// past that it may be served stale, and whether that is known: an instance that
// has not probed yet does not know the clock.
func (f *flight) remaining(v *l2.Value, now int64) (left, past lifetime, known bool) {
	server, known := f.node.backplane.ServerAt(now)
	if !known {
		return 0, 0, false
	}
	end, limit := v.SoftEnd, v.SoftEnd+f.stale.period.Microseconds()
	limit = min(limit, f.vouchedUntil(v))
	// What ends so may have been invalidated: it is not merely old.
	end = min(end, limit)
	return time.Duration(end-server) * time.Microsecond, time.Duration(limit-end) * time.Microsecond, true
}

// vouchedUntil is until when, by the server's clock, a value may count as one that
// was not invalidated; [math.MaxInt64] if it is from after all failovers.
//
// A value from before a failover may be one whose invalidation the new primary
// never got. It dies within the grace, at a time that depends on the key alone,
// so that all instances agree and not all keys die at once.
//
// What is judged by marks of the value's tags is judged by this after they were
// made. A new primary's epoch is known before its generation begins: whoever has a
// mark of that generation finds the epoch. The other way round: look for it, a probe
// finds the new primary, take a mark that has its lease: the copy lives on for as
// long as if nothing could have been lost.
func (f *flight) vouchedUntil(v *l2.Value) (limit int64) {
	limit = math.MaxInt64
	if seq, at, ok := f.node.backplane.Epoch(f.node.fences.Partition(f.key.Hash)); ok && v.Seq < seq {
		limit = at + f.grace()
	}
	for _, tag := range v.Tags { // the same for invalidations of its tags
		p := f.node.fences.Partition(keyspace.HashTag(tag.Name))
		if seq, at, ok := f.node.backplane.Epoch(p); !ok || tag.Stamp < seq {
			limit = min(limit, at+f.grace())
		}
	}
	return limit
}

// age is for how long a value has been in Redis; 0 if that is not known.
func (f *flight) age(v *l2.Value, now int64) lifetime {
	server, known := f.node.backplane.ServerAt(now)
	if !known {
		return 0
	}
	return time.Duration(max(0, server-v.Created)) * time.Microsecond
}

// grace is how long, in µs, the key's value may live on after a failover.
func (f *flight) grace() int64 {
	share := 0.5 + float64(f.key.Hash>>11)/(1<<54)
	return int64(share * float64(failoverGrace.Microseconds()))
}

// lease takes the lease of the key and loads, or waits for whoever holds it.
// refuse is the token of a value that will not do.
func (f *flight) lease(ctx context.Context, refuse l2.Token) *outcome {
	token := l2.NewToken()
	deadline := f.node.fences.Now() + int64(f.loadTimeout)
	asked := 0
	for pause, waited := minLeaseWait, false; f.node.usable(f.key); {
		watching, watched := f.watch(ctx, OpL2Lease, f.key.Name)
		reply, err := f.node.l2.GetOrLease(watching, f.key, token, refuse)
		now := watched.endOr(func() { f.giveUpGranted(&reply) }, err)
		next := f.afterLease(ctx, &reply, err, now, refuse)
		if next.do != ask && next.do != wait {
			return f.follow(ctx, next)
		}
		if next.do == ask {
			refuse = next.refuse
			if asked++; asked == 1 {
				continue
			}
			// Somebody goes on replacing the value while it is asked for.
		} else if !waited {
			waited = true
			f.counters.leaseWaits.Add(1)
		}
		if now > deadline {
			return f.loadUncached(ctx)
		}
		if !f.node.pause(pause) {
			return f.failed(ErrClosed)
		}
		pause = min(2*pause, maxLeaseWait)
	}
	return f.follow(ctx, f.detach(nil))
}

// afterLease is how a flight goes on with what get-or-lease brought.
func (f *flight) afterLease(ctx context.Context, reply *l2.Reply, err error, now int64, refused l2.Token) step {
	if err != nil {
		return f.detach(err)
	}
	switch reply.Status {
	case l2.Granted:
		return step{do: loadHolding, lease: reply.Lease}
	case l2.Blocked:
		f.blocked = true
		f.counters.blocked.Add(1)
		return step{do: loadBeside} // and keep nothing
	case l2.Hit:
		return f.answer(ctx, reply, now, refused)
	default:
		return step{do: wait} // busy: somebody loads it
	}
}

// answer takes the value that get-or-lease found in place of a lease. If that
// will not do, it is to be asked for again and refused too.
func (f *flight) answer(ctx context.Context, reply *l2.Reply, now int64, refused l2.Token) step {
	if f.kind.forces() {
		f.consider(reply)
		return step{do: ask, refuse: reply.Value.Token} // its load may have begun before the call
	}
	switch f.judge(ctx, reply, now) {
	case usable:
		return step{out: &f.hit}
	case foreign:
		return f.aside(reply)
	case missing, worthless:
	}
	if f.err != nil {
		return f.detach(f.err)
	}
	if reply.Value.Token == refused {
		return step{do: loadBeside} // Redis insists on what will not do
	}
	return step{do: ask, refuse: reply.Value.Token}
}

// pause waits for about d; false: the node was closed.
func (n *Node) pause(d time.Duration) bool {
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-n.done:
		return false
	}
}

// unavailable wraps why Redis was not used, so that it is an [ErrUnavailable],
// or an [ErrClosed] if that is why.
func unavailable(cause error) error {
	if cause == nil {
		return ErrUnavailable
	}
	if cause = named(cause); errors.Is(cause, ErrClosed) {
		return cause
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, cause)
}

// named makes an error that a caller can test for of one of the tiers', if there is
// one for it.
func named(err error) error {
	switch {
	case errors.Is(err, l2.ErrClosed) || errors.Is(err, invalidation.ErrClosed):
		return fmt.Errorf("%w: %w", ErrClosed, err)
	case errors.Is(err, invalidation.ErrLayout):
		return fmt.Errorf("%w: %w", ErrLayout, err)
	}
	return err
}
