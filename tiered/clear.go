package tiered

import (
	"context"
	"errors"
	"fmt"

	"github.com/doppio-cache/doppio/internal/fence"
)

// Clear invalidates all values of the region on all instances, in one round trip
// to each of Redis's masters, however many values there are: Redis notes a number
// for each partition, and what is older is a miss from then on. (The memory in
// Redis is freed as the values' lives end.) What it returns, and what that means,
// is as for [Node.Delete].
//
// The copies that instances have of other regions' values are looked up in Redis
// once more: an instance keeps one fence for a partition, not one for each
// region in it.
func (r *Region[V]) Clear(ctx context.Context) error {
	if r == nil {
		return errNilRegion
	}
	if r.core.originLag > 0 {
		return fmt.Errorf("doppio: Clear: %w by region %s, which has an OriginLag", errors.ErrUnsupported, r.core.name)
	}
	return r.core.clear(ctx)
}

func (r *region) clear(ctx context.Context) error {
	n := r.node
	if !n.writes.enter() {
		return ErrClosed
	}
	defer n.writes.leave()
	if n.l2 == nil {
		for p := range n.fences.Partitions() {
			n.fences.AdvancePartition(p)
		}
		return nil
	}
	if err := n.backplane.Err(); err != nil {
		return fmt.Errorf("doppio: clear %s: %w", r.name, unavailable(err))
	}
	ctx, told := n.observe(ctx, Operation{Kind: OpInvalidate, Region: r.name})
	err := r.clearL2(ctx)
	if told != nil {
		told(err)
	}
	return err
}

// clearL2 does for each partition what [Node.invalidateL2] does for keys. There
// is no need to forget flights: none that began before is accepted, because the
// floor is raised before this returns.
func (r *region) clearL2(ctx context.Context) error {
	n := r.node
	heard := make([]fence.Position, n.fences.Partitions())
	for p := range heard {
		heard[p] = n.fences.Position(p)
	}
	var errs []error
	for _, res := range n.l2.InvalidateRegion(ctx, r.name) {
		p := res.Partition
		if res.Err != nil {
			errs = append(errs, res.Err)
			if !n.closed.Load() {
				n.backplane.EnqueuePartition(p, []string{r.name})
			}
			continue
		}
		if n.fences.Invalidated(p, nil, res.Seq, heard[p]) {
			n.backplane.ProbeNow()
		}
		n.sent.Add(1)
		n.backplane.AcknowledgedPartition(p, []string{r.name})
	}
	switch {
	case len(errs) == 0:
		return nil
	case n.closed.Load():
		return fmt.Errorf("%w: clear %s was not confirmed: %w", ErrClosed, r.name, errors.Join(errs...))
	}
	return &PendingError{Region: r.name, Err: unavailable(errors.Join(errs...))}
}
