package tiered_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// A batch of many rounds is one load, each key gets its own value, all of them are
// stored, and each step counts once.
func TestBatchOfManyRounds(t *testing.T) {
	server := redistest.Real(t)
	o := new(observer)
	writer := instances(t, server, 1, func(opts *tiered.Options) { opts.Observer = o })[0]
	cfg := tiered.Config[string]{Name: "items", Jitter: -1, Tags: func(key string, _ string) []string { return []string{"of " + key} }}
	reader := instances(t, server, 1)[0]
	here, there := region(t, writer, cfg), region(t, reader, cfg)
	names := manyNames(1300)
	tb := newTable(names[:1200]...)
	o.told(t)
	got, err := here.GetOrLoadMany(t.Context(), names, tb.load)
	wantMany(t, got, err, names[:1200]...)
	tb.loaded(t, slices.Sorted(slices.Values(names)))
	if told, want := o.told(t), []string{"l2.get items:", "l2.lease items:", "load items:", "l2.fill items:"}; !slices.Equal(told, want) {
		t.Errorf("told of %q, want %q", told, want)
	}
	if s := here.Stats(); s.L2Latency.Count != 3 || s.LoadLatency.Count != 1 || s.Loads != 1300 || s.Unstored != 0 || s.FillsRejected != 0 {
		t.Errorf("counted: %+v", s)
	}
	got, err = there.GetOrLoadMany(t.Context(), names, tb.load)
	wantMany(t, got, err, names[:1200]...)
	tb.loaded(t)
	set := regions(t, []*tiered.Node{writer, reader}, tiered.Config[string]{Name: "set", Jitter: -1})
	values := make(map[string]string)
	for _, name := range names {
		values[name] = "v" + name
	}
	if err := set[0].SetMany(t.Context(), values); err != nil {
		t.Fatal(err)
	}
	got, err = set[1].GetMany(t.Context(), names)
	wantMany(t, got, err, names...)
	if told, want := o.told(t), []string{"l2.set set:", "l2.fill set:"}; !slices.Equal(told, want) {
		t.Errorf("told of %q, want %q", told, want)
	}
}

// What a load of many brings and Redis does not take is counted.
func TestLoadedValuesThatAreNotStoredAreCounted(t *testing.T) {
	f := newFleetWith(t, 1, unhurried)
	m := f.members[0]
	names := manyNames(20)
	want := f.origin.commitAll(names...)
	hold := f.origin.holdNext()
	var wg sync.WaitGroup
	wg.Go(func() {
		if got := m.getMany(t, names); len(got) != len(want) {
			t.Errorf("got %v", got)
		}
	})
	<-hold.read
	m.proxy.Data().Refuse(true)
	close(hold.release)
	wg.Wait()
	if s := m.items.Stats(); s.Unstored != 20 {
		t.Errorf("%d values count as not stored, want 20", s.Unstored)
	}
	// And those that are loaded without a lease.
	if got := m.getMany(t, manyNames(30)[20:]); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	if s := m.items.Stats(); s.Unstored != 30 {
		t.Errorf("%d values count as not stored, want 30", s.Unstored)
	}
}

// Large values are stored by rounds, too.
func TestLargeValuesOfABatch(t *testing.T) {
	server := redistest.Real(t)
	rs := regions(t, instances(t, server, 2), tiered.Config[string]{Name: "items", Jitter: -1})
	names := manyNames(20)
	large := strings.Repeat("x", 1<<20)
	load := func(_ context.Context, keys []string) (map[string]string, error) {
		m := make(map[string]string)
		for _, k := range keys {
			m[k] = large + k
		}
		return m, nil
	}
	if _, err := rs[0].GetOrLoadMany(t.Context(), names, load); err != nil {
		t.Fatal(err)
	}
	got, err := rs[1].GetOrLoadMany(t.Context(), names, func(context.Context, []string) (map[string]string, error) {
		return nil, errors.New("loaded again")
	})
	if err != nil || len(got) != len(names) {
		t.Fatalf("%d values, %v", len(got), err)
	}
	for _, name := range names {
		if got[name] != large+name {
			t.Errorf("%s has another's value", name)
		}
	}
}
