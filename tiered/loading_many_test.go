package tiered_test

import (
	"context"
	"errors"
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

// users is an origin with typed keys.
type users struct {
	mu    sync.Mutex
	calls [][]int
	hold  chan struct{} // loads wait for it; nil: they do not
	err   error
	boom  any
}

func (u *users) byIDs(ctx context.Context, ids []int) (map[int]string, error) {
	u.mu.Lock()
	u.calls = append(u.calls, slices.Sorted(slices.Values(ids)))
	hold, err, boom := u.hold, u.err, u.boom
	u.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if boom != nil {
		panic(boom)
	}
	found := make(map[int]string)
	for _, id := range ids {
		if id < 100 {
			found[id] = "user " + strconv.Itoa(id)
		}
	}
	return found, err
}

func (u *users) byID(ctx context.Context, id int) (string, error) {
	found, err := u.byIDs(ctx, []int{id})
	if v, ok := found[id]; ok || err != nil {
		return v, err
	}
	return "", tiered.ErrNotFound
}

func (u *users) took() [][]int {
	u.mu.Lock()
	defer u.mu.Unlock()
	calls := u.calls
	u.calls = nil
	return calls
}

func TestLoadingOfManyKeys(t *testing.T) {
	binds := map[string]func(r *tiered.Region[string], u *users) *tiered.Loading[int, string]{
		"Bind": func(r *tiered.Region[string], u *users) *tiered.Loading[int, string] {
			return tiered.Bind(r, strconv.Itoa, u.byID)
		},
		"BindMany": func(r *tiered.Region[string], u *users) *tiered.Loading[int, string] {
			return tiered.BindMany(r, strconv.Itoa, u.byIDs, tiered.Coalescing{})
		},
		"BindMany with coalescing": func(r *tiered.Region[string], u *users) *tiered.Loading[int, string] {
			return tiered.BindMany(r, strconv.Itoa, u.byIDs, tiered.Coalescing{MaxWait: time.Millisecond})
		},
	}
	for name, bind := range binds {
		t.Run(name, func(t *testing.T) {
			r := region(t, instances(t, redistest.Mini(t), 1)[0], tiered.Config[string]{Name: "users"})
			u := &users{}
			l := bind(r, u)
			if v, err := l.Get(t.Context(), 1); v != "user 1" || err != nil {
				t.Errorf("Get: %q, %v", v, err)
			}
			if _, err := l.Get(t.Context(), 100); !errors.Is(err, tiered.ErrAbsent) {
				t.Errorf("Get of what is not there: %v", err)
			}
			u.took()
			want := map[int]string{1: "user 1", 2: "user 2", 3: "user 3"}
			for range 2 {
				got, err := l.GetMany(t.Context(), []int{1, 2, 3, 2, 100, 101})
				if err != nil || !maps.Equal(got, want) {
					t.Errorf("GetMany: %v, %v", got, err)
				}
			}
			calls := u.took()
			if ids := slices.Sorted(slices.Values(slices.Concat(calls...))); !slices.Equal(ids, []int{2, 3, 101}) || name != "Bind" && len(calls) != 1 {
				t.Errorf("loads of %v", calls)
			}
			if err := l.Delete(t.Context(), 1, 2); err != nil {
				t.Error(err)
			}
			u.err = errGone
			got, err := l.GetMany(t.Context(), []int{2, 3, 102})
			wantErr := "102"
			if name == "Bind" {
				wantErr = "2" // a load of one key has either a value or an error
			}
			if _, ok := got[3]; !ok || !errors.Is(err, errGone) || failures(t, err).Errs[wantErr] == nil {
				t.Errorf("GetMany with an error: %v, %v", got, err)
			}
			u.boom = "boom"
			var p *tiered.LoadPanicError
			if _, err := l.GetMany(t.Context(), []int{7, 8}); !errors.As(err, &p) || p.Value != "boom" || len(failures(t, err).Errs) != 2 {
				t.Errorf("GetMany with a panic: %v", err)
			}
			if _, err := l.Get(t.Context(), 9); !errors.As(err, &p) || p.Value != "boom" || p.Key != "9" || len(p.Stack) == 0 {
				t.Errorf("Get with a panic: %v", err)
			}
		})
	}
}

func TestBindManyWithoutFunctionsOrSense(t *testing.T) {
	r := region(t, local(t), tiered.Config[string]{Name: "users"})
	u := &users{}
	for name, l := range map[string]*tiered.Loading[int, string]{
		"nil":           nil,
		"nil region":    tiered.BindMany(nil, strconv.Itoa, u.byIDs, tiered.Coalescing{MaxWait: 1}),
		"nil key":       tiered.BindMany(r, nil, u.byIDs, tiered.Coalescing{MaxWait: 1}),
		"nil load":      tiered.BindMany[int, string](r, strconv.Itoa, nil, tiered.Coalescing{MaxWait: 1}),
		"negative wait": tiered.BindMany(r, strconv.Itoa, u.byIDs, tiered.Coalescing{MaxWait: -1}),
		"negative size": tiered.BindMany(r, strconv.Itoa, u.byIDs, tiered.Coalescing{MaxWait: 1, MaxBatch: -1}),
		"too long":      tiered.BindMany(r, strconv.Itoa, u.byIDs, tiered.Coalescing{MaxWait: tiered.DefaultLoadTimeout}),
		"no wait":       tiered.BindMany(r, strconv.Itoa, u.byIDs, tiered.Coalescing{MaxBatch: 7}),
	} {
		if _, err := l.Get(t.Context(), 1); !errors.Is(err, tiered.ErrInvalidOption) {
			t.Errorf("%s: Get: %v", name, err)
		}
		if _, err := l.GetMany(t.Context(), []int{1}); !errors.Is(err, tiered.ErrInvalidOption) {
			t.Errorf("%s: GetMany: %v", name, err)
		}
		if _, err := l.Warm(t.Context(), slices.Values([]int{1}), tiered.Warming{}); !errors.Is(err, tiered.ErrInvalidOption) {
			t.Errorf("%s: Warm: %v", name, err)
		}
	}
	_, err := tiered.BindMany[int, string](r, strconv.Itoa, nil, tiered.Coalescing{MaxWait: -1, MaxBatch: -2}).Get(t.Context(), 1)
	for _, want := range []string{"load function is nil", "MaxWait is negative", "MaxBatch is negative (-2)"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	var none *tiered.Loading[int, string]
	if err := none.Delete(t.Context(), 1); err == nil {
		t.Error("Delete of nothing")
	}
}

// Concurrent misses of single keys become one load: when the time is over, or as
// soon as there are enough of them.
func TestCoalescing(t *testing.T) {
	tests := []struct {
		name  string
		c     tiered.Coalescing
		gets  int
		calls int
	}{
		{"by size", tiered.Coalescing{MaxWait: 20 * time.Second, MaxBatch: 8}, 16, 2},
		{"by time", tiered.Coalescing{MaxWait: 200 * time.Millisecond}, 8, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := region(t, instances(t, redistest.Mini(t), 1)[0], tiered.Config[string]{Name: "users"})
			u := &users{}
			l := tiered.BindMany(r, strconv.Itoa, u.byIDs, tt.c)
			var wg sync.WaitGroup
			for id := range tt.gets {
				for range 2 { // the second shares the first one's load
					wg.Go(func() {
						if v, err := l.Get(t.Context(), id); v != "user "+strconv.Itoa(id) || err != nil {
							t.Errorf("%d: %q, %v", id, v, err)
						}
					})
				}
			}
			wg.Wait()
			calls := u.took()
			if n := len(slices.Concat(calls...)); n != tt.gets || tt.name == "by size" && len(calls) != tt.calls {
				t.Errorf("loads of %v, want %d of %d keys", calls, tt.calls, tt.gets)
			}
			if s := r.Stats(); s.Loads != uint64(tt.gets) {
				t.Errorf("%d loads are counted, want one for each key", s.Loads)
			}
		})
	}
}

// All that are gathered into one load get its error, each for its own key; the
// load's context ends when nobody waits any more.
func TestCoalescedLoadThatFailsOrIsAbandoned(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[string]{Name: "users", LoadTimeout: 200 * time.Millisecond})
		u := &users{err: errGone}
		l := tiered.BindMany(r, strconv.Itoa, u.byIDs, tiered.Coalescing{MaxWait: 199 * time.Millisecond, MaxBatch: 2})
		both := func(a, b int) (errs [2]error) {
			var wg sync.WaitGroup
			for i, id := range []int{a, b} {
				wg.Go(func() { _, errs[i] = l.Get(t.Context(), id) })
			}
			wg.Wait()
			return errs
		}
		if errs := both(1, 101); errs[0] != nil || !errors.Is(errs[1], errGone) || errors.Is(errs[1], tiered.ErrNotFound) {
			t.Errorf("a load that fails in part: %v", errs)
		}
		u.boom = "boom"
		for i, err := range both(2, 3) {
			var p *tiered.LoadPanicError
			if !errors.As(err, &p) || p.Value != "boom" {
				t.Errorf("%d: %v", i, err)
			}
		}
		u.boom, u.err, u.hold = nil, nil, make(chan struct{})
		for i, err := range both(4, 5) {
			if !errors.Is(err, tiered.ErrLoadTimeout) {
				t.Errorf("%d: %v, want ErrLoadTimeout", i, err)
			}
		}
	})
}

