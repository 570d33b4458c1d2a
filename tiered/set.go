package tiered

import (
	"context"
	"fmt"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l2"
)

// set stores a value in both tiers and invalidates all other copies.
func (r *region) set(ctx context.Context, k keyspace.Key, v any, c call) error {
	n := r.node
	if !n.gate.enter() {
		return ErrClosed
	}
	defer n.gate.leave()
	life := r.life(k.Name, v, c)
	tagged := r.snapshot(c)
	if err := tagged.label(r, k.Name, c, v, false); err != nil {
		return fmt.Errorf("doppio: set %s:%s: %w", r.name, k.Name, err)
	}
	stored := r.values.clone(v)
	var payload []byte
	encoded := -1
	if life > 0 && (r.usesL2() || !r.values.sized) {
		var err error
		if payload, err = r.values.encode(v); err != nil {
			r.counters.encodeErrors.Add(1)
			return fmt.Errorf("doppio: set %s:%s: %w", r.name, k.Name, err)
		}
		encoded = r.values.encoded(payload)
	}
	p := copyOf{value: stored, encoded: encoded, life: life, past: r.stale.period, tags: tagged.marks(n.fences)}
	switch {
	case life <= 0:
		_, err := n.invalidate(ctx, r.name, []keyspace.Key{k})
		return err
	case r.usesL2():
		return r.setL2(ctx, k, payload, p, tagged.stamps(n.fences))
	default:
		return r.setL1(ctx, k, p)
	}
}

// setL1 invalidates everywhere, then keeps the value here.
func (r *region) setL1(ctx context.Context, k keyspace.Key, p copyOf) error {
	n := r.node
	stamp := n.fences.Stamp(k.Hash)
	seq, err := n.invalidate(ctx, r.name, []keyspace.Key{k})
	if err != nil {
		return err
	}
	// As of our own invalidation, and not of what was heard meanwhile: a Delete
	// that came between the two must void this value.
	p.mark, p.since = stamp.At(seq), n.fences.Now()
	if r.keep(k, p) != 0 {
		n.l1.Wait() // there is no other tier to answer the next read
	}
	return nil
}

// setL2 is begin, which invalidates everywhere and leaves a lease of ours, and
// fill, which needs that lease. A late begin only invalidates; a late fill is
// rejected like that of any load.
func (r *region) setL2(ctx context.Context, k keyspace.Key, payload []byte, p copyOf, tags []l2.Tag) error {
	n := r.node
	partition := n.fences.Partition(k.Hash)
	heard := n.fences.Position(partition)
	stamp := n.fences.Stamp(k.Hash)
	lease, err := r.beginL2(ctx, k)
	if err != nil {
		return n.unconfirmed([]keyspace.Key{k}, err)
	}
	n.confirmed(partition, []keyspace.Key{k}, lease.Seq, heard)
	if n.conflicted() {
		n.l2.Release(lease)
		return fmt.Errorf("doppio: set %s:%s: %w", r.name, k.Name, unavailable(n.backplane.Err()))
	}
	if !n.storable(p.tags) {
		n.l2.Release(lease)
		r.counters.fillsRejected.Add(1)
		return nil // an invalidation of a tag is newer than this value
	}
	p.since, p.token = n.fences.Now(), lease.Token
	res, err := r.fillL2(ctx, k, lease, l2.Fill{
		Kind: l2.Live, Codec: r.codec, Schema: r.schema, Payload: payload, Life: p.life, Keep: r.stale.period, Idle: r.sliding.idle(), Tags: tags,
	})
	if err != nil {
		n.l2.Release(lease)
		return fmt.Errorf("doppio: set %s:%s: the old value is gone, the new one may not have been stored: %w", r.name, k.Name, unavailable(err))
	}
	if !res.Accepted {
		r.counters.fillsRejected.Add(1)
		return nil // something newer won
	}
	p.mark = stamp.At(res.Seq)
	r.keep(k, p)
	return nil
}

func (r *region) beginL2(ctx context.Context, k keyspace.Key) (l2.Lease, error) {
	ctx, watched := r.watch(ctx, OpL2Begin, k.Name)
	lease, err := r.node.l2.Begin(ctx, k, l2.NewToken())
	watched.end(err)
	return lease, err
}
