package instance

import (
	"context"
	"sync"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
	"github.com/doppio-cache/doppio/tiered"
)

type traceKey struct{}

// trace follows a read of Doppio's through its operations. A load and what
// leads to it run under a context with the values of the call that caused
// them, so the load finds the trace there, and in it whether Redis has just
// granted a lease.
type trace struct {
	mu    sync.Mutex
	lease int64  // when the lease was asked for that was answered last; 0: none since the last error
	load  uint64 // the load's number
}

func (t *trace) set(lease int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lease = lease
}

// loading notes the number of a load that begins, and returns when its lease
// was asked for; 0 if it has none.
func (t *trace) loading(load uint64) (lease int64) {
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.load = load
	return t.lease
}

func traceOf(ctx context.Context) *trace {
	t, _ := ctx.Value(traceKey{}).(*trace)
	return t
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
	case tiered.OpL2Get:
		t.set(0)
	case tiered.OpL2Lease:
		asked := wire.Now()
		return ctx, func(err error) {
			if err != nil {
				asked = 0
			}
			t.set(asked)
		}
	case tiered.OpL2Fill:
		return ctx, func(err error) {
			if err != nil {
				// Redis may have the value or not: this instance keeps it as one
				// that was loaded without Redis.
				t.mu.Lock()
				defer t.mu.Unlock()
				o.d.apart.Store(t.load, struct{}{})
			}
		}
	default:
	}
	return ctx, nil
}