// A Get that coalesces and a GetMany share what is under way.
func TestCoalescingSharesLoadsWithBatches(t *testing.T) {
	n := instances(t, redistest.Mini(t), 1)[0]
	r := region(t, n, tiered.Config[string]{Name: "users"})
	u := &users{hold: make(chan struct{})}
	l := tiered.BindMany(r, strconv.Itoa, u.byIDs, tiered.Coalescing{MaxWait: time.Millisecond})
	var wg sync.WaitGroup
	wg.Go(func() {
		if v, err := l.Get(t.Context(), 1); v != "user 1" || err != nil {
			t.Error(v, err)
		}
	})
	begun := func(n int) {
		eventually(t, "a load has begun", func() bool {
			u.mu.Lock()
			defer u.mu.Unlock()
			return len(u.calls) == n
		})
	}
	begun(1)
	wg.Go(func() {
		if got, err := l.GetMany(t.Context(), []int{1, 2}); len(got) != 2 || err != nil {
			t.Error(got, err)
		}
	})
	begun(2)
	close(u.hold)
	wg.Wait()
	if calls := u.took(); !slices.EqualFunc(calls, [][]int{{1}, {2}}, slices.Equal) {
		t.Errorf("loads of %v", calls)
	}
}

// What a region does with strings a Loading does with keys.
func TestLoadingNamesKeys(t *testing.T) {
	n := local(t)
	r := region(t, n, tiered.Config[string]{Name: "items", StaleFor: time.Hour})
	value := "1"
	l := tiered.Bind(r, strconv.Itoa, func(context.Context, int) (string, error) { return value, nil })
	is := func(want string) {
		t.Helper()
		if v, err := l.Get(t.Context(), 7); err != nil || v != want {
			t.Errorf("got %q, %v, want %q", v, err, want)
		}
	}
	is("1")
	if l.Key(7) != "7" || l.Ref(7) != r.Ref("7") {
		t.Errorf("key %q, ref %v", l.Key(7), l.Ref(7))
	}
	value = "2"
	succeeds(t, l.Expire(t.Context(), 7))
	is("2")
	value = "3"
	succeeds(t, n.Delete(t.Context(), l.Ref(7)))
	is("3")

	var none *tiered.Loading[int, string]
	noKey := tiered.Bind[int](r, nil, func(context.Context, int) (string, error) { return "", nil })
	for name, l := range map[string]*tiered.Loading[int, string]{"nil": none, "without a key function": noKey} {
		if err := l.Expire(t.Context(), 7); !errors.Is(err, tiered.ErrInvalidOption) {
			t.Errorf("%s: Expire: %v", name, err)
		}
		if err := n.Delete(t.Context(), l.Ref(7)); !errors.Is(err, tiered.ErrInvalidKey) || l.Key(7) != "" {
			t.Errorf("%s: Delete of its Ref: %v", name, err)
		}
	}
}

