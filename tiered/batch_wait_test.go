package tiered_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// held is an origin of many keys whose loads wait until they are let go.
type held struct {
	*table
	started chan struct{} // one element for each load
	release chan struct{}
}

func newHeld(keys ...string) *held {
	return &held{table: newTable(keys...), started: make(chan struct{}, 10), release: make(chan struct{})}
}

func (h *held) load(ctx context.Context, keys []string) (map[string]string, error) {
	got, err := h.table.load(ctx, keys)
	h.started <- struct{}{}
	<-h.release
	return got, err
}

// A key whose load has failed just now fails at once: it does not wait for the
// other keys of a batch, and lets no other instance wait for its lease.
func TestRememberedErrorDoesNotWaitForOtherKeys(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, tiered.Config[string]{Name: "items", Mode: mode, ErrorTTLFor: downFor})
				fails := &source[string]{err: errDown}
				if _, _, err := read(t, rs[0], "bad", fails); !errors.Is(err, errDown) {
					t.Fatal(err)
				}
				synctest.Wait()
				h := newHeld("slow")
				var wg sync.WaitGroup
				wg.Go(func() {
					got, err := rs[0].GetOrLoadMany(t.Context(), []string{"bad", "slow"}, h.load)
					wantMany(t, got, nil, "slow")
					if keys := failures(t, err).Keys(); !slices.Equal(keys, []string{"bad"}) || !errors.Is(err, errDown) {
						t.Errorf("failed: %v", err)
					}
				})
				<-h.started
				synctest.Wait()
				began := time.Now()
				if _, _, err := read(t, rs[0], "bad", fails); !errors.Is(err, errDown) {
					t.Errorf("got %v", err)
				}
				wants(t, rs[1], "bad", &source[string]{value: "good"}, "good", tiered.SourceLoad)
				if took := time.Since(began); took > 0 {
					t.Errorf("the key that had failed was waited for, for %v", took)
				}
				close(h.release)
				wg.Wait()
				fails.reads(t, 1)
				h.loaded(t, []string{"slow"})
			})
		})
	}
}

// A batch that waits for a load returns nothing that was deleted meanwhile: what
// L1 had at its beginning is looked at once more, and what is gone is read again.
func TestBatchReturnsNothingThatWasDeletedWhileItWaited(t *testing.T) {
	type get func(ctx context.Context, r *tiered.Region[string], h *held) (map[string]string, error)
	gets := map[string]get{
		"GetOrLoadMany": func(ctx context.Context, r *tiered.Region[string], h *held) (map[string]string, error) {
			return r.GetOrLoadMany(ctx, []string{"1", "2", "3", "9", "1"}, h.load)
		},
		"Loading": func(ctx context.Context, r *tiered.Region[string], h *held) (map[string]string, error) {
			l := tiered.BindMany(r, strconv.Itoa, func(ctx context.Context, ids []int) (map[int]string, error) {
				names := make([]string, len(ids))
				for i, id := range ids {
					names[i] = strconv.Itoa(id)
				}
				got, err := h.load(ctx, names)
				out := make(map[int]string)
				for i, id := range ids {
					if v, ok := got[names[i]]; ok {
						out[id] = v
					}
				}
				return out, err
			}, tiered.Coalescing{})
			got, err := l.GetMany(ctx, []int{1, 2, 3, 9, 1})
			out := make(map[string]string)
			for id, v := range got {
				out[strconv.Itoa(id)] = v
			}
			return out, err
		},
	}
	for name, get := range gets {
		for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L1Only} {
			t.Run(name+" "+mode.String(), func(t *testing.T) {
				inBubble(t, func(t *testing.T, b *bubble) {
					r := region(t, b.node(t), tiered.Config[string]{Name: "items", Mode: mode})
					if err := r.SetMany(t.Context(), map[string]string{"1": "old", "2": "old", "3": "v3"}); err != nil {
						t.Fatal(err)
					}
					pass(time.Second)
					h := newHeld("1", "9")
					var wg sync.WaitGroup
					wg.Go(func() {
						got, err := get(t.Context(), r, h)
						wantMany(t, got, err, "1", "3", "9")
					})
					<-h.started
					if err := r.Delete(t.Context(), "1", "2"); err != nil {
						t.Fatal(err)
					}
					pass(time.Second)
					close(h.release)
					wg.Wait()
					h.loaded(t, []string{"9"}, []string{"1", "2"})
				})
			})
		}
	}
}

// What it has loaded, or found in Redis, is looked at once more too, if it waits again
// because of what L1 had.
func TestBatchReturnsNothingThatWasDeletedWhileItWaitedAgain(t *testing.T) {
	for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L1Only} {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				r := region(t, b.node(t), tiered.Config[string]{Name: "items", Mode: mode})
				if err := r.Set(t.Context(), "1", "old"); err != nil {
					t.Fatal(err)
				}
				pass(time.Second)
				h := newHeld("1", "8", "9")
				var wg sync.WaitGroup
				wg.Go(func() {
					got, err := r.GetOrLoadMany(t.Context(), []string{"1", "8", "9"}, h.load)
					wantMany(t, got, err, "1", "9")
				})
				for _, key := range []string{"1", "8"} {
					<-h.started
					if key == "8" { // of which there was a value until now
						h.set(key, "")
					}
					if err := r.Delete(t.Context(), key); err != nil {
						t.Fatal(err)
					}
					pass(time.Second)
					h.release <- struct{}{}
				}
				close(h.release)
				wg.Wait()
				h.loaded(t, []string{"8", "9"}, []string{"1"}, []string{"8"})
			})
		})
	}
}

