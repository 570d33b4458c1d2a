package tiered

import (
	"context"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/l2"
)

// step is how a flight goes on. What decides it is the same for a flight of one
// key and for one of a batch, which takes its steps together with others.
type step struct {
	do     action
	out    *outcome   // answer
	refuse l2.Token   // ask: of a value that will not do
	mark   fence.Mark // loadBeside: of the value that is loaded; zero: it is not kept
	lease  l2.Lease   // loadHolding
}

// action is what a step does.
type action int

const (
	answer      action = iota // nothing more: there is an outcome
	ask                       // take the lease of the key
	wait                      // for whoever holds the lease
	loadBeside                // without a lease
	loadHolding               // under the lease
)

// lead carries a flight to its end, for all who wait for it. It lands before it
// leaves the gate: Shutdown, which waits for that, must not be noticed first.
func (f *flight) lead(ctx context.Context, shared *joint) {
	if !f.node.gate.enter() {
		f.flights[f.kind].land(f.key.Name, shared, &outcome{err: ErrClosed})
		return
	}
	defer f.node.gate.leave()
	f.carry(ctx, shared)
}

// carry runs a flight and lands it, in any case: a function of the configuration
// may call [runtime.Goexit].
func (f *flight) carry(ctx context.Context, shared *joint) {
	var out *outcome
	defer func() {
		if out == nil {
			out = f.failed(f.panicked(nil))
		}
		f.flights[f.kind].land(f.key.Name, shared, out)
	}()
	out = f.run(ctx)
}

// follow takes a step, and all that come after it.
func (f *flight) follow(ctx context.Context, s step) *outcome {
	switch s.do {
	case ask:
		return f.lease(ctx, s.refuse)
	case loadHolding:
		return f.loadHolding(ctx, s.lease)
	case loadBeside:
		return f.loadBeside(ctx, s.mark)
	default:
		return s.out
	}
}