// What a gathered load returns beyond what it was asked for is ignored, and said
// once.
func TestSuperfluousValuesOfAGatheredLoad(t *testing.T) {
	var log logs
	n := instances(t, redistest.Mini(t), 1, func(o *tiered.Options) { o.Logger = log.logger() })[0]
	r := region(t, n, tiered.Config[string]{Name: "users"})
	l := tiered.BindMany(r, strconv.Itoa, func(_ context.Context, ids []int) (map[int]string, error) {
		return map[int]string{ids[0]: "asked", 100: "not asked"}, nil
	}, tiered.Coalescing{MaxWait: time.Millisecond})
	for id := range 3 {
		if v, err := l.Get(t.Context(), id); v != "asked" || err != nil {
			t.Errorf("%d: %q, %v", id, v, err)
		}
	}
	if lines := log.lines("not asked for"); len(lines) != 1 {
		t.Errorf("said %d times: %v", len(lines), lines)
	}
}

// Where the loads of a batch are made one by one, none begins when LoadTimeout is
// over: the keys that have not begun fail with it.
func TestNoLoadOfABatchBeginsAfterLoadTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		const limit = time.Second
		r := region(t, b.node(t), tiered.Config[string]{Name: "users", LoadTimeout: limit})
		began := time.Now()
		var loads, late atomic.Int64
		l := tiered.Bind(r, strconv.Itoa, func(context.Context, int) (string, error) {
			loads.Add(1)
			if time.Since(began) > limit {
				late.Add(1)
			}
			time.Sleep(600 * time.Millisecond) //nolint:forbidigo // the clock of a bubble; the load does not look at its context
			return "v", nil
		})
		ids := make([]int, 320)
		for i := range ids {
			ids[i] = i
		}
		got, err := l.GetMany(t.Context(), ids)
		if e := failures(t, err); len(got)+len(e.Errs) != len(ids) || !errors.Is(e.Errs["319"], tiered.ErrLoadTimeout) {
			t.Errorf("%d values, %d failed: %v", len(got), len(e.Errs), err)
		}
		pass(time.Minute)
		if late.Load() > 0 || loads.Load() != 32 {
			t.Errorf("%d loads, of them %d too late; want two times sixteen", loads.Load(), late.Load())
		}
	})
}

// A key function that panics in the middle of a load is the load's panic, and not
// the end of the process.
func TestKeyFunctionThatPanicsDuringALoad(t *testing.T) {
	r := region(t, instances(t, redistest.Mini(t), 1)[0], tiered.Config[string]{Name: "users"})
	var loading atomic.Bool
	key := func(id int) string {
		if loading.Load() {
			panic("key")
		}
		return strconv.Itoa(id)
	}
	fails := func(context.Context, int) (string, error) { loading.Store(true); return "", errGone }
	got, err := tiered.Bind(r, key, fails).GetMany(t.Context(), []int{1, 2})
	if len(got) != 0 || !errors.Is(err, errGone) {
		t.Errorf("got %v, %v", got, err)
	}
	loading.Store(false)
	panics := func(context.Context, int) (string, error) { loading.Store(true); panic("load") }
	var p *tiered.LoadPanicError
	if _, err = tiered.Bind(r, key, panics).GetMany(t.Context(), []int{1, 2}); !errors.As(err, &p) || p.Value != "load" {
		t.Errorf("got %v", err)
	}
}
