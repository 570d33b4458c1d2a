package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// everything is an origin that has every key, and counts how often each is loaded.
type everything struct {
	mu       sync.Mutex
	times    map[string]int
	now, max int
	gate     chan struct{} // loads wait for it; nil: they do not
}

func (o *everything) load(ctx context.Context, keys []string) (map[string]string, error) {
	o.mu.Lock()
	o.now++
	o.max = max(o.max, o.now)
	if o.times == nil {
		o.times = make(map[string]int)
	}
	found := make(map[string]string)
	for _, k := range keys {
		o.times[k]++
		found[k] = "v" + k
	}
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.now--
	}()
	if o.gate != nil {
		select {
		case <-o.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return found, nil
}

func (o *everything) running() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now
}

// Every key is counted as what became of it, and afterwards it is there.
func TestWarmCountsWhatBecameOfKeys(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
				rs := regions(t, instances(t, b, 2), tiered.Config[string]{Name: "items", Mode: mode})
				here, there := rs[0], rs[1]
				tb := newTable("l1", "there", "new", "new too", "bad")
				tb.err = &tiered.BatchError{Errs: map[string]error{"bad": errDown, "gone": tiered.ErrNotFound, "gone too": tiered.ErrNotFound}}
				delete(tb.rows, "bad")
				for r, keys := range map[*tiered.Region[string]][]string{here: {"l1", "gone"}, there: {"there"}} {
					if _, err := r.GetOrLoadMany(t.Context(), keys, tb.load); err != nil {
						t.Fatal(err)
					}
				}
				long := strings.Repeat("k", tiered.MaxKeyBytes+1)
				keys := slices.Values([]string{"l1", "there", "there", "new", long, "new", "gone", "gone too", "bad", "", "new too"})
				var last tiered.Warmed
				calls := 0
				got, err := here.Warm(t.Context(), keys, tb.load, tiered.Warming{Batch: 3, Concurrency: 1, Progress: func(w tiered.Warmed) {
					if calls++; w.Keys < last.Keys || w.Keys != w.Hits+w.Loaded+w.Absent+w.Failed {
						t.Errorf("after %+v comes %+v", last, w)
					}
					last = w
				}})
				want := tiered.Warmed{Keys: 10, Hits: 3, Loaded: 2, Absent: 2, Failed: 3}
				if mode == tiered.L1Only { // there is another instance
					want.Hits, want.Loaded = 2, 3
				}
				if got != want || last != got || calls != 4 {
					t.Errorf("got %+v, %d times, the last %+v; want %+v", got, calls, last, want)
				}
				if !errors.Is(err, errDown) || !errors.Is(err, tiered.ErrInvalidKey) || errors.Is(err, tiered.ErrNotFound) {
					t.Errorf("got %v", err)
				}
				if keys := failures(t, err).Keys(); !slices.Equal(keys, []string{"", "bad", long}) {
					t.Errorf("failed: %q", keys)
				}
				tb.mu.Lock()
				tb.calls = nil
				tb.mu.Unlock()
				for _, k := range []string{"l1", "there", "new", "new too"} {
					if v, err := here.GetOrLoadMany(t.Context(), []string{k}, tb.load); err != nil || v[k] != "v"+k {
						t.Errorf("%s: got %v, %v", k, v, err)
					}
				}
				if _, err := here.Get(t.Context(), "gone too"); !errors.Is(err, tiered.ErrAbsent) {
					t.Errorf("got %v", err)
				}
				tb.loaded(t)
			})
		})
	}
}

// What is in L1 when Warm returns is answered by L1: nothing is in a queue.
func TestWarmedValuesAreInL1(t *testing.T) {
	b := redistest.Real(t)
	names := manyNames(2000)
	rs := regions(t, instances(t, b, 2), tiered.Config[string]{Name: "items"})
	for _, tt := range []struct {
		r    *tiered.Region[string]
		want tiered.Warmed
	}{
		{rs[0], tiered.Warmed{Keys: len(names), Loaded: len(names)}},
		{rs[0], tiered.Warmed{Keys: len(names), Hits: len(names)}},
		{rs[1], tiered.Warmed{Keys: len(names), Hits: len(names)}}, // from Redis, and all of them at once
	} {
		got, err := tt.r.Warm(t.Context(), slices.Values(names), new(everything).load, tiered.Warming{Batch: 1000})
		if err != nil || got != tt.want {
			t.Errorf("got %+v, %v", got, err)
		}
		if got := maps.Collect(tt.r.Cached()); len(got) != len(names) {
			t.Errorf("%d of %d are in L1", len(got), len(names))
		}
	}
}

