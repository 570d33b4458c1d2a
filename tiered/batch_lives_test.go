package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// A load of many that is under way when a tag is invalidated that only its values
// have is not served afterwards, and what it brought is stored for nobody.
func TestALoadOfManyDoesNotSurviveTheInvalidationOfATag(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		nodes := instances(t, b, 2)
		rs := regions(t, nodes, tiered.Config[int]{
			Name: "items", Jitter: -1,
			Tags: func(key string, _ int) []string { return []string{"all", key} },
		})
		for i := range rs { // here: on the instance that loads; there: on another one
			o := newOrigin()
			keys := []string{fmt.Sprint("a", i), fmt.Sprint("b", i)}
			o.commitAll(keys...)
			held := o.holdNext()
			var wg sync.WaitGroup
			wg.Go(func() {
				got, err := rs[0].GetOrLoadMany(t.Context(), keys, o.loadMany)
				if i == 0 && (err != nil || got[keys[0]] != 2 || got[keys[1]] != 1) {
					t.Errorf("the caller that loads got %v, %v", got, err)
				}
			})
			<-held.read
			o.commit(keys[0])
			invalidateTags(t, nodes[i], keys[0])
			close(held.release)
			wg.Wait()
			want := map[string]int{keys[0]: 2, keys[1]: 1}
			eventually(t, "everybody has what is new", func() bool {
				for _, r := range rs {
					if got, err := r.GetOrLoadMany(t.Context(), keys, o.loadMany); err != nil || !maps.Equal(got, want) {
						return false
					}
				}
				return true
			})
			fresh := region(t, instances(t, b, 1)[0], tiered.Config[int]{Name: "items", Jitter: -1})
			if got, err := fresh.GetMany(t.Context(), keys); err != nil || got[keys[0]] == 1 {
				t.Errorf("Redis has %v, %v", got, err)
			}
		}
	})
}

// What SetMany stores has the tags of the call and those of each value, on all
// instances.
func TestTagsOfSetMany(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		nodes := instances(t, b, 2)
		rs := regions(t, nodes, byBrand)
		set := func() {
			t.Helper()
			if err := rs[0].SetMany(t.Context(), map[string]string{"1": "acme", "2": "other"}, tiered.WithTags("promo")); err != nil {
				t.Fatal(err)
			}
		}
		for _, tt := range []struct {
			tag  string
			left []string
		}{{"brand:acme", []string{"2"}}, {"promo", nil}} {
			set()
			set() // the first may have been older than the tag's first mention
			invalidateTags(t, nodes[1], tt.tag)
			for i, r := range rs {
				eventually(t, fmt.Sprintf("instance %d has heard of %s", i, tt.tag), func() bool {
					got, err := r.GetMany(t.Context(), []string{"1", "2"})
					return err == nil && slices.Equal(slices.Sorted(maps.Keys(got)), tt.left)
				})
			}
		}
		bad := rs[0].SetMany(t.Context(), map[string]string{"1": "acme"}, tiered.WithTags(""))
		if !errors.Is(bad, tiered.ErrInvalidOption) {
			t.Errorf("an empty tag: %v", bad)
		}
	})
}

// An instance that has just come asks for the tags of all values in one round
// trip.
func TestTagsOfManyAreAskedForTogether(t *testing.T) {
	tag := func(c *tiered.Config[int]) {
		c.Tags = func(key string, _ int) []string { return []string{"all", "of " + key} }
	}
	f := newFleetWith(t, 1, tiered.Options{MaxStaleness: 10 * time.Minute, L2Timeout: patience, Partitions: 2}, tag)
	names := manyNames(40)
	want := f.origin.commitAll(names...)
	f.members[0].getMany(t, names)
	f.origin.reads.Store(0)
	// What is counted after the values were stored may have been about their tags.
	if err := f.members[0].items.Delete(t.Context(), manyNames(60)[40:]...); err != nil {
		t.Fatal(err)
	}
	least := 1 << 30
	for range 5 { // what goes on in the background may come between
		late := f.join(t, tag)
		ready(t, late.Node)
		late.proxy.ResetCounts()
		if got := late.getMany(t, names); !maps.Equal(got, want) {
			t.Errorf("got %v", got)
		}
		// A node that is ready asks Redis once whether it may evict.
		least = min(least, late.proxy.RoundTrips()-late.proxy.Commands()["INFO"])
	}
	if n := f.origin.reads.Load(); n != 0 {
		t.Errorf("%d keys were loaded", n)
	}
	if least > 3 { // the values, the tags, and once more if the script was not known
		t.Errorf("%d round trips for %d values with tags", least, len(names))
	}
}

// flakyMany is an origin of many keys that can be switched off and slowed down.
type flakyMany struct {
	*table
	down atomic.Bool
	slow atomic.Int64
}

func (f *flakyMany) load(ctx context.Context, keys []string) (map[string]string, error) {
	if d := time.Duration(f.slow.Load()); d > 0 {
		time.Sleep(d) //nolint:forbidigo // the clock of a bubble
	}
	got, err := f.table.load(ctx, keys)
	if f.down.Load() {
		return nil, errDown
	}
	return got, err
}

