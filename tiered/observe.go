package tiered

import (
	"context"
	"time"
)

// watch tells the observer, if there is one, of an operation that begins, and
// returns what is to be called when it ends. It also measures.
func (r *region) watch(ctx context.Context, kind OperationKind, key string) (context.Context, func(error)) {
	ctx, told := r.node.observe(ctx, Operation{Kind: kind, Region: r.name, Key: key})
	latency := &r.counters.l2Latency
	if kind == OpLoad {
		latency = &r.counters.loadLatency
	}
	began := time.Now()
	return ctx, func(err error) {
		latency.Observe(time.Since(began))
		if told != nil {
			told(err)
		}
	}
}

func (n *Node) observe(ctx context.Context, op Operation) (context.Context, func(error)) {
	if n.opts.Observer == nil {
		return ctx, nil
	}
	return n.opts.Observer.Observe(ctx, op)
}