// Instances that start together and warm the same keys load each once among them.
func TestAFleetThatWarmsLoadsEachKeyOnce(t *testing.T) {
	b := redistest.Real(t)
	const fleet = 3
	rs := regions(t, instances(t, b, fleet), tiered.Config[string]{Name: "items"})
	o := new(everything)
	names := manyNames(500)
	var wg sync.WaitGroup
	var loaded atomic.Int64
	for _, r := range rs {
		wg.Go(func() {
			got, err := r.Warm(t.Context(), slices.Values(names), o.load, tiered.Warming{Batch: 50})
			if err != nil || got.Keys != len(names) || got.Hits+got.Loaded != len(names) {
				t.Errorf("got %+v, %v", got, err)
			}
			loaded.Add(int64(got.Loaded))
		})
	}
	wg.Wait()
	for k, n := range o.times {
		if n != 1 {
			t.Errorf("%s was loaded %d times", k, n)
		}
	}
	if len(o.times) != len(names) || loaded.Load() != int64(len(names)) {
		t.Errorf("%d keys were loaded, %d counted, want %d", len(o.times), loaded.Load(), len(names))
	}
	for i, r := range rs {
		if got := maps.Collect(r.Cached()); len(got) != len(names) {
			t.Errorf("instance %d has %d in L1", i, len(got))
		}
	}
}

// No more batches than that are under way, and no more keys are taken than are in
// them.
func TestWarmIsBounded(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		r := region(t, instances(t, b, 1)[0], tiered.Config[string]{Name: "items"})
		o := &everything{gate: make(chan struct{})}
		var taken atomic.Int64
		keys := func(yield func(string) bool) {
			for i := range 100 {
				taken.Add(1)
				if !yield(strconv.Itoa(i)) {
					return
				}
			}
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if got, err := r.Warm(t.Context(), keys, o.load, tiered.Warming{Batch: 7, Concurrency: 3}); err != nil || got.Loaded != 100 {
				t.Errorf("got %+v, %v", got, err)
			}
		}()
		for n := int64(21); n <= 98; n += 7 { // a load ends, seven more keys are taken
			eventually(t, "three loads", func() bool { return o.running() == 3 || n > 98 })
			if got := taken.Load(); got > n {
				t.Errorf("%d keys were taken, at most %d may have been", got, n)
			}
			o.gate <- struct{}{}
		}
		close(o.gate)
		<-done
		if o.max != 3 {
			t.Errorf("%d loads at once", o.max)
		}
	})
}