// Keys whose load fails are answered with their stale values, those that have none
// fail, and nothing is loaded again for a while.
func TestStaleIfALoadOfManyFails(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				cfg := tiered.Config[string]{Name: "items", Mode: mode, TTL: time.Minute, StaleFor: time.Hour, Jitter: -1}
				rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, cfg)
				f := &flakyMany{table: newTable("a", "b", "c")}
				got, err := rs[0].GetOrLoadMany(t.Context(), []string{"a", "b"}, f.load)
				wantMany(t, got, err, "a", "b")
				f.loaded(t, []string{"a", "b"})
				pass(time.Minute + near)
				f.down.Store(true)
				for _, calls := range [][]string{{"a", "b", "c"}, {"c"}} {
					got, err = rs[0].GetOrLoadMany(t.Context(), []string{"a", "b", "c"}, f.load)
					wantMany(t, got, nil, "a", "b")
					if keys := failures(t, err).Keys(); !slices.Equal(keys, []string{"c"}) || !errors.Is(err, errDown) {
						t.Errorf("failed: %v", err)
					}
					f.loaded(t, calls)
				}
				if n := rs[0].Stats().StaleServed; n != 4 {
					t.Errorf("StaleServed is %d, want 4", n)
				}
				if mode != tiered.L1Only { // from Redis
					got, err = rs[1].GetOrLoadMany(t.Context(), []string{"a", "b"}, f.load)
					wantMany(t, got, err, "a", "b")
				}
				if err := rs[0].Delete(t.Context(), "a"); err != nil {
					t.Fatal(err)
				}
				got, err = rs[0].GetOrLoadMany(t.Context(), []string{"a", "b"}, f.load)
				wantMany(t, got, nil, "b")
				if keys := failures(t, err).Keys(); !slices.Equal(keys, []string{"a"}) {
					t.Errorf("what was deleted is not stale: %v", err)
				}
				pass(time.Hour + time.Minute)
				if got, err = rs[0].GetOrLoadMany(t.Context(), []string{"b"}, f.load); len(got) != 0 || !errors.Is(err, errDown) {
					t.Errorf("after StaleFor: %v, %v", got, err)
				}
			})
		})
	}
}

// Where a load of many is slow, keys that have a stale value are answered with it.
func TestSoftTimeoutOfABatch(t *testing.T) {
	const soft = 100 * time.Millisecond
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				r := region(t, b.node(t), tiered.Config[string]{
					Name: "items", Mode: mode, TTL: time.Minute, StaleFor: time.Hour, SoftTimeout: soft, Jitter: -1,
				})
				f := &flakyMany{table: newTable("a", "b")}
				got, err := r.GetOrLoadMany(t.Context(), []string{"a", "b"}, f.load)
				wantMany(t, got, err, "a", "b")
				pass(time.Minute + near)
				f.slow.Store(int64(3 * time.Second))
				began := time.Now()
				got, err = r.GetOrLoadMany(t.Context(), []string{"a", "b"}, f.load)
				wantMany(t, got, err, "a", "b")
				if took := time.Since(began); took > soft+near {
					t.Errorf("the call waited for %v, want the soft timeout", took)
				}
				if n := r.Stats().StaleServed; n != 2 {
					t.Errorf("StaleServed is %d, want 2", n)
				}
				pass(3 * time.Second)
				f.loaded(t, []string{"a", "b"}, []string{"a", "b"})
				got, err = r.GetOrLoadMany(t.Context(), []string{"a", "b"}, f.load)
				wantMany(t, got, err, "a", "b")
				f.loaded(t)
			})
		})
	}
}

// An error stands for the keys that have failed, and for no others.
func TestErrorsOfABatchStandForTheirTTL(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[string]{Name: "items", ErrorTTLFor: downFor})
		tb := newTable("a")
		tb.err = &tiered.BatchError{Errs: map[string]error{"b": errDown}}
		for _, calls := range [][][]string{{{"a", "b"}}, nil} {
			got, err := r.GetOrLoadMany(t.Context(), []string{"a", "b"}, tb.load)
			wantMany(t, got, nil, "a")
			if !errors.Is(err, errDown) {
				t.Errorf("got %v", err)
			}
			tb.loaded(t, calls...)
		}
		if got := r.Stats(); got.ErrorHits != 1 || got.LoadErrors != 1 {
			t.Errorf("got %+v", got)
		}
		pass(time.Minute)
		tb.rows["b"], tb.err = "vb", nil
		got, err := r.GetOrLoadMany(t.Context(), []string{"b"}, tb.load)
		wantMany(t, got, err, "b")
	})
}

// A hit of a batch keeps a sliding value, and sets off a load ahead of time.
func TestHitsOfABatchAreAttendedTo(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		n := b.node(t)
		tb := newTable("a", "b")
		slides := region(t, n, tiered.Config[string]{Name: "slides", TTL: time.Hour, SlidingTTL: time.Minute, Jitter: -1})
		ahead := region(t, n, tiered.Config[string]{Name: "ahead", TTL: time.Hour, L1TTL: time.Hour, RefreshAhead: 0.5, Jitter: -1})
		for _, r := range []*tiered.Region[string]{slides, ahead} {
			got, err := r.GetOrLoadMany(t.Context(), []string{"a", "b"}, tb.load)
			wantMany(t, got, err, "a", "b")
		}
		tb.loaded(t, []string{"a", "b"}, []string{"a", "b"})
		for range 10 {
			pass(30 * time.Second)
			got, err := slides.GetMany(t.Context(), []string{"a"})
			wantMany(t, got, err, "a")
		}
		pass(30 * time.Minute)
		got, err := ahead.GetOrLoadMany(t.Context(), []string{"a", "b"}, tb.load)
		wantMany(t, got, err, "a", "b")
		pass(time.Second)
		slices.SortFunc(tb.calls, slices.Compare)
		tb.loaded(t, []string{"a"}, []string{"b"})
	})
}
