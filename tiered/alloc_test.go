package tiered_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// repository has a load as services have them: a method.
type repository[K comparable, V any] struct{ value V }

func (r *repository[K, V]) byID(context.Context, K) (V, error) { return r.value, nil }

// keyOf gives the keys of typed ids, which are usually at hand as strings; what
// a key function allocates is its own affair.
func keyOf(id int) string { return ids[id] }

var ids = []string{strconv.Itoa(1000), strconv.Itoa(1001)}

// hitsWithoutAllocation checks each way to read a value that is in L1.
func hitsWithoutAllocation[V any](t *testing.T, n *tiered.Node, name string, value V) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		r := region(t, n, tiered.Config[V]{Name: name})
		repo := &repository[string, V]{value}
		load := repo.byID // stored once; a method value made in the call would allocate
		byString := tiered.Bind(r, func(id string) string { return id }, repo.byID)
		byInt := tiered.Bind(r, keyOf, (&repository[int, V]{value}).byID)
		ctx := t.Context()
		if _, err := r.GetOrLoad(ctx, ids[1], load); err != nil {
			t.Fatal(err)
		}
		settles(t, r, ids[1])
		tagged := "tagged"
		if _, err := r.GetOrLoad(ctx, tagged, load, tiered.WithTags("a", "b")); err != nil {
			t.Fatal(err)
		}
		settles(t, r, tagged)
		loadIf := func(context.Context, string, tiered.Entry[V]) (V, tiered.Validator, error) { return value, "1", nil }
		ways := map[string]func() (V, error){
			"LoadIf":                func() (V, error) { return r.LoadIf(ctx, ids[1], loadIf) },
			"Get of a tagged value": func() (V, error) { return r.Get(ctx, tagged) },
			"GetOrLoad with tags": func() (V, error) {
				return r.GetOrLoad(ctx, tagged, load, tiered.WithTags("a", "b"))
			},
			"Get":              func() (V, error) { return r.Get(ctx, ids[1]) },
			"GetOrLoad":        func() (V, error) { return r.GetOrLoad(ctx, ids[1], load) },
			"Loading.Get":      func() (V, error) { return byString.Get(ctx, ids[1]) },
			"Loading.Get(int)": func() (V, error) { return byInt.Get(ctx, 1) },
		}
		for way, read := range ways {
			before := r.Stats()
			const runs = 500
			allocations := testing.AllocsPerRun(runs, func() {
				if _, err := read(); err != nil {
					t.Errorf("%s: %v", way, err)
				}
			})
			if allocations != 0 {
				t.Errorf("%s: %v allocations for each hit", way, allocations)
			}
			after := r.Stats()
			if after.L1Hits-before.L1Hits != runs+1 || after.L1Misses != before.L1Misses || after.Loads != 2 {
				t.Errorf("%s: not all were L1 hits: %+v", way, after)
			}
		}
	})
}

// An L1 hit allocates nothing, whatever the value is, with all its checks and
// counters, on a node that shares its values with others.
func TestHitAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations are counted without the race detector, which allocates itself")
	}
	n := instances(t, redistest.Mini(t), 1)[0]
	hitsWithoutAllocation(t, n, "struct", product{ID: 7, Name: "saw", Price: 7.5, Tags: []string{"tool"}})
	hitsWithoutAllocation(t, n, "pointer", &product{ID: 7})
	hitsWithoutAllocation(t, n, "string", "saw")
	hitsWithoutAllocation(t, n, "bytes", []byte("saw"))
	hitsWithoutAllocation(t, n, "int", 70_000)
	hitsWithoutAllocation(t, n, "map", map[string]int{"saw": 7})
}

// The knowledge that there is nothing is as cheap.
func TestNegativeHitAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations are counted without the race detector, which allocates itself")
	}
	n := instances(t, redistest.Mini(t), 1)[0]
	r := region(t, n, tiered.Config[product]{Name: "items"})
	load := (&source[product]{err: tiered.ErrNotFound}).load
	_, _ = r.GetOrLoad(t.Context(), "k", load)
	settles(t, r, "k")
	ctx := t.Context()
	if got := testing.AllocsPerRun(500, func() { _, _ = r.GetOrLoad(ctx, "k", load) }); got != 0 {
		t.Errorf("%v allocations for each negative hit", got)
	}
}

// Options do not allocate by themselves.
func TestHitWithOptionsAllocatesLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations are counted without the race detector, which allocates itself")
	}
	n := instances(t, redistest.Mini(t), 1)[0]
	r := region(t, n, tiered.Config[product]{Name: "items"})
	load := (&source[product]{}).load
	_, _ = r.GetOrLoad(t.Context(), "k", load)
	settles(t, r, "k")
	ctx := t.Context()
	info := new(tiered.Info)
	// One is the outcome that the hit is wrapped in, one the bound load.
	if got := testing.AllocsPerRun(500, func() { _, _ = r.GetOrLoad(ctx, "k", load, tiered.WithInfo(info)) }); got > 2 {
		t.Errorf("%v allocations for each hit with an option", got)
	}
}
