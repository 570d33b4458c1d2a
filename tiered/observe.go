package tiered

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/doppio-cache/doppio/l2"
)

// span is an operation that is being measured, and observed if there is an
// observer. It is a value: it costs an L2 hit no allocation.
type span struct {
	region *region
	kind   OperationKind
	began  int64 // on the fences' clock
	told   func(error)
}

// watch begins the span of an operation on one key, which runs under the context
// that watch returns.
func (r *region) watch(ctx context.Context, kind OperationKind, key string) (context.Context, span) {
	return r.begins(ctx, Operation{Kind: kind, Key: key, Keys: 1})
}

// begins is watch for any operation of the region.
func (r *region) begins(ctx context.Context, op Operation) (context.Context, span) {
	s := span{region: r, kind: op.Kind}
	op.Region = r.name
	ctx, s.told = r.node.observe(ctx, op)
	s.began = r.node.fences.Now()
	return ctx, s
}

// end ends the span and returns the time at which it did.
func (s span) end(err error) (now int64) {
	now = s.region.node.fences.Now()
	latency := &s.region.counters.l2Latency
	if s.kind == OpLoad {
		latency = &s.region.counters.loadLatency
	}
	latency.Observe(time.Duration(now - s.began))
	if s.told != nil {
		s.told(err)
	}
	return now
}

// endOr is end for an operation that may have brought a lease. giveUp is called if the
// observer ends the goroutine ([runtime.Goexit]): nobody gets to use the lease then, and
// it would be renewed for as long as the process lives.
func (s span) endOr(giveUp func(), err error) (now int64) {
	returned := false
	defer func() {
		if !returned {
			giveUp()
		}
	}()
	now = s.end(err)
	returned = true
	return now
}

// giveUpGranted releases the lease that an answer to get-or-lease has brought, if it has.
func (f *flight) giveUpGranted(reply *l2.Reply) {
	if reply.Status == l2.Granted {
		f.node.l2.Release(reply.Lease)
	}
}

// giveUpBegun releases leases that were begun.
func (r *region) giveUpBegun(begun []l2.Begun) {
	for i := range begun {
		if begun[i].Err == nil {
			r.node.l2.Release(begun[i].Lease)
		}
	}
}

// observe tells the observer. What it does is nobody's answer: if it panics that is
// logged once, and the operation goes on. (Most operations run in goroutines of
// the node's, where a panic would end the process.)
func (n *Node) observe(ctx context.Context, op Operation) (observed context.Context, told func(error)) {
	if n.opts.Observer == nil {
		return ctx, nil
	}
	defer func() {
		if p := recover(); p != nil {
			n.observerPanicked(op, p)
			observed, told = ctx, nil
		}
	}()
	observed, end := n.opts.Observer.Observe(ctx, op)
	if observed == nil {
		observed = ctx
	}
	if end == nil {
		return observed, nil
	}
	return observed, func(err error) {
		defer func() {
			if p := recover(); p != nil {
				n.observerPanicked(op, p)
			}
		}()
		end(err)
	}
}

func (n *Node) observerPanicked(op Operation, p any) {
	if n.observerFailed.Swap(true) {
		return
	}
	n.log.Error("the Observer panicked; said once, the operation goes on without it",
		"operation", string(op.Kind), "region", op.Region, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
}
