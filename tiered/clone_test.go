package tiered_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/doppio-cache/doppio/tiered"
)

// spoil changes a value that a caller was given.
func spoil(v []int) {
	for i := range v {
		v[i] = -1
	}
}

var original = []int{1, 2, 3}

// With Clone every value that crosses the API is a caller's own: changing what
// one was given, or has given, changes no other's.
func TestCloneMakesValuesTheCallersOwn(t *testing.T) {
	inEachMode(t, func(t *testing.T, n *tiered.Node, mode tiered.Mode) {
		r := region(t, n, tiered.Config[[]int]{Name: "items", Mode: mode, Clone: slices.Clone[[]int]})
		bound := tiered.Bind(r, func(k string) string { return k }, func(context.Context, string) ([]int, error) { return slices.Clone(original), nil })
		var info tiered.Info
		reads := map[string]func() ([]int, error){
			"Get":              func() ([]int, error) { return r.Get(t.Context(), "k") },
			"Get with options": func() ([]int, error) { return r.Get(t.Context(), "k", tiered.WithInfo(&info)) },
			"GetOrLoad":        func() ([]int, error) { return r.GetOrLoad(t.Context(), "k", (&source[[]int]{}).load) },
			"GetOrLoad with options": func() ([]int, error) {
				return r.GetOrLoad(t.Context(), "k", (&source[[]int]{}).load, tiered.WithInfo(&info))
			},
			"Loading.Get": func() ([]int, error) { return bound.Get(t.Context(), "k") },
		}
		if mode != tiered.L1Only {
			reads["Get past L1"] = func() ([]int, error) { return r.Get(t.Context(), "k", tiered.BypassL1()) }
		}
		check := func(when string) {
			t.Helper()
			for name, read := range reads {
				for range 2 {
					v, err := read()
					if err != nil || !slices.Equal(v, original) {
						t.Errorf("%s, %s gives %v, %v", when, name, v, err)
					}
					spoil(v)
				}
			}
		}

		given := slices.Clone(original)
		v, err := r.GetOrLoad(t.Context(), "k", func(context.Context, string) ([]int, error) { return given, nil })
		if err != nil {
			t.Fatal(err)
		}
		spoil(v)
		check("after the loading caller has changed what it got")
		spoil(given)
		check("after the load has changed what it gave")

		given = slices.Clone(original)
		if err := r.Set(t.Context(), "k", given); err != nil {
			t.Fatal(err)
		}
		spoil(given)
		check("after the caller of Set has changed what it gave")
	})
}

// Everybody who waits for one load gets a value of his own.
func TestCloneForAllWhoWait(t *testing.T) {
	inEachMode(t, func(t *testing.T, n *tiered.Node, mode tiered.Mode) {
		r := region(t, n, tiered.Config[[]int]{Name: "items", Mode: mode, Clone: slices.Clone[[]int]})
		release := make(chan struct{})
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				v, err := r.GetOrLoad(t.Context(), "k", func(context.Context, string) ([]int, error) {
					<-release
					return slices.Clone(original), nil
				})
				if err != nil || !slices.Equal(v, original) {
					t.Errorf("got %v, %v", v, err)
				}
				spoil(v) // under -race, sharing would also be a data race
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
	})
}

// Without Clone values are shared, as said: a hit costs nothing.
func TestWithoutCloneAHitIsShared(t *testing.T) {
	r := region(t, local(t), tiered.Config[*product]{Name: "items"})
	want := &product{ID: 7}
	s := &source[*product]{value: want}
	wants(t, r, "k", s, want, tiered.SourceLoad)
	wants(t, r, "k", s, want, tiered.SourceL1)
}
