package instance

import (
	"errors"
	"testing"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
	"github.com/doppio-cache/doppio/tiered"
)

// What an operation on several keys says holds for those that nothing else has
// been said of since.
func TestTrace(t *testing.T) {
	d := new(doppio)
	ctx, tr := traced(t.Context())
	o := observer{d}
	does := func(kind tiered.OperationKind, key string, err error) {
		if _, done := o.Observe(ctx, tiered.Operation{Kind: kind, Key: key}); done != nil {
			done(err)
		}
	}
	check := func(when, key string, number uint64, leased, alone bool) {
		t.Helper()
		lease, only := tr.loading(key, number)
		if (lease != 0) != leased || only != alone {
			t.Errorf("%s: lease of %s asked for at %d, alone %v", when, key, lease, only)
		}
	}
	broken := errors.New("broken")
	check("at the beginning", "a", 1, false, false)
	does(tiered.OpL2Get, "", nil)
	does(tiered.OpL2Lease, "", nil)
	does(tiered.OpL2Lease, "b", broken)
	check("asked for both, then for b again", "a", 2, true, false)
	check("asked for both, then for b again", "b", 3, false, true)
	does(tiered.OpL2Fill, "a", broken)
	if !marked(d, 2) || marked(d, 3) || marked(d, 1) {
		t.Error("the fill of a that failed marks another load than the last of a")
	}
	does(tiered.OpL2Fill, "", broken)
	if !marked(d, 3) {
		t.Error("a fill of several that failed does not mark them")
	}
	does(tiered.OpL2Get, "b", nil)
	does(tiered.OpL2Lease, "b", nil)
	check("b alone", "b", 4, true, true)
	does(tiered.OpL2Get, "", nil)
	check("both are looked for again", "b", 5, false, false)
}

func marked(d *doppio, load uint64) bool {
	_, ok := d.apart.Load(load)
	return ok
}

// A load of several keys is in doubt for a while after something was pending.
func TestDoubt(t *testing.T) {
	d := open(t)
	if d.doubtful() {
		t.Error("in doubt from the beginning")
	}
	d.note([]wire.Invalidation{{Confirmed: true}})
	if d.doubtful() {
		t.Error("in doubt for what is confirmed")
	}
	d.note([]wire.Invalidation{{Pending: true}})
	if !d.doubtful() {
		t.Error("not in doubt when something is pending")
	}
	if got := d.queue.confirmed(func() int { return 1 }); got != nil {
		t.Errorf("confirmed, while the library has it in its queue: %+v", got)
	}
	if got := d.queue.confirmed(func() int { return 0 }); len(got) != 1 || !got[0].Confirmed || got[0].Pending {
		t.Errorf("confirmed: %+v", got)
	}
}
