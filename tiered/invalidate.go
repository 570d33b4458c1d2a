package tiered

import (
	"context"
	"errors"
	"fmt"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l2"
)

// Delete invalidates keys of any regions, in one round trip to each of Redis's
// masters concerned. (For each 8,192 keys; Options.L2Timeout is for each of these
// round trips.) It returns nil only if all were confirmed: from then on no read that
// begins on this instance returns an older value, and none on any other instance that
// begins more than Options.MaxStaleness later.
//
// If Redis does not confirm, or ctx ends before it does, the rest is queued and
// the error is a [*PendingError]. A ref that is not valid is an [ErrInvalidKey];
// the valid ones are invalidated all the same. While other instances use another
// layout (see [Options].Partitions) nothing reaches them: that is an
// [ErrUnavailable], and nothing is queued.
func (n *Node) Delete(ctx context.Context, refs ...Ref) error {
	if n == nil {
		return errNilNode
	}
	keys := make([]keyspace.Key, 0, len(refs))
	var errs []error
	for _, ref := range refs {
		if err := ref.check(); err != nil {
			errs = append(errs, err)
			continue
		}
		keys = append(keys, ref.hashed())
	}
	_, err := n.invalidate(ctx, "", keys)
	return errors.Join(append(errs, err)...)
}

// invalidate makes one call of all keys. region is for the observer. seq is the
// number of the invalidation of the last key, if the error is nil.
func (n *Node) invalidate(ctx context.Context, region string, keys []keyspace.Key) (seq uint64, err error) {
	return n.invalidateBy(ctx, region, keys, func(ctx context.Context) []l2.Invalidated { return n.removeAll(ctx, keys) })
}

// invalidateBy is invalidate with another way to ask Redis for it.
func (n *Node) invalidateBy(ctx context.Context, region string, keys []keyspace.Key, ask func(context.Context) []l2.Invalidated) (seq uint64, err error) {
	if !n.writes.enter() {
		return 0, ErrClosed
	}
	defer n.writes.leave()
	if len(keys) == 0 {
		return 0, nil
	}
	if n.l2 == nil {
		for _, k := range keys {
			seq = n.fences.Advance(k.Hash)
			n.forget(k)
		}
		return seq, nil
	}
	if err := n.backplane.Err(); err != nil {
		// Other instances use another layout: they would not hear it, now or
		// later, so that there is no use in queueing it either.
		return 0, fmt.Errorf("doppio: invalidate: %w", unavailable(err))
	}
	ctx, told := n.observeInvalidation(ctx, region, keys)
	seq, err = n.invalidateL2(ctx, keys, ask)
	if told != nil {
		told(err)
	}
	return seq, err
}

// observeInvalidation tells the observer of an invalidation of keys.
func (n *Node) observeInvalidation(ctx context.Context, region string, keys []keyspace.Key) (observed context.Context, told func(error)) {
	op := Operation{Kind: OpL2Invalidate, Region: region, Keys: len(keys)}
	if len(keys) == 1 {
		op.Region, op.Key = keys[0].Region, keys[0].Name
	}
	return n.observe(ctx, op)
}

func (n *Node) invalidateL2(ctx context.Context, keys []keyspace.Key, ask func(context.Context) []l2.Invalidated) (seq uint64, err error) {
	var unknown []keyspace.Key
	var errs []error
	heard := n.heard(keys...)
	for _, res := range ask(ctx) {
		if res.Err != nil {
			unknown = append(unknown, res.Keys...)
			errs = append(errs, res.Err)
			continue
		}
		seq = res.Seq
		n.confirmed(res.Partition, res.Keys, res.Seq, heard[res.Partition])
	}
	if len(unknown) == 0 {
		return seq, nil
	}
	return 0, n.unconfirmed(unknown, distinct(errs))
}

// heard is how far the partitions of the keys have been heard so far.
func (n *Node) heard(keys ...keyspace.Key) map[int]fence.Position {
	m := make(map[int]fence.Position, 1)
	for _, k := range keys {
		p := n.fences.Partition(k.Hash)
		if _, known := m[p]; !known {
			m[p] = n.fences.Position(p)
		}
	}
	return m
}

// confirmed applies this instance's own invalidation before its message has
// come round. First the stripes, then the flights: a caller that comes between
// the two joins a flight whose stamp no longer passes, and loads again.
//
// heard is how far the partition had been heard before the script was sent.
func (n *Node) confirmed(partition int, keys []keyspace.Key, seq uint64, heard fence.Position) {
	hashes := make([]uint64, len(keys))
	for i, k := range keys {
		hashes[i] = k.Hash
	}
	if n.fences.Invalidated(partition, hashes, seq, heard) {
		n.backplane.ProbeNow()
	}
	for _, k := range keys {
		n.forget(k)
	}
	n.sent.Add(1)
	n.backplane.Acknowledged(partition, keys)
	n.acknowledgedLate(partition, keys, heard)
}

// unconfirmed queues invalidations of which nobody knows whether they have
// happened. Enqueue also voids this instance's copies of the keys, and what its
// flights are about to bring: it behaves as if they had.
func (n *Node) unconfirmed(keys []keyspace.Key, cause error) error {
	if n.closed.Load() {
		return fmt.Errorf("%w: invalidation was not confirmed: %w", ErrClosed, cause)
	}
	n.backplane.Enqueue(keys)
	pending := &PendingError{Err: unavailable(cause)}
	for _, k := range keys {
		if isTag(k) {
			pending.Tags = append(pending.Tags, k.Name)
			continue
		}
		n.forget(k)
		pending.Refs = append(pending.Refs, refOf(k))
	}
	return pending
}

// forget makes sure that the next caller joins no flight that began before.
func (n *Node) forget(k keyspace.Key) {
	if r := n.region(k.Region); r != nil {
		r.forget(k)
	}
}
