package instance

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
	"github.com/doppio-cache/doppio/tiered"
)

type traceKey struct{}

// trace follows a read of Doppio's through its operations. A load and what
// leads to it run under a context with the values of the call that caused
// them, so the load finds the trace there, and in it whether Redis has just
// answered the question for a lease. (A tombstone is such an answer too: the
// oracle knows when there may be one.)
//
// What an operation is about is a key, or all of the call's.
type trace struct {
	mu     sync.Mutex
	leases map[string]int64  // when that was asked which was answered last; 0: an error since. "" for all keys that are not there
	loads  map[string]uint64 // numbers
}

func (t *trace) set(key string, lease int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if key == "" {
		clear(t.leases)
	}
	if t.leases == nil {
		t.leases = make(map[string]int64) // not before: most reads are hits in memory
	}
	t.leases[key] = lease
}

// loading notes the number of a key's load that begins, and returns when its
// lease was asked for; 0 if it has none. Where several were asked for, it may
// have been for others than this one.
func (t *trace) loading(key string, load uint64) (lease int64, alone bool) {
	if t == nil {
		return 0, true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.loads == nil {
		t.loads = make(map[string]uint64)
	}
	t.loads[key] = load
	if lease, alone := t.leases[key]; alone {
		return lease, true
	}
	return t.leases[""], false
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
		t.set(op.Key, 0)
	case tiered.OpL2Lease:
		asked := wire.Now()
		return ctx, func(err error) {
			if err != nil {
				asked = 0
			}
			t.set(op.Key, asked)
		}
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