// Nor a stale value that was deleted meanwhile.
func TestBatchReturnsNoStaleValueThatWasDeletedWhileItWaited(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[string]{
			Name: "items", TTL: time.Minute, StaleFor: time.Hour, SoftTimeout: 100 * time.Millisecond, Jitter: -1,
			Tags: func(key string, _ string) []string { return []string{"of " + key} },
		})
		for _, key := range []string{"a", "b"} {
			if err := r.Set(t.Context(), key, "old "+key); err != nil {
				t.Fatal(err)
			}
		}
		pass(time.Minute + near)
		h := newHeld("a", "b", "slow")
		var wg sync.WaitGroup
		wg.Go(func() {
			got, err := r.GetOrLoadMany(t.Context(), []string{"a", "b", "slow"}, h.load)
			wantMany(t, got, err, "a", "b", "slow")
		})
		<-h.started
		pass(time.Second)
		if err := r.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if err := r.InvalidateTags(t.Context(), "of b"); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		close(h.release)
		wg.Wait()
	})
}

// A key that is not to be loaded for a while, and of which Redis alone has a stale
// value, is answered with that at once, also while its load is under way.
func TestThrottledKeyOfABatchDoesNotWaitForItsLoad(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[string]{
			Name: "items", Mode: tiered.L2Only, TTL: time.Minute, Jitter: -1, StaleFor: time.Hour, SoftTimeout: time.Second,
		})
		if err := r.Set(t.Context(), "a", "va"); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute + near)
		h := newHeld("a")
		for _, patience := range []time.Duration{time.Second, 0} {
			began := time.Now()
			got, err := r.GetOrLoadMany(t.Context(), []string{"a"}, h.load)
			wantMany(t, got, err, "a")
			if took := time.Since(began); took > patience+near {
				t.Errorf("the stale value took %v, want %v", took, patience)
			}
		}
		close(h.release)
		synctest.Wait()
		h.loaded(t, []string{"a"})
	})
}

// A load that has declared a *BatchError and had nothing to put into it has not
// failed.
func TestNilBatchErrorIsNoError(t *testing.T) {
	var none *tiered.BatchError
	if none.Error() == "" || none.Keys() != nil || none.Unwrap() != nil || errors.Is(none, errDown) {
		t.Error("a nil *BatchError says something")
	}
	r := region(t, local(t), tiered.Config[string]{Name: "items"})
	load := func(context.Context, []string) (map[string]string, error) {
		var batch *tiered.BatchError
		return map[string]string{"a": "va"}, batch
	}
	got, err := r.GetOrLoadMany(t.Context(), []string{"a", "b"}, load)
	wantMany(t, got, err, "a")
	got, err = tiered.Noop[string]().GetOrLoadMany(t.Context(), []string{"a", "b"}, load)
	wantMany(t, got, err, "a")
	for name, c := range map[string]tiered.Coalescing{"one by one": {}, "gathered": {MaxWait: time.Millisecond}} {
		l := tiered.BindMany(r, func(k string) string { return name + k }, load, c)
		if v, err := l.Get(t.Context(), "a"); v != "va" || err != nil {
			t.Errorf("%s: %q, %v", name, v, err)
		}
		if _, err := l.Get(t.Context(), "b"); !errors.Is(err, tiered.ErrAbsent) {
			t.Errorf("%s: %v, want that there is no such thing", name, err)
		}
	}
}

// A key that is given twice, and that L1 has only when it is met again, is not both in
// the map and among those that failed.
func TestKeyThatIsGivenTwiceHasOneAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		met := make(map[string]func()) // what happens when a value is met
		r := region(t, b.node(t), tiered.Config[string]{Name: "items", Clone: func(v string) string {
			if do := met[v]; do != nil {
				delete(met, v)
				do()
			}
			return v
		}})
		succeeds(t, r.SetMany(t.Context(), map[string]string{"b": "vb", "c": "vc"}))
		pass(time.Second)
		met["vb"] = func() { succeeds(t, r.Set(t.Context(), "a", "va")); synctest.Wait() }
		met["vc"] = func() { succeeds(t, r.Delete(t.Context(), "a")) }
		got, err := r.GetOrLoadMany(t.Context(), []string{"a", "b", "a", "c"}, func(context.Context, []string) (map[string]string, error) {
			return nil, errDown
		})
		if len(met) > 0 {
			t.Error("not all values were met")
		}
		wantMany(t, got, nil, "b", "c")
		if keys := failures(t, err).Keys(); !slices.Equal(keys, []string{"a"}) {
			t.Errorf("failed: %v", keys)
		}
	})
}
