package tiered

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

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
	s := &sight{}
	if s.reply, s.err = f.getL2(ctx); s.err == nil && f.kind != flightForce {
		s.out, s.verdict = f.judge(s.reply)
	}
	f.seen = s
}

// throughL2 answers the flight from Redis, or loads under a lease.
func (f *flight) throughL2(ctx context.Context) *outcome {
	if f.seen == nil {
		f.look(ctx)
	}
	reply := f.seen.reply
	switch {
	case f.seen.err != nil:
		return f.detached(ctx, f.seen.err)
	case f.kind == flightForce:
		return f.lease(ctx, reply.Value.Token)
	case f.seen.out != nil:
		return f.seen.out
	}
	f.counters.l2Misses.Add(1)
	switch {
	case f.load == nil:
		return f.failed(ErrNotFound)
	case f.seen.verdict == foreign:
		return f.loadAside(ctx, reply)
	case f.seen.verdict == worthless:
		return f.lease(ctx, reply.Value.Token)
	default:
		return f.lease(ctx, l2.Token{})
	}
}

// verdict is what a reply of Redis is good for.
type verdict int

const (
	missing   verdict = iota // there is no value
	usable                   // the value is the answer
	foreign                  // another version of the service's value: left alone
	worthless                // a value that will not do and is to be replaced
)

// judge decides whether what Redis has may be used, and if so keeps it in L1.
func (f *flight) judge(reply l2.Reply) (*outcome, verdict) {
	if reply.Status != l2.Hit {
		return nil, missing
	}
	v := &reply.Value
	left, known := f.remaining(v)
	if known && left <= 0 {
		return nil, worthless
	}
	if v.Kind == l2.Live && (v.Schema != f.schema || v.Codec != f.codec) {
		f.counters.foreign.Add(1)
		f.warnOnce("a value in Redis has another schema and is left there", "key", f.key.Name,
			"schema", v.Schema, "codec", v.Codec, "want_schema", f.schema, "want_codec", f.codec)
		return nil, foreign
	}
	out := &outcome{source: SourceL2, stamp: f.stamp, mark: f.stamp.At(reply.Seq)}
	p := copyOf{encoded: len(v.Payload), mark: out.mark, since: f.node.fences.Now(), life: left, token: v.Token}
	if v.Kind == l2.Negative {
		out.err, p.negative = ErrAbsent, true
		f.counters.negativeHits.Add(1)
	} else {
		val, err := f.values.decode(v.Payload)
		if err != nil {
			f.counters.undecodable.Add(1)
			f.warnOnce("a value in Redis cannot be decoded and is loaded anew", "key", f.key.Name, "error", err)
			return nil, worthless
		}
		out.value, p.value = val, val
	}
	if known {
		out.expires = f.keep(f.key, p)
	}
	f.counters.l2Hits.Add(1)
	return out, usable
}

// loadAside loads what Redis has in another version's encoding. The load
// begins after the sequence was read, so the copy is as of that sequence; it
// only has no place in Redis while the other lives.
func (f *flight) loadAside(ctx context.Context, reply l2.Reply) *outcome {
	return f.loadBeside(ctx, f.stamp.At(reply.Seq))
}

// remaining is what is left of a value's life, by the server's clock, and whether
// that is known: an instance that has not probed yet does not know the clock.
func (f *flight) remaining(v *l2.Value) (left lifetime, known bool) {
	now, known := f.node.backplane.ServerNow()
	if !known {
		return 0, false
	}
	end := v.SoftEnd
	// A value from before a failover may be one whose invalidation the new
	// primary never got. It dies within the grace, at a time that depends on
	// the key alone, so that all instances agree and not all keys die at once.
	if seq, at, ok := f.node.backplane.Epoch(f.node.fences.Partition(f.key.Hash)); ok && v.Seq < seq {
		share := 0.5 + float64(f.key.Hash>>11)/(1<<54)
		end = min(end, at+int64(share*float64(failoverGrace.Microseconds())))
	}
	return time.Duration(end-now) * time.Microsecond, true
}

// lease takes the lease of the key and loads, or waits for whoever holds it.
// refuse is the token of a value that will not do.
func (f *flight) lease(ctx context.Context, refuse l2.Token) *outcome {
	token := l2.NewToken()
	deadline := f.node.fences.Now() + int64(f.loadTimeout)
	for wait, waited := minLeaseWait, false; f.node.usable(f.key); {
		reply, err := f.getOrLease(ctx, token, refuse)
		if err != nil {
			return f.detached(ctx, err)
		}
		switch reply.Status {
		case l2.Granted:
			return f.loadHolding(ctx, reply.Lease)
		case l2.Blocked:
			return f.loadUncached(ctx)
		case l2.Hit:
			out, next := f.answer(ctx, reply, refuse)
			if out != nil {
				return out
			}
			refuse = next
			continue
		default: // busy: somebody loads it
		}
		if !waited {
			waited = true
			f.counters.leaseWaits.Add(1)
		}
		if f.node.fences.Now() > deadline {
			return f.loadUncached(ctx)
		}
		if !f.pause(wait) {
			return f.failed(ErrClosed)
		}
		wait = min(2*wait, maxLeaseWait)
	}
	return f.detached(ctx, nil)
}

// answer takes the value that get-or-lease found in place of a lease. Without
// an outcome the caller asks again and refuses that value too.
func (f *flight) answer(ctx context.Context, reply l2.Reply, refused l2.Token) (*outcome, l2.Token) {
	if f.kind == flightForce {
		return nil, reply.Value.Token // its load may have begun before the call
	}
	out, v := f.judge(reply)
	switch {
	case v == usable:
		return out, refused
	case v == foreign:
		return f.loadAside(ctx, reply), refused
	case reply.Value.Token == refused:
		return f.loadUncached(ctx), refused // Redis insists on what will not do
	default:
		return nil, reply.Value.Token
	}
}

// pause waits for about d; false: the node was closed.
func (f *flight) pause(d time.Duration) bool {
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-f.node.done:
		return false
	}
}

func (f *flight) getL2(ctx context.Context) (l2.Reply, error) {
	ctx, done := f.watch(ctx, OpL2Get, f.key.Name)
	reply, err := f.node.l2.Get(ctx, f.key)
	done(err)
	return reply, err
}

func (f *flight) getOrLease(ctx context.Context, token, refuse l2.Token) (l2.Reply, error) {
	ctx, done := f.watch(ctx, OpL2Lease, f.key.Name)
	reply, err := f.node.l2.GetOrLease(ctx, f.key, token, refuse)
	done(err)
	return reply, err
}

// unavailable wraps why Redis was not used, so that it is an [ErrUnavailable],
// or an [ErrClosed] if that is why.
func unavailable(cause error) error {
	switch {
	case cause == nil:
		return ErrUnavailable
	case errors.Is(cause, l2.ErrClosed):
		return fmt.Errorf("%w: %w", ErrClosed, cause)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, cause)
}
