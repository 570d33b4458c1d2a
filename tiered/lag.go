package tiered

import (
	"context"
	"errors"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l2"
)

// Where loads read a replica that lags behind, an invalidation leaves a tombstone
// for as long as the lag may be: a load that begins before it ends may read what
// was there before the commit, and so finds that nothing may be stored. It is
// nobody's tombstone, so that no Mutate ends it.
//
// A Set knows what there is. It leaves a tombstone of its own, under which its fill
// alone is accepted, and the fill leaves, for what is left of the tombstone's life, a
// lease of the key that is nobody's: the value is read, and not replaced by what is
// loaded.

// lagOf is the OriginLag of a key's region, if it is declared here.
func (n *Node) lagOf(k keyspace.Key) time.Duration {
	if r := n.region(k.Region); r != nil {
		return r.originLag
	}
	return 0
}

// byLag groups keys by the OriginLag of their regions. As a rule none has one.
func (n *Node) byLag(keys []keyspace.Key) map[time.Duration][]keyspace.Key {
	if !n.lagging.Load() {
		return map[time.Duration][]keyspace.Key{0: keys}
	}
	groups := make(map[time.Duration][]keyspace.Key, 2)
	for _, k := range keys {
		lag := n.lagOf(k)
		groups[lag] = append(groups[lag], k)
	}
	return groups
}

// removeAll asks Redis to invalidate keys.
func (n *Node) removeAll(ctx context.Context, keys []keyspace.Key) (out []l2.Invalidated) {
	for lag, some := range n.byLag(keys) {
		out = append(out, invalidateMany(some, func(some []keyspace.Key) []l2.Invalidated {
			if lag > 0 {
				return n.l2.Block(ctx, some, l2.Token{}, lag)
			}
			return n.l2.InvalidateAll(ctx, some)
		})...)
	}
	return out
}

// acknowledgedLate sends again what was confirmed in a generation that is over.
//
// Redis confirms an invalidation, whose answer is under way; the primary is replaced
// by one that never got it; a probe finds that one, and what this instance knows to
// have been confirmed lately is sent again; then the answer comes. What the new primary
// has from before ends with the grace. But the tombstone is lost, and what is loaded now
// may be as old, and is not from before.
//
// The question comes after the key was noted as confirmed. If the generation changes
// only then, it is among what is sent again.
func (n *Node) acknowledgedLate(partition int, keys []keyspace.Key, heard fence.Position) {
	if !n.lagging.Load() || n.fences.Position(partition).Generation == heard.Generation {
		return
	}
	var again []keyspace.Key
	for _, k := range keys {
		if n.lagOf(k) > 0 {
			again = append(again, k)
		}
	}
	n.backplane.Enqueue(again)
}

// retrier sends again what the backplane has queued, in the way in which the
// regions want it.
type retrier struct {
	node *Node
	l2   *l2.Store
}

// Invalidate is [l2.Store.Invalidate] for keys of regions with and without
// OriginLag.
func (r retrier) Invalidate(ctx context.Context, p int, keys []keyspace.Key) (seq uint64, err error) {
	for lag, some := range r.node.byLag(keys) {
		if lag == 0 {
			got, err := r.l2.Invalidate(ctx, p, some)
			if err != nil {
				return 0, err
			}
			seq = max(seq, got)
			continue
		}
		for _, out := range r.l2.Block(ctx, some, l2.Token{}, lag) {
			if out.Err != nil {
				return 0, out.Err
			}
			if out.Partition != p {
				return 0, errors.New("doppio: a key of another partition")
			}
			seq = max(seq, out.Seq)
		}
	}
	return seq, nil
}

// InvalidatePartition is [l2.Store.InvalidatePartition].
func (r retrier) InvalidatePartition(ctx context.Context, p int, regions []string) (seq uint64, err error) {
	return r.l2.InvalidatePartition(ctx, p, regions)
}