// Warm ends when it is told to, with what it has, and with no goroutine left
// (which TestMain checks).
func TestWhatEndsAWarm(t *testing.T) {
	tests := map[string]struct {
		end  func(n *tiered.Node, cancel func()) error
		want error
	}{
		"its context": {func(_ *tiered.Node, cancel func()) error { cancel(); return nil }, context.Canceled},
		"Close":       {func(n *tiered.Node, _ func()) error { return n.Close() }, tiered.ErrClosed},
		"Shutdown": {func(n *tiered.Node, _ func()) error {
			ctx, cancel := context.WithCancel(context.Background())
			cancel() // does not wait for loads
			_ = n.Shutdown(ctx)
			return nil
		}, tiered.ErrClosed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
				n := instances(t, b, 1)[0]
				r := region(t, n, tiered.Config[string]{Name: "items"})
				o := &everything{gate: make(chan struct{}, 2)}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				o.gate <- struct{}{}
				o.gate <- struct{}{}
				forever := func(yield func(string) bool) {
					for i := 0; ; i++ {
						if !yield(strconv.Itoa(i)) {
							return
						}
					}
				}
				type result struct {
					tiered.Warmed
					err error
				}
				done := make(chan result, 1)
				go func() {
					got, err := r.Warm(ctx, forever, o.load, tiered.Warming{Batch: 10, Concurrency: 2})
					done <- result{got, err}
				}()
				eventually(t, "two batches are through, two wait", func() bool {
					o.mu.Lock()
					defer o.mu.Unlock()
					return len(o.times) == 40 && o.now == 2
				})
				if err := tt.end(n, cancel); err != nil {
					t.Error(err)
				}
				got := <-done
				if !errors.Is(got.err, tt.want) || got.Warmed != (tiered.Warmed{Keys: 20, Loaded: 20}) {
					t.Errorf("got %+v, %v; want 20 loaded, %v", got.Warmed, got.err, tt.want)
				}
				if got, err := r.Warm(ctx, forever, o.load, tiered.Warming{}); !errors.Is(err, tt.want) || got != (tiered.Warmed{}) {
					t.Errorf("begun after that: %+v, %v", got, err)
				}
			})
		})
	}
}

