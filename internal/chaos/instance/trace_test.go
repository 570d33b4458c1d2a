package instance

import (
	"context"
	"errors"
	"testing"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
	"github.com/doppio-cache/doppio/tiered"
)

// Fills that fail mark the loads that they were of.
func TestTrace(t *testing.T) {
	d := new(doppio)
	ctx, tr := traced(t.Context())
	fails := func(key string) {
		_, done := observer{d}.Observe(ctx, tiered.Operation{Kind: tiered.OpL2Fill, Key: key})
		done(errors.New("broken"))
	}
	tr.loading("a", 1)
	tr.loading("a", 2)
	tr.loading("b", 3)
	fails("a")
	if !marked(d, 2) || marked(d, 3) || marked(d, 1) {
		t.Error("the fill of a that failed marks another load than the last of a")
	}
	fails("")
	if !marked(d, 3) {
		t.Error("a fill of several that failed does not mark them")
	}
}

func marked(d *doppio, load uint64) bool {
	_, ok := d.apart.Load(load)
	return ok
}

// A load knows whether it holds the leases of all its keys, and when they were
// asked for, by what the library says of it.
func TestLeasesAreSeen(t *testing.T) {
	d := open(t)
	r := d.regions[wire.Items]
	look := func(names ...string) (since int64, held bool) {
		t.Helper()
		ctx, _ := traced(t.Context())
		began := wire.Now()
		loads := 0
		_, err := r.GetOrLoadMany(ctx, names, func(ctx context.Context, names []string) (map[string]Item, error) {
			loads++
			since, held = leasedSince(ctx)
			return nil, nil
		})
		if err != nil || loads != 1 {
			t.Errorf("%d loads: %v", loads, err)
		}
		if held && (since < began || since > wire.Now()) {
			t.Errorf("asked for at %d, after %d", since, began)
		}
		return since, held
	}
	for _, names := range [][]string{{"k0"}, {"k1", "k2", "k3"}} {
		if _, held := look(names...); !held {
			t.Errorf("%v are loaded without their leases", names)
		}
	}
	// Nobody has the lease of a key that is being mutated.
	err := r.Mutate(t.Context(), []string{"k4"}, func(context.Context) error {
		for _, names := range [][]string{{"k4"}, {"k4", "k5", "k6"}} {
			if _, held := look(names...); held {
				t.Errorf("%v are loaded under their leases, though k4 has none", names)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if since, held := leasedSince(t.Context()); held {
		t.Errorf("a lease since %d, where nothing is known", since)
	}
}

// What is pending is confirmed when the library's queue is empty.
func TestPending(t *testing.T) {
	d := new(doppio)
	d.note([]wire.Invalidation{{Confirmed: true}, {Pending: true}})
	if got := d.queue.confirmed(func() int { return 1 }); got != nil {
		t.Errorf("confirmed, while the library has it in its queue: %+v", got)
	}
	if got := d.queue.confirmed(func() int { return 0 }); len(got) != 1 || !got[0].Confirmed || got[0].Pending {
		t.Errorf("confirmed: %+v", got)
	}
}
