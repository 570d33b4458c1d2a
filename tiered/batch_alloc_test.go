package tiered_test

import (
	"testing"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

var sink map[string]string

// A batch that L1 answers allocates its map, and nothing else.
func TestBatchHitAllocatesItsMapOnly(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations are counted without the race detector, which allocates itself")
	}
	r := region(t, instances(t, redistest.Mini(t), 1)[0], tiered.Config[string]{Name: "items"})
	names := manyNames(100)
	tb := newTable(names...)
	ctx := t.Context()
	load := tb.load
	if _, err := r.GetOrLoadMany(ctx, names, load); err != nil {
		t.Fatal(err)
	}
	for _, k := range names {
		settles(t, r, k)
	}
	tb.loaded(t, tb.calls...)
	bare := testing.AllocsPerRun(200, func() {
		out := make(map[string]string, len(names))
		for _, k := range names {
			out[k] = k
		}
		sink = out
	})
	l := tiered.BindMany(r, func(id string) string { return id }, load, tiered.Coalescing{})
	ways := map[string]func() (map[string]string, error){
		"GetMany":         func() (map[string]string, error) { return r.GetMany(ctx, names) },
		"GetOrLoadMany":   func() (map[string]string, error) { return r.GetOrLoadMany(ctx, names, load) },
		"Loading.GetMany": func() (map[string]string, error) { return l.GetMany(ctx, names) },
	}
	for way, read := range ways {
		got := testing.AllocsPerRun(200, func() {
			if out, err := read(); len(out) != len(names) || err != nil {
				t.Errorf("%s: %d keys, %v", way, len(out), err)
			}
		})
		if got > bare {
			t.Errorf("%s: %v allocations, a map alone takes %v", way, got, bare)
		}
	}
	tb.loaded(t)
}
