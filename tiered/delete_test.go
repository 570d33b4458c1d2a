package tiered_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// evals is the number of scripts that clients have called through the proxy.
func evals(p *redistest.Proxy) int {
	c := p.Commands()
	return c["EVALSHA"] + c["EVAL"]
}

// Keys of several regions go in one round trip, one script for each partition
// concerned.
func TestNodeDeleteIsOneRoundTrip(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		proxy := b.Proxy(t)
		// The bound is long, so that no probe comes in between.
		n := open(t, tiered.Options{Redis: proxy.Client(t), MaxStaleness: time.Hour, L2Timeout: patience, Partitions: 4})
		other := open(t, tiered.Options{Redis: b.Client(t), MaxStaleness: time.Hour, L2Timeout: patience, Partitions: 4})
		ready(t, n)
		ready(t, other)
		items := regions(t, []*tiered.Node{n, other}, tiered.Config[int]{Name: "items"})
		names := regions(t, []*tiered.Node{n, other}, tiered.Config[string]{Name: "names"})
		number, name := &source[int]{value: 7}, &source[string]{value: "saw"}
		var refs []tiered.Ref
		for i := range 20 {
			key := fmt.Sprint(i)
			for node := range 2 {
				read(t, items[node], key, number)
				read(t, names[node], key, name)
			}
			refs = append(refs, items[0].Ref(key), n.Ref("names", key))
		}
		if err := n.Delete(t.Context(), n.Ref("warm", "up")); err != nil { // the script is loaded
			t.Fatal(err)
		}
		proxy.ResetCounts()
		if err := n.Delete(t.Context(), refs...); err != nil {
			t.Fatal(err)
		}
		if trips := proxy.RoundTrips(); trips != 1 {
			t.Errorf("%d round trips for %d keys, want 1", trips, len(refs))
		}
		if got := evals(proxy); got != 4 {
			t.Errorf("%d scripts, want one for each of 4 partitions: %v", got, proxy.Commands())
		}
		if keys := valueKeys(t, b.Client(t)); len(keys) != 0 {
			t.Errorf("left in Redis: %q", keys)
		}
		for i := range 20 {
			key := fmt.Sprint(i)
			for node := range 2 {
				eventually(t, "the copies are gone", func() bool {
					_, err1 := items[node].Get(t.Context(), key)
					_, err2 := names[node].Get(t.Context(), key)
					return errors.Is(err1, tiered.ErrNotFound) && errors.Is(err2, tiered.ErrNotFound)
				})
			}
		}
	})
}

// A region need not be declared where its keys are invalidated: a tool or a
// consumer of a change log knows names only.
func TestDeleteOfRegionsDeclaredElsewhere(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		nodes := instances(t, b, 2)
		r := region(t, nodes[1], tiered.Config[int]{Name: "items"})
		wants(t, r, "k", &source[int]{value: 7}, 7, tiered.SourceLoad)
		settles(t, r, "k")
		if err := nodes[0].Delete(t.Context(), nodes[0].Ref("items", "k")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the copy is gone", func() bool {
			_, err := r.Get(t.Context(), "k")
			return errors.Is(err, tiered.ErrNotFound)
		})
	})
}

// Refs that are not valid are all named; the valid ones are invalidated.
func TestInvalidRefsDoNotKeepValidOnesFromBeingInvalidated(t *testing.T) {
	long := strings.Repeat("k", tiered.MaxKeyBytes+1)
	for name, n := range map[string]*tiered.Node{"local": local(t), "shared": instances(t, redistest.Mini(t), 1)[0]} {
		t.Run(name, func(t *testing.T) {
			r := region(t, n, tiered.Config[int]{Name: "items"})
			for _, key := range []string{"a", "b"} {
				wants(t, r, key, &source[int]{value: 7}, 7, tiered.SourceLoad)
			}
			err := n.Delete(t.Context(), r.Ref("a"), r.Ref(""), n.Ref("", "k"), n.Ref("x:y", "k"), r.Ref(long), tiered.Ref{}, r.Ref("b"))
			if !errors.Is(err, tiered.ErrInvalidKey) {
				t.Fatalf("got %v, want ErrInvalidKey", err)
			}
			for _, want := range []string{"it is empty", `"x:y"`, "1025 bytes"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if got := strings.Count(err.Error(), "\n") + 1; got != 5 {
				t.Errorf("%d problems are named, want 5: %v", got, err)
			}
			for _, key := range []string{"a", "b"} {
				if _, err := r.Get(t.Context(), key); !errors.Is(err, tiered.ErrNotFound) {
					t.Errorf("%s was not invalidated: %v", key, err)
				}
			}
			wants(t, r, "a", &source[int]{value: 7}, 7, tiered.SourceLoad)
			if err := r.Delete(t.Context(), "", "a", long); !errors.Is(err, tiered.ErrInvalidKey) || strings.Count(err.Error(), "\n") != 1 {
				t.Errorf("Region.Delete: %v, want both problems", err)
			}
			if _, err := r.Get(t.Context(), "a"); !errors.Is(err, tiered.ErrNotFound) {
				t.Errorf("Region.Delete has left a valid key: %v", err)
			}
		})
	}
}

func TestDeleteOfNothingIsNothing(t *testing.T) {
	proxy := redistest.Mini(t).Proxy(t)
	n := open(t, tiered.Options{Redis: proxy.Client(t), MaxStaleness: time.Hour, L2Timeout: patience})
	ready(t, n)
	r := region(t, n, tiered.Config[int]{Name: "items"})
	proxy.ResetCounts()
	if err := errors.Join(n.Delete(t.Context()), r.Delete(t.Context())); err != nil {
		t.Error(err)
	}
	if got := evals(proxy); got != 0 {
		t.Errorf("%d scripts were sent", got)
	}
}

// A key given twice is invalidated, like any.
func TestDeleteOfTheSameKeyTwice(t *testing.T) {
	for name, n := range map[string]*tiered.Node{"local": local(t), "shared": instances(t, redistest.Mini(t), 1)[0]} {
		r := region(t, n, tiered.Config[int]{Name: "items"})
		wants(t, r, "k", &source[int]{value: 7}, 7, tiered.SourceLoad)
		if err := n.Delete(t.Context(), r.Ref("k"), r.Ref("k")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := r.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
	}
}

// Thousands of keys are one call as well.
func TestDeleteOfManyKeys(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		n := instances(t, b, 1)[0]
		r := region(t, n, tiered.Config[int]{Name: "items"})
		keys := make([]string, 5000)
		for i := range keys {
			keys[i] = fmt.Sprint(i)
		}
		for _, key := range keys[:50] {
			wants(t, r, key, &source[int]{value: 7}, 7, tiered.SourceLoad)
		}
		if err := r.Delete(t.Context(), keys...); err != nil {
			t.Fatal(err)
		}
		for _, key := range keys[:50] {
			if _, err := r.Get(t.Context(), key); !errors.Is(err, tiered.ErrNotFound) {
				t.Errorf("%s: %v, want ErrNotFound", key, err)
			}
		}
	})
}

func TestRefsAreComparableAndReadable(t *testing.T) {
	n := local(t)
	r := region(t, n, tiered.Config[int]{Name: "items"})
	ref := r.Ref("a:b")
	if ref != n.Ref("items", "a:b") || ref == r.Ref("c") {
		t.Error("refs do not compare as their region and key do")
	}
	if ref.Region() != "items" || ref.Key() != "a:b" || ref.String() != "items:a:b" {
		t.Errorf("%q, %q, %q", ref.Region(), ref.Key(), ref)
	}
}