// Progress may give up.
func TestProgressMayEndAWarm(t *testing.T) {
	r := region(t, local(t), tiered.Config[string]{Name: "items"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tb := newTable()
	tb.err = errDown
	got, err := r.Warm(ctx, slices.Values(manyNames(1000)), tb.load, tiered.Warming{Batch: 10, Concurrency: 1, Progress: func(w tiered.Warmed) {
		if w.Failed >= 30 {
			cancel()
		}
	}})
	if got.Failed != 30 || got.Keys != 30 || !errors.Is(err, context.Canceled) || !errors.Is(err, errDown) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Whoever panics on the way takes Warm along, and nothing else: what was under way
// has ended, and the node works.
func TestPanicsInAWarm(t *testing.T) {
	boom := func(string) string { panic("boom") }
	long := slices.Values(manyNames(30))
	tests := map[string]func(r *tiered.Region[string], o *everything){
		"the iterator": func(r *tiered.Region[string], o *everything) {
			_, _ = r.Warm(t.Context(), func(yield func(string) bool) {
				for k := range long {
					if k == "25" {
						panic("boom")
					}
					if !yield(k) {
						return
					}
				}
			}, o.load, tiered.Warming{Batch: 10})
		},
		"Progress": func(r *tiered.Region[string], o *everything) {
			_, _ = r.Warm(t.Context(), long, o.load, tiered.Warming{Batch: 10, Progress: func(tiered.Warmed) { panic("boom") }})
		},
		"the key function": func(r *tiered.Region[string], o *everything) {
			_, _ = tiered.BindMany(r, boom, o.load, tiered.Coalescing{}).Warm(t.Context(), long, tiered.Warming{Batch: 10})
		},
	}
	for name, warm := range tests {
		t.Run(name, func(t *testing.T) {
			r := region(t, instances(t, redistest.Mini(t), 1)[0], tiered.Config[string]{Name: "items"})
			o := new(everything)
			func() {
				defer func() {
					if p := recover(); p != "boom" {
						t.Errorf("Warm panicked with %v", p)
					}
				}()
				warm(r, o)
			}()
			if got, err := r.Warm(t.Context(), long, o.load, tiered.Warming{}); err != nil || got.Hits+got.Loaded != 30 {
				t.Errorf("afterwards: %+v, %v", got, err)
			}
		})
	}
}

// A load that panics is the error of its keys, and so is an observer that does.
func TestWarmSurvivesPanicsOfLoads(t *testing.T) {
	broken := &panickyObserver{}
	n := instances(t, redistest.Mini(t), 1, func(o *tiered.Options) { o.Observer = broken })[0]
	r := region(t, n, tiered.Config[string]{Name: "items"})
	var calls atomic.Int64
	load := func(ctx context.Context, keys []string) (map[string]string, error) {
		if calls.Add(1) == 2 {
			panic("boom")
		}
		return new(everything).load(ctx, keys)
	}
	got, err := r.Warm(t.Context(), slices.Values(manyNames(30)), load, tiered.Warming{Batch: 10, Concurrency: 1})
	var panicked *tiered.LoadPanicError
	if got != (tiered.Warmed{Keys: 30, Loaded: 20, Failed: 10}) || !errors.As(err, &panicked) || panicked.Value != "boom" {
		t.Errorf("got %+v, %v", got, err)
	}
	broken.on.Store(true)
	got, err = r.Warm(t.Context(), slices.Values(manyNames(50)), load, tiered.Warming{Batch: 25})
	if got.Failed != 0 || got.Keys != 50 || err != nil {
		t.Errorf("an observer that panics: got %+v, %v, want nobody to notice", got, err)
	}
}

// panickyObserver panics at reads of Redis.
type panickyObserver struct{ on atomic.Bool }

func (o *panickyObserver) Observe(ctx context.Context, op tiered.Operation) (context.Context, func(error)) {
	if o.on.Load() && op.Kind == tiered.OpL2Get {
		panic("observed")
	}
	return ctx, nil
}

// However much fails, the error stays short, and says how much it was.
func TestErrorsOfAWarmAreBounded(t *testing.T) {
	r := region(t, local(t), tiered.Config[string]{Name: "items"})
	tb := newTable("7")
	tb.err = errDown
	got, err := r.Warm(t.Context(), slices.Values(manyNames(5000)), tb.load, tiered.Warming{})
	if got != (tiered.Warmed{Keys: 5000, Loaded: 1, Failed: 4999}) {
		t.Errorf("got %+v", got)
	}
	if n := len(failures(t, err).Errs); n != 10 {
		t.Errorf("%d keys are named", n)
	}
	if !errors.Is(err, errDown) || !strings.Contains(err.Error(), "4999 of 5000 keys failed") || len(err.Error()) > 1000 {
		t.Errorf("got %v", err)
	}
}

func TestWarmRefusesWhatMakesNoSense(t *testing.T) {
	r := region(t, local(t), tiered.Config[string]{Name: "items"})
	_, err := r.Warm(t.Context(), nil, nil, tiered.Warming{Batch: -1, Concurrency: -2}, tiered.WithTTL(-3))
	for _, want := range []string{"iterator is nil", "load function is nil", "Batch is negative (-1)", "Concurrency is negative (-2)", "WithTTL(-3ns)"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if !errors.Is(err, tiered.ErrInvalidOption) {
		t.Errorf("%v is no ErrInvalidOption", err)
	}
	keys := slices.Values([]string{"k"})
	ints := slices.Values([]int{1})
	load := new(everything).load
	for name, warm := range map[string]func() (tiered.Warmed, error){
		"WithInfo": func() (tiered.Warmed, error) {
			return r.Warm(t.Context(), keys, load, tiered.Warming{}, tiered.WithInfo(new(tiered.Info)))
		},
		"a nil Region": func() (tiered.Warmed, error) {
			return (*tiered.Region[string])(nil).Warm(t.Context(), keys, load, tiered.Warming{})
		},
		"a nil Loading": func() (tiered.Warmed, error) {
			return (*tiered.Loading[int, string])(nil).Warm(t.Context(), ints, tiered.Warming{})
		},
		"no key function": func() (tiered.Warmed, error) {
			return tiered.BindMany(r, nil, func(context.Context, []int) (map[int]string, error) { return nil, nil }, tiered.Coalescing{}).Warm(t.Context(), ints, tiered.Warming{})
		},
		"no load function": func() (tiered.Warmed, error) {
			return tiered.Bind[int, string](r, strconv.Itoa, nil).Warm(t.Context(), ints, tiered.Warming{})
		},
		"a bad Coalescing": func() (tiered.Warmed, error) {
			return tiered.BindMany(r, strconv.Itoa, new(users).byIDs, tiered.Coalescing{MaxWait: -1}).Warm(t.Context(), ints, tiered.Warming{})
		},
	} {
		if got, err := warm(); err == nil || got != (tiered.Warmed{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if got := r.Stats().Loads; got != 0 {
		t.Errorf("%d loads", got)
	}
}

// A value that a Warm was loading when its key was invalidated is not kept, on any
// instance.
func TestADeleteDuringAWarmWins(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		rs := regions(t, instances(t, b, 2), tiered.Config[int]{Name: "items", Jitter: -1})
		for i, deletes := range rs { // here, and on another instance
			o := newOrigin()
			keys := []string{fmt.Sprint("a", i), fmt.Sprint("b", i)}
			o.commitAll(keys...)
			held := o.holdNext()
			var wg sync.WaitGroup
			wg.Go(func() {
				if got, err := rs[0].Warm(t.Context(), slices.Values(keys), o.loadMany, tiered.Warming{}); err != nil || got.Keys != 2 {
					t.Errorf("got %+v, %v", got, err)
				}
			})
			<-held.read
			o.commit(keys[0])
			if err := deletes.Delete(t.Context(), keys[0]); err != nil {
				t.Fatal(err)
			}
			close(held.release)
			wg.Wait()
			for _, r := range rs {
				eventually(t, "the new value", func() bool {
					v, err := r.GetOrLoad(t.Context(), keys[0], o.load)
					return err == nil && v == 2
				})
			}
			late := region(t, instances(t, b, 1)[0], tiered.Config[int]{Name: "items", Jitter: -1})
			if v, err := late.Get(t.Context(), keys[0]); err == nil && v != 2 {
				t.Errorf("Redis has %d", v)
			}
		}
	})
}

// What is warmed has the tags of the call, as what is read has.
func TestWarmedValuesHaveTheTagsOfTheCall(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		n := instances(t, b, 1)[0]
		r := region(t, n, tiered.Config[string]{Name: "items"})
		invalidateTags(t, n, "catalog") // so that it is known
		warm := func() {
			if got, err := r.Warm(t.Context(), slices.Values(manyNames(10)), new(everything).load, tiered.Warming{}, tiered.WithTags("catalog")); err != nil || got.Loaded != 10 {
				t.Errorf("got %+v, %v", got, err)
			}
		}
		warm()
		invalidateTags(t, n, "catalog")
		if got, err := r.GetMany(t.Context(), manyNames(10)); len(got) != 0 || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
		warm()
	})
}

// A node that cannot use Redis does not go to the origin for all keys, to keep what
// it gets for a moment: it waits.
func TestWarmWaitsForRedis(t *testing.T) {
	f := newFleet(t, 0)
	m := f.join(t)
	ready(t, m.Node)
	m.proxy.Refuse(true)
	m.proxy.Cut()
	eventually(t, "Redis is found to be down", func() bool { return m.Stats().Degraded })
	keys := f.origin
	names := manyNames(50)
	keys.commitAll(names...)
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if got, err := m.items.Warm(short, slices.Values(names), keys.loadMany, tiered.Warming{}); got != (tiered.Warmed{}) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without Redis: %+v, %v", got, err)
	}
	done := make(chan error, 1)
	go func() {
		got, err := m.items.Warm(t.Context(), slices.Values(names), keys.loadMany, tiered.Warming{Batch: 10})
		if got.Loaded != 50 {
			t.Errorf("got %+v", got)
		}
		done <- err
	}()
	if n := keys.reads.Load(); n != 0 {
		t.Errorf("%d loads without Redis", n)
	}
	m.proxy.Refuse(false)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := keys.reads.Load(); n != 50 {
		t.Errorf("%d keys were loaded, want 50", n)
	}
	late := f.join(t)
	if err := late.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := late.items.GetMany(t.Context(), names); len(got) != 50 || err != nil {
		t.Errorf("Redis has %d, %v", len(got), err)
	}
}

// Without pub/sub alone Redis keeps what is loaded, and invalidations are heard later, but heard: there is nothing to wait for.
func TestWarmGoesOnWithoutPubSub(t *testing.T) {
	f := newFleet(t, 1)
	m := f.members[0]
	m.proxy.PubSub().Refuse(true)
	m.proxy.PubSub().Cut()
	eventually(t, "the subscription is found to be lost", func() bool { return m.Stats().Degraded })
	names := manyNames(50)
	f.origin.commitAll(names...)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got, err := m.items.Warm(ctx, slices.Values(names), f.origin.loadMany, tiered.Warming{Batch: 10})
	if got.Loaded != 50 || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if !m.Stats().Degraded {
		t.Error("the subscription has come back")
	}
	if keys := valueKeys(t, m.client); len(keys) != 50 {
		t.Errorf("Redis has %d", len(keys))
	}
}

// A key whose load fails while there is a value past its life is counted apart:
// it is neither warm nor gone.
func TestWarmCountsStaleValues(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[string]{Name: "items", TTL: time.Minute, StaleFor: time.Hour, Jitter: -1})
		f := &flakyMany{table: newTable("a", "b", "c")}
		if got, err := r.Warm(t.Context(), slices.Values([]string{"a", "b"}), f.load, tiered.Warming{}); err != nil || got.Loaded != 2 {
			t.Errorf("got %+v, %v", got, err)
		}
		pass(2 * time.Minute)
		f.down.Store(true)
		got, err := r.Warm(t.Context(), slices.Values([]string{"a", "b", "c"}), f.load, tiered.Warming{})
		if got != (tiered.Warmed{Keys: 3, Stale: 2, Failed: 1}) || !errors.Is(err, errDown) {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// Typed keys, with either kind of load function.
func TestLoadingWarm(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		n := instances(t, b, 1)[0]
		u := new(users)
		for name, bind := range map[string]func(r *tiered.Region[string]) *tiered.Loading[int, string]{
			"one": func(r *tiered.Region[string]) *tiered.Loading[int, string] {
				return tiered.Bind(r, strconv.Itoa, u.byID)
			},
			"many": func(r *tiered.Region[string]) *tiered.Loading[int, string] {
				return tiered.BindMany(r, strconv.Itoa, u.byIDs, tiered.Coalescing{})
			},
		} {
			l := bind(region(t, n, tiered.Config[string]{Name: name}))
			var ids iter.Seq[int] = func(yield func(int) bool) {
				for i := range 110 { // those from 100 on do not exist
					if !yield(i) {
						return
					}
				}
			}
			u.took()
			got, err := l.Warm(t.Context(), ids, tiered.Warming{Batch: 20})
			if err != nil || got != (tiered.Warmed{Keys: 110, Loaded: 100, Absent: 10}) {
				t.Errorf("%s: got %+v, %v", name, got, err)
			}
			if calls := len(u.took()); calls != map[string]int{"one": 110, "many": 6}[name] {
				t.Errorf("%s: %d loads", name, calls)
			}
			if v, err := l.Get(t.Context(), 42); v != "user 42" || err != nil || len(u.took()) != 0 {
				t.Errorf("%s: got %q, %v", name, v, err)
			}
		}
	})
}

// Values that are being read stay in L1, however many keys are warmed beside them.
func TestWarmLeavesWhatIsHotWithoutRace(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool forgets under the race detector, and Ristretto learns no frequencies")
	}
	n := open(t, tiered.Options{Local: true, L1MaxBytes: 1 << 20})
	r := region(t, n, tiered.Config[string]{Name: "items", Size: func(string) int64 { return 400 }})
	o := new(everything)
	hot := manyNames(200)
	touch := func() (hits int) {
		for _, k := range hot {
			if _, err := r.Get(t.Context(), k); err == nil {
				hits++
			}
		}
		return hits
	}
	if _, err := r.Warm(t.Context(), slices.Values(hot), o.load, tiered.Warming{}); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		touch()
	}
	cold := func(yield func(string) bool) {
		for i := range 20_000 { // L1 has room for a thousand
			if !yield(fmt.Sprint("cold ", i)) {
				return
			}
		}
	}
	if _, err := r.Warm(t.Context(), cold, o.load, tiered.Warming{Progress: func(tiered.Warmed) { touch() }}); err != nil {
		t.Fatal(err)
	}
	if got := touch(); got < len(hot)*9/10 {
		t.Errorf("%d of %d hot values are left", got, len(hot))
	}
}
