package tiered

import (
	"context"
	"fmt"

	"github.com/doppio-cache/doppio/internal/fence"
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
	w, err := r.write(k, v, c, r.snapshotForSet(ctx, c))
	switch {
	case err != nil:
		return err
	case w.life <= 0:
		_, err := n.invalidate(ctx, r.name, []keyspace.Key{k})
		return err
	case r.usesL2():
		return r.setL2(ctx, &w)
	default:
		return r.setL1(ctx, k, w.copyOf)
	}
}

// write is a value on its way into the tiers.
type write struct {
	copyOf
	key     keyspace.Key
	payload []byte
	stamps  []l2.Tag

	stamp fence.Stamp // taken before the first step
	heard fence.Position
	lease l2.Lease
}

// write works out what storing a value takes. tagged is the snapshot for its tags.
func (r *region) write(k keyspace.Key, v any, c call, tagged tagged) (w write, err error) {
	w = write{key: k, copyOf: copyOf{encoded: -1, life: r.life(k.Name, v, c), past: r.stale.period}}
	if err := tagged.label(r, k.Name, c, v, false); err != nil {
		return w, fmt.Errorf("doppio: set %s:%s: %w", r.name, k.Name, err)
	}
	w.tags, w.stamps = tagged.marks(r.node.fences), tagged.stamps(r.node.fences)
	w.value = r.values.clone(v)
	if w.life > 0 && (r.usesL2() || !r.values.sized) {
		if w.payload, err = r.values.encode(v); err != nil {
			r.counters.encodeErrors.Add(1)
			return w, fmt.Errorf("doppio: set %s:%s: %w", r.name, k.Name, err)
		}
		w.encoded = r.values.encoded(w.payload)
	}
	return w, nil
}

// snapshotForSet is snapshot for a Set, which lets a node that has hardly begun
// come to know its partitions first: see [Node.settle]. Whatever becomes of ctx, the
// Set goes on.
func (r *region) snapshotForSet(ctx context.Context, c call) tagged {
	if r.mayHaveTags(c) {
		_ = r.node.settle(ctx)
	}
	return r.snapshot(c)
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
func (r *region) setL2(ctx context.Context, w *write) error {
	r.beforeBegin(w)
	lease, err := r.beginL2(ctx, w)
	ended := err != nil
	defer func() {
		if !ended { // it would be renewed for ever
			r.node.l2.Release(lease)
		}
	}()
	fill, ok, err := r.begun(w, lease, err)
	if !ok {
		ended = true
		return err
	}
	res, err := r.fillL2(ctx, w.key, lease, fill)
	ended = true
	return r.stored(w, res, err)
}

// beforeBegin takes note of what is known before the first step.
func (r *region) beforeBegin(w *write) {
	w.heard = r.node.fences.Position(r.node.fences.Partition(w.key.Hash))
	w.stamp = r.node.fences.Stamp(w.key.Hash)
}

// begun takes in the outcome of begin, and returns what is to be filled in, if
// anything is.
func (r *region) begun(w *write, lease l2.Lease, err error) (fill l2.Fill, ok bool, _ error) {
	n := r.node
	if err != nil {
		return fill, false, n.unconfirmed([]keyspace.Key{w.key}, err)
	}
	n.confirmed(n.fences.Partition(w.key.Hash), []keyspace.Key{w.key}, lease.Seq, w.heard)
	if n.conflicted() {
		n.l2.Release(lease)
		return fill, false, fmt.Errorf("doppio: set %s:%s: %w", r.name, w.key.Name, unavailable(n.backplane.Err()))
	}
	if !n.storable(w.tags) {
		n.l2.Release(lease)
		r.counters.fillsRejected.Add(1)
		return fill, false, r.unstorable(w)
	}
	w.since, w.token, w.lease = n.fences.Now(), lease.Token, lease
	return l2.Fill{
		Kind: l2.Live, Codec: r.codec, Schema: r.schema, Payload: w.payload, Life: w.life,
		Keep: r.stale.period, Idle: r.sliding.idle(), Tags: w.stamps,
	}, true, nil
}

// unstorable is the error of a Set whose value must not be stored because of its
// tags. There is none if an invalidation of one of them is known to be newer.
// Otherwise that is not known: nobody has vouched for a tag's partition within the
// bound, or it has started over.
func (r *region) unstorable(w *write) error {
	n := r.node
	unknown := false
	for i := range w.tags {
		if n.backplane.Pending(w.tags[i].Hash) {
			return nil
		}
		unknown = unknown || !n.fences.Current(&w.tags[i])
	}
	if !unknown {
		return nil // one was pending until just now
	}
	return fmt.Errorf("doppio: set %s:%s: the old value is gone, the new one was not stored: it is not known whether its tags were invalidated meanwhile: %w",
		r.name, w.key.Name, unavailable(n.backplane.Err()))
}

// stored takes in the outcome of the fill.
func (r *region) stored(w *write, res l2.Filled, err error) error {
	if err != nil {
		r.node.l2.Release(w.lease)
		return fmt.Errorf("doppio: set %s:%s: the old value is gone, the new one may not have been stored: %w", r.name, w.key.Name, unavailable(err))
	}
	if !res.Accepted {
		r.counters.fillsRejected.Add(1)
		return nil // something newer won
	}
	w.mark, w.life = w.stamp.At(res.Seq), min(w.life, lifeOf(res))
	r.keep(w.key, w.copyOf)
	return nil
}

func (r *region) beginL2(ctx context.Context, w *write) (l2.Lease, error) {
	ctx, watched := r.watch(ctx, OpL2Set, w.key.Name)
	begun := r.begin(ctx, []keyspace.Key{w.key}, []l2.Token{l2.NewToken()}, w.stamps)
	watched.endOr(func() { r.giveUpBegun(begun) }, begun[0].Err)
	return begun[0].Lease, begun[0].Err
}

// begin invalidates keys and leaves leases of ours. With an OriginLag it also leaves
// what an invalidation of such a region does, but for our fills; see lag.go. tags are
// those that the values will have.
func (r *region) begin(ctx context.Context, keys []keyspace.Key, tokens []l2.Token, tags []l2.Tag) []l2.Begun {
	switch n := r.node; {
	case r.originLag > 0:
		return n.beginLagging(ctx, keys, tokens, r.originLag)
	case len(keys) == 1:
		lease, err := n.l2.Begin(ctx, keys[0], tokens[0], tags...)
		return []l2.Begun{{Lease: lease, Err: err}}
	default:
		return n.beginMany(ctx, keys, tokens, tags)
	}
}
