package tiered

import (
	"context"
	"errors"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l1"
	"github.com/doppio-cache/doppio/l2"
)

// Expire ends the lives of keys on all instances, at once and not at random: the
// next GetOrLoad loads. (On another instance, where a load has just failed or is
// slow, it is the next one after [StaleThrottle].) Unlike Delete it keeps the values
// for Config.StaleFor, to be served if that load fails or is slow; and those with a
// [Validator] for Config.RevalidateFor, so that a [Region.LoadIf] can ask whether they
// are unchanged. So it is for values that have become old, not for values that have
// become wrong: of an older version an origin with a weak validator may say
// "unchanged", and then it lives on.
//
// Like a Delete it is counted and announced, and has its errors and its bound:
// once it returned nil no read that begins on this instance takes an older value
// for one that is not stale, and none on another that begins more than
// Options.MaxStaleness later. If Redis does not confirm, the keys are queued to be
// deleted, and the error is a [*PendingError].
//
// It is a Delete where there is nowhere to keep a value: without Config.StaleFor
// (unless the value has a validator), for what is known to be absent, with
// Config.OriginLag, and in an L1Only region of a node that shares Redis, whose
// instances learn of it by the same message.
func (r *Region[V]) Expire(ctx context.Context, keys ...string) error {
	if r == nil {
		return errNilRegion
	}
	ks, err := r.core.keys(keys)
	return errors.Join(err, r.core.expire(ctx, ks))
}

// keys hashes those of the names that are valid; the error is about the others.
func (r *region) keys(names []string) ([]keyspace.Key, error) {
	var errs []error
	ks := make([]keyspace.Key, 0, len(names))
	for _, name := range names {
		if err := checkKey(name); err != nil {
			errs = append(errs, err)
			continue
		}
		ks = append(ks, keyspace.Of(r.name, name))
	}
	return ks, errors.Join(errs...)
}

func (r *region) expire(ctx context.Context, keys []keyspace.Key) error {
	n := r.node
	switch {
	case n.l2 == nil && r.revalidate > 0: // which is no less than the stale period
		for _, k := range keys {
			if err := r.expireHere(ctx, k); err != nil {
				return err
			}
		}
		return nil
	case r.revalidate > 0 && r.usesL2() && r.originLag == 0:
		_, err := n.invalidateBy(ctx, r.name, keys, func(ctx context.Context) []l2.Invalidated {
			return invalidateMany(keys, func(some []keyspace.Key) []l2.Invalidated {
				return n.l2.ExpireAll(ctx, some, l2.Keep{Values: r.stale.period, Validated: r.revalidate})
			})
		})
		return err
	}
	_, err := n.invalidate(ctx, r.name, keys)
	return err
}

// expireHere expires a key of a node that is alone. The copy in L1 is void once
// the invalidation was counted; it is put in its place again as one that includes
// it. It may only if nothing else was counted since it was found: a Delete in
// between was of the copy, too.
func (r *region) expireHere(ctx context.Context, k keyspace.Key) error {
	n := r.node
	stamp := n.fences.Stamp(k.Hash)
	e, _ := n.l1.Find(r.l1, k.Hash, k.Name)
	seq, err := n.invalidate(ctx, r.name, []keyspace.Key{k})
	if err != nil || e == nil || e.Negative || seq != stamp.Last+1 || r.stale.period <= 0 && e.Validator == "" {
		return err
	}
	mark, now := stamp.At(seq), n.fences.Now()
	mark.T0 = e.Mark.T0 // it is no newer than it was, see [flight.supersede]
	entry := &l1.Entry{
		Region: r.l1, Key: k.Name, Value: e.Value, Mark: mark, Tags: e.Tags,
		Expires: now, StaleUntil: min(r.staleEnd(e), now+int64(r.stale.period)), Cost: e.Cost, Token: e.Token, Validator: e.Validator,
		Lapsed: true,
	}
	if made, known := e.Made(); known {
		entry.Span = l1.SpanOf(now - made)
	}
	n.l1.Put(entry)
	return nil
}
