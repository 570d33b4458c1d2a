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
// is as for [Node.Delete]. In a region with Config.OriginLag it is an
// [errors.ErrUnsupported].
//
// The copies that instances have of other regions' values are looked up in Redis
// once more: an instance keeps one fence for a partition, not one for each
// region in it.
func (r *Region[V]) Clear(ctx context.Context) error {
	if r == nil {
		return errNilRegion
	}
	return r.core.node.Clear(ctx, r.core.name)
}

// Clear is [Region.Clear] for those who do not know the type of the region's values
// (a tool, a consumer of changes). The region need not be declared in this process.
// A name that no region can have is an [ErrInvalidOption].
func (n *Node) Clear(ctx context.Context, region string) error {
	if n == nil {
		return errNilNode
	}
	if err := checkRegionName(region); err != nil {
		return fmt.Errorf("doppio: Clear: %w: the region's name: %w", ErrInvalidOption, err)
	}
	if r := n.region(region); r != nil && r.originLag > 0 {
		return fmt.Errorf("doppio: Clear: %w by region %s, which has an OriginLag", errors.ErrUnsupported, region)
	}
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
		return fmt.Errorf("doppio: clear %s: %w", region, unavailable(err))
	}
	ctx, told := n.observe(ctx, Operation{Kind: OpL2Invalidate, Region: region})
	err := n.clearL2(ctx, region)
	if told != nil {
		told(err)
	}
	return err
}

// clearL2 does for each partition what [Node.invalidateL2] does for keys. There
// is no need to forget flights: none that began before is accepted, because the
// floor is raised before this returns.
func (n *Node) clearL2(ctx context.Context, region string) error {
	heard := make([]fence.Position, n.fences.Partitions())
	for p := range heard {
		heard[p] = n.fences.Position(p)
	}
	var errs []error
	for _, res := range n.l2.InvalidateRegion(ctx, region) {
		p := res.Partition
		if res.Err != nil {
			errs = append(errs, res.Err)
			if !n.closed.Load() {
				n.backplane.EnqueuePartition(p, []string{region})
			}
			continue
		}
		if n.fences.Invalidated(p, nil, res.Seq, heard[p]) {
			n.backplane.ProbeNow()
		}
		n.sent.Add(1)
		n.backplane.AcknowledgedPartition(p, []string{region})
	}
	switch {
	case len(errs) == 0:
		return nil
	case n.closed.Load():
		return fmt.Errorf("%w: clear %s was not confirmed: %w", ErrClosed, region, distinct(errs))
	}
	return &PendingError{Region: region, Err: unavailable(distinct(errs))}
}
