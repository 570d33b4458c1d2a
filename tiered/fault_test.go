package tiered_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/doppio-cache/doppio/tiered"
)

// operation is what the victim does when the fault strikes. The origin has
// version 1, or if it is a write: version 2, and version 1 is cached.
type operation struct {
	name  string
	steps int
	write bool
	setUp func(t *testing.T, f *faulty, key string)
	do    func(t *testing.T, f *faulty, key string)
}

func wantPending(t *testing.T, err error) {
	t.Helper()
	var pending *tiered.PendingError
	if err != nil && !errors.As(err, &pending) {
		t.Errorf("got %v, want nil or a PendingError", err)
	}
}

var operations = []operation{
	{
		name: "load", steps: 3, // read, lease, fill
		setUp: func(*testing.T, *faulty, string) {},
		do: func(t *testing.T, f *faulty, key string) {
			t.Helper()
			if got := f.victim.get(t, key); got != 1 {
				t.Errorf("got version %d, want 1", got)
			}
		},
	},
	{
		name: "load with scripts forgotten", steps: 5, // each script is asked for, then sent
		setUp: func(t *testing.T, f *faulty, _ string) {
			t.Helper()
			if err := f.well.client.ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		},
		do: func(t *testing.T, f *faulty, key string) {
			t.Helper()
			if got := f.victim.get(t, key); got != 1 {
				t.Errorf("got version %d, want 1", got)
			}
		},
	},
	{
		name: "read of what another has loaded", steps: 1,
		setUp: func(t *testing.T, f *faulty, key string) { t.Helper(); f.well.get(t, key) },
		do: func(t *testing.T, f *faulty, key string) {
			t.Helper()
			if got := f.victim.get(t, key); got != 1 {
				t.Errorf("got version %d, want 1", got)
			}
		},
	},
	{
		name: "Set", steps: 2, write: true, // begin, fill
		setUp: func(t *testing.T, f *faulty, key string) {
			t.Helper()
			f.warmUp(t)
			f.well.warm(t, key)
			f.victim.get(t, key)
		},
		do: func(t *testing.T, f *faulty, key string) {
			t.Helper()
			if err := f.victim.items.Set(t.Context(), key, 2); !errors.Is(err, tiered.ErrUnavailable) {
				wantPending(t, err)
			}
		},
	},
	{
		name: "Delete", steps: 1, write: true,
		setUp: func(t *testing.T, f *faulty, key string) {
			t.Helper()
			f.warmUp(t)
			f.well.warm(t, key)
			f.victim.get(t, key)
		},
		do: func(t *testing.T, f *faulty, key string) {
			t.Helper()
			wantPending(t, f.victim.items.Delete(t.Context(), key))
		},
	},
}

// The steps of each operation are as many as the tests below assume, or the
// tests below would leave some out.
func TestStepsOfAnOperation(t *testing.T) {
	f := newFaulty(t, victims["plain client"])
	for _, op := range operations {
		f.origin.commit(op.name)
		op.setUp(t, f, op.name)
		reached := make(chan struct{})
		beyond := step(op.name, op.steps+1, &f.struck)
		last := step(op.name, op.steps, &f.struck)
		f.victim.proxy.CutBefore(func(args [][]byte) bool {
			if last(args) {
				close(reached)
			}
			if beyond(args) {
				t.Errorf("%s has more than %d steps", op.name, op.steps)
			}
			return false
		}, 1)
		op.do(t, f, op.name)
		f.victim.proxy.ClearRules()
		select {
		case <-reached:
		default:
			t.Errorf("%s has fewer than %d steps", op.name, op.steps)
		}
	}
}

// Redis dies for one instance between any two steps of what it does, in any
// way. The call returns; a load with its value. Nothing stale is served
// afterwards: not by the instance itself after its own write, and by no other
// after the bound. No invalidation is lost.
func TestFaultAtEachStep(t *testing.T) {
	for _, fault := range faultKinds {
		for name, client := range victims {
			if name != "plain client" && fault.name != "black hole from there on" {
				continue // the others depend on the client's patience less
			}
			t.Run(fault.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				f := newFaulty(t, client)
				faults := int64(0)
				for _, op := range operations {
					if name != "plain client" && op.steps > 3 {
						continue // more of the same steps
					}
					for n := 1; n <= op.steps; n++ {
						faults++
						key := fmt.Sprintf("%s %d", op.name, n)
						f.strike(t, fault, op, n, key)
						if t.Failed() {
							t.Fatalf("at step %d of %s", n, op.name)
						}
					}
				}
				// On a machine that is too busy an operation may have given up
				// before the step was reached.
				if struck := f.struck.Load(); struck < faults/2 {
					t.Errorf("only %d of %d faults have struck", struck, faults)
				}
			})
		}
	}
}

func (f *faulty) strike(t *testing.T, fault faultKind, op operation, n int, key string) {
	t.Helper()
	newest := f.origin.commit(key)
	op.setUp(t, f, key)
	if op.write {
		newest = f.origin.commit(key)
	}
	end := fault.strike(t, f, step(key, n, &f.struck))
	within(t, op.name, func() { op.do(t, f, key) })
	within(t, "the read after it", func() {
		if got := f.victim.get(t, key); got != newest {
			t.Errorf("the victim reads version %d right after it, want %d", got, newest)
		}
	})
	if fault.forAll {
		end()
		f.recovers(t)
	}
	if !op.write {
		// Version 1 was loaded; what follows must win against all that is still
		// under way.
		newest = f.origin.commit(key)
		if err := f.well.items.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if got := f.well.get(t, key); got != newest {
			t.Errorf("the other instance reads version %d after its own Delete, want %d", got, newest)
		}
	}
	if !fault.forAll {
		end()
	}
	f.staleAfterBound(t, key, newest)
	f.recovers(t)
	eventually(t, "the other instance reads the newest version", func() bool { return f.well.get(t, key) == newest })
	if v, err := f.well.items.Get(t.Context(), key, tiered.BypassL1()); err == nil && v != newest {
		t.Errorf("Redis has version %d, want %d", v, newest)
	}
	f.victim.warm(t, key)
	if got := f.victim.get(t, key); got != newest {
		t.Errorf("the victim, recovered, reads version %d, want %d", got, newest)
	}
}
