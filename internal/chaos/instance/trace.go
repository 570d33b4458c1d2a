package instance

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
	"github.com/doppio-cache/doppio/tiered"
)

type (
	traceKey struct{}
	heldKey  struct{}
)

// trace follows a read of Doppio's through its operations. A load and what
// leads to it run under a context with the values of the call that caused
// them, so the load finds the trace there.
type trace struct {
	mu    sync.Mutex
	asked int64             // when a lease was first asked for; 0: none yet
	loads map[string]uint64 // numbers
}

// ask notes that leases are asked for. The first time is kept: which of them is that
// of the lease that is granted in the end is not known, and it was not before this.
func (t *trace) ask() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.asked == 0 {
		t.asked = wire.Now()
	}
}

// loading notes the number of a key's load that begins.
func (t *trace) loading(key string, load uint64) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.loads == nil {
		t.loads = make(map[string]uint64) // not before: most reads are hits in memory
	}
	t.loads[key] = load
}

// since is when the leases of the call may have been granted at the earliest.
func (t *trace) since() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.asked
}

// of are the numbers of the loads of a key, or of all.
func (t *trace) of(key string) []uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if load, ok := t.loads[key]; ok {
		return []uint64{load}
	}
	return slices.Collect(maps.Values(t.loads))
}

// traced returns a context with a new trace.
func traced(ctx context.Context) (context.Context, *trace) {
	t := new(trace)
	return context.WithValue(ctx, traceKey{}, t), t
}

func traceOf(ctx context.Context) *trace {
	t, _ := ctx.Value(traceKey{}).(*trace)
	return t
}

// leasedSince returns when the leases may have been granted under which a load
// runs, if it runs under those of all its keys. Where only some of the keys have
// theirs, it is not known which.
func leasedSince(ctx context.Context) (since int64, held bool) {
	if held, _ = ctx.Value(heldKey{}).(bool); !held {
		return 0, false
	}
	return traceOf(ctx).since(), true
}

// observer fills traces in.
type observer struct{ d *doppio }

// Observe implements [tiered.Observer].
func (o observer) Observe(ctx context.Context, op tiered.Operation) (context.Context, func(error)) {
	t := traceOf(ctx)
	if t == nil {
		return ctx, nil
	}
	switch op.Kind {
	case tiered.OpL2Lease:
		t.ask()
	case tiered.OpLoad:
		return context.WithValue(ctx, heldKey{}, op.Leased == op.Keys), nil
	case tiered.OpL2Fill:
		return ctx, func(err error) {
			if err == nil {
				return
			}
			// Redis may have the value or not: this instance keeps it as one
			// that was loaded without Redis.
			for _, load := range t.of(op.Key) {
				o.d.apart.Store(load, struct{}{})
			}
		}
	default:
	}
	return ctx, nil
}
