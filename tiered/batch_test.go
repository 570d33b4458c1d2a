package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// table is an origin that is asked for many keys, and counts.
type table struct {
	mu    sync.Mutex
	rows  map[string]string
	calls [][]string // the keys of each load, in order
	err   error
}

func newTable(keys ...string) *table {
	tb := &table{rows: make(map[string]string)}
	for _, k := range keys {
		tb.rows[k] = "v" + k
	}
	return tb
}

func (tb *table) load(_ context.Context, keys []string) (map[string]string, error) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.calls = append(tb.calls, slices.Sorted(slices.Values(keys)))
	found := make(map[string]string)
	for _, k := range keys {
		if v, ok := tb.rows[k]; ok {
			found[k] = v
		}
	}
	return found, tb.err
}

// set gives a key another value; empty: none.
func (tb *table) set(key, value string) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if tb.rows[key] = value; value == "" {
		delete(tb.rows, key)
	}
}

// loaded fails the test unless the loads since the last time were exactly these.
func (tb *table) loaded(t testing.TB, want ...[]string) {
	t.Helper()
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if !slices.EqualFunc(tb.calls, want, slices.Equal) {
		t.Errorf("loads of %v, want %v", tb.calls, want)
	}
	tb.calls = nil
}

// wantMany fails the test unless the map has these keys and no others, with the
// table's values.
func wantMany(t testing.TB, got map[string]string, err error, keys ...string) {
	t.Helper()
	if err != nil {
		t.Errorf("error: %v", err)
	}
	want := make(map[string]string)
	for _, k := range keys {
		want[k] = "v" + k
	}
	if got == nil || !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// failures are the keys of a BatchError.
func failures(t testing.TB, err error) *tiered.BatchError {
	t.Helper()
	var batch *tiered.BatchError
	if !errors.As(err, &batch) {
		t.Fatalf("%v is no BatchError", err)
	}
	return batch
}

func manyNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}

// A call for many keys takes each from where it is.
func TestGetOrLoadManyTakesEachKeyFromWhereItIs(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		rs := regions(t, instances(t, b, 2), tiered.Config[string]{Name: "items", Jitter: -1})
		here, there := rs[0], rs[1]
		tb := newTable("l1", "l2", "origin")
		one := func(ctx context.Context, k string) (string, error) {
			m, err := tb.load(ctx, []string{k})
			return m[k], err
		}
		if _, err := here.GetOrLoad(t.Context(), "l1", one); err != nil {
			t.Fatal(err)
		}
		settles(t, here, "l1")
		if _, err := there.GetOrLoad(t.Context(), "l2", one); err != nil {
			t.Fatal(err)
		}
		tb.loaded(t, []string{"l1"}, []string{"l2"})
		before := here.Stats()
		got, err := here.GetOrLoadMany(t.Context(), []string{"l1", "l2", "origin", "absent", "l2"}, tb.load)
		wantMany(t, got, err, "l1", "l2", "origin")
		tb.loaded(t, []string{"absent", "origin"})
		after := here.Stats()
		for _, count := range []struct {
			what      string
			got, want uint64
		}{
			{"L1 hits", after.L1Hits - before.L1Hits, 1},
			{"L2 hits", after.L2Hits - before.L2Hits, 1},
			{"L2 misses", after.L2Misses - before.L2Misses, 2},
			{"loads", after.Loads - before.Loads, 2},
			{"load errors", after.LoadErrors - before.LoadErrors, 0},
		} {
			if count.got != count.want {
				t.Errorf("%d %s, want %d", count.got, count.what, count.want)
			}
		}
		// What was left out is known to be absent, here and there.
		got, err = there.GetOrLoadMany(t.Context(), []string{"l1", "l2", "origin", "absent"}, tb.load)
		wantMany(t, got, err, "l1", "l2", "origin")
		tb.loaded(t)
		if _, err := there.Get(t.Context(), "absent"); !errors.Is(err, tiered.ErrAbsent) {
			t.Errorf("Get of a key that was left out: %v, want ErrAbsent", err)
		}
	})
}

func TestGetManyFindsWhatThereIs(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		rs := regions(t, instances(t, b, 2), tiered.Config[string]{Name: "items", Jitter: -1})
		if err := rs[0].SetMany(t.Context(), map[string]string{"a": "va", "b": "vb"}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			got, err := rs[1].GetMany(t.Context(), []string{"a", "none", "b", "a"})
			wantMany(t, got, err, "a", "b")
		}
		got, err := rs[1].GetMany(t.Context(), []string{"a", "b"}, tiered.BypassL1())
		wantMany(t, got, err, "a", "b")
		if s := rs[1].Stats(); s.Loads != 0 {
			t.Errorf("%d loads", s.Loads)
		}
	})
}

// Every way to use a region keeps the values of a batch.
func TestBatchesInEveryMode(t *testing.T) {
	for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L1Only, tiered.L2Only} {
		t.Run(mode.String(), func(t *testing.T) {
			rs := regions(t, instances(t, redistest.Mini(t), 2), tiered.Config[string]{Name: "items", Mode: mode})
			testBatches(t, rs[0])
			if err := rs[0].SetMany(t.Context(), map[string]string{"a": "new"}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the other instance has dropped its copy", func() bool {
				got, err := rs[1].GetMany(t.Context(), []string{"a"})
				return err == nil && got["a"] != "va"
			})
		})
	}
	t.Run("local", func(t *testing.T) {
		testBatches(t, region(t, local(t), tiered.Config[string]{Name: "items"}))
	})
}

func testBatches(t *testing.T, r *tiered.Region[string]) {
	t.Helper()
	tb := newTable("a", "b")
	names := []string{"a", "b", "c"}
	got, err := r.GetMany(t.Context(), names)
	wantMany(t, got, err)
	got, err = r.GetOrLoadMany(t.Context(), names, tb.load)
	wantMany(t, got, err, "a", "b")
	tb.loaded(t, names)
	got, err = r.GetOrLoadMany(t.Context(), names, tb.load)
	wantMany(t, got, err, "a", "b")
	got, err = r.GetMany(t.Context(), names)
	wantMany(t, got, err, "a", "b")
	tb.loaded(t)
	if err := r.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	got, err = r.GetMany(t.Context(), names)
	wantMany(t, got, err, "b")
	got, err = r.GetOrLoadMany(t.Context(), names, tb.load, tiered.ForceLoad())
	wantMany(t, got, err, "a", "b")
	tb.loaded(t, names)
	if err := r.SetMany(t.Context(), map[string]string{"a": "va", "b": "vb", "d": "vd"}); err != nil {
		t.Fatal(err)
	}
	got, err = r.GetMany(t.Context(), []string{"a", "b", "d"})
	wantMany(t, got, err, "a", "b", "d")
}

func TestBatchesOfNothingAndOfInvalidKeys(t *testing.T) {
	caches := map[string]tiered.Cache[string]{
		"region": region(t, instances(t, redistest.Mini(t), 1)[0], tiered.Config[string]{Name: "items"}),
		"local":  region(t, local(t), tiered.Config[string]{Name: "items"}),
		"noop":   tiered.Noop[string](),
	}
	long := strings.Repeat("k", tiered.MaxKeyBytes+1)
	for name, c := range caches {
		t.Run(name, func(t *testing.T) {
			tb := newTable("good")
			got, err := c.GetOrLoadMany(t.Context(), nil, tb.load)
			wantMany(t, got, err)
			got, err = c.GetMany(t.Context(), nil)
			wantMany(t, got, err)
			if err := c.SetMany(t.Context(), nil); err != nil {
				t.Error(err)
			}
			tb.loaded(t)

			got, err = c.GetOrLoadMany(t.Context(), []string{"", "good", long, ""}, tb.load)
			wantMany(t, got, nil, "good")
			if keys := failures(t, err).Keys(); !slices.Equal(keys, []string{"", long}) || !errors.Is(err, tiered.ErrInvalidKey) {
				t.Errorf("failed: %d keys, %v", len(keys), err)
			}
			tb.loaded(t, []string{"good"})
			_, err = c.GetMany(t.Context(), []string{long})
			failures(t, err)
			err = c.SetMany(t.Context(), map[string]string{long: "x", "good": "vgood"})
			if keys := failures(t, err).Keys(); len(keys) != 1 {
				t.Errorf("%d keys were not set, want 1", len(keys))
			}
			if _, err := c.GetOrLoadMany(t.Context(), []string{"k"}, nil); err == nil {
				t.Error("a nil load function")
			}
		})
	}
}

func TestNoopLoadsEachBatchByItself(t *testing.T) {
	c := tiered.Noop[string]()
	tb := newTable("a")
	got, err := c.GetOrLoadMany(t.Context(), []string{"a", "b", "a"}, tb.load)
	wantMany(t, got, err, "a")
	tb.loaded(t, []string{"a", "b"})
	tb.err = errors.New("down")
	got, err = c.GetOrLoadMany(t.Context(), []string{"a", "b"}, tb.load)
	wantMany(t, got, nil, "a")
	if e := failures(t, err).Errs; len(e) != 1 || !errors.Is(e["b"], tb.err) {
		t.Errorf("failed: %v", e)
	}
	got, err = c.GetMany(t.Context(), []string{"a"})
	wantMany(t, got, err)
}

func TestOptionsOfBatches(t *testing.T) {
	r := region(t, instances(t, redistest.Mini(t), 1)[0], tiered.Config[string]{Name: "items"})
	tb := newTable("a")
	var info tiered.Info
	_, err := r.GetMany(t.Context(), []string{"a"}, tiered.WithInfo(&info))
	_, err2 := r.GetOrLoadMany(t.Context(), []string{"a"}, tb.load, tiered.WithInfo(&info))
	_, err3 := r.GetMany(t.Context(), []string{"a"}, tiered.ForceLoad())
	err4 := r.SetMany(t.Context(), nil, tiered.BypassL1())
	for i, err := range []error{err, err2, err3, err4} {
		if !errors.Is(err, tiered.ErrInvalidOption) {
			t.Errorf("%d: %v, want ErrInvalidOption", i, err)
		}
	}
	tb.loaded(t)
	if _, err := r.GetOrLoadMany(t.Context(), []string{"a"}, tb.load, tiered.WithTTL(1)); err != nil {
		t.Error(err)
	}
	eventually(t, "a value of one nanosecond is over", func() bool {
		got, err := r.GetMany(t.Context(), []string{"a"})
		return err == nil && len(got) == 0
	})
	var none *tiered.Region[string]
	if _, err := none.GetMany(t.Context(), []string{"a"}); err == nil {
		t.Error("GetMany of a nil region")
	}
	if err := none.SetMany(t.Context(), nil); err == nil {
		t.Error("SetMany of a nil region")
	}
}

// A load that returns an error: its values are used, and nothing is absent.
func TestLoadOfManyThatFailsInPart(t *testing.T) {
	down := errors.New("down")
	tests := []struct {
		name   string
		err    error
		failed []string // of a, b, c, of which the load has a
		is     error
	}{
		{"an error", down, []string{"b", "c"}, down},
		{"not found proves nothing here", tiered.ErrNotFound, []string{"b", "c"}, nil},
		{"nor does another region's absence", fmt.Errorf("inner: %w", tiered.ErrAbsent), []string{"b", "c"}, nil},
		{"nor does a configured error", errGone, []string{"b", "c"}, errGone},
		{"single keys", &tiered.BatchError{Errs: map[string]error{"b": down}}, []string{"b", "c"}, down},
		{"single keys that do not exist", &tiered.BatchError{Errs: map[string]error{"b": errGone, "c": down}}, []string{"c"}, down},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := region(t, instances(t, redistest.Mini(t), 1)[0], tiered.Config[string]{Name: "items", NotFound: []error{errGone}})
			tb := newTable("a")
			tb.err = tt.err
			got, err := r.GetOrLoadMany(t.Context(), []string{"a", "b", "c"}, tb.load)
			wantMany(t, got, nil, "a")
			if keys := failures(t, err).Keys(); !slices.Equal(keys, tt.failed) {
				t.Errorf("failed: %v, want %v", keys, tt.failed)
			}
			if tt.is != nil && !errors.Is(err, tt.is) || errors.Is(err, tiered.ErrNotFound) {
				t.Errorf("error %v, want %v", err, tt.is)
			}
			tb.loaded(t, []string{"a", "b", "c"})
			tb.err = nil
			_, err = r.GetOrLoadMany(t.Context(), []string{"a", "b", "c"}, tb.load)
			if err != nil {
				t.Error(err)
			}
			// The others are known. (In how many loads depends on how soon the leases
			// of those that failed are given back.)
			if again := slices.Sorted(slices.Values(slices.Concat(tb.calls...))); !slices.Equal(again, tt.failed) {
				t.Errorf("loaded again: %v, want %v", again, tt.failed)
			}
		})
	}
}

func TestSuperfluousValuesOfALoadAreIgnoredAndSaidOnce(t *testing.T) {
	var log logs
	n := instances(t, redistest.Mini(t), 1, func(o *tiered.Options) { o.Logger = log.logger() })[0]
	r := region(t, n, tiered.Config[string]{Name: "items"})
	for i := range 3 {
		key := strconv.Itoa(i)
		got, err := r.GetOrLoadMany(t.Context(), []string{key}, func(context.Context, []string) (map[string]string, error) {
			return map[string]string{key: "v" + key, "other": "x"}, nil
		})
		wantMany(t, got, err, key)
	}
	if _, err := r.Get(t.Context(), "other"); !errors.Is(err, tiered.ErrNotFound) {
		t.Errorf("a value that was not asked for: %v", err)
	}
	if lines := log.lines("not asked for"); len(lines) != 1 {
		t.Errorf("said %d times: %v", len(lines), lines)
	}
}

func TestLoadOfManyThatPanicsOrExits(t *testing.T) {
	tests := []struct {
		name string
		load func(context.Context, []string) (map[string]string, error)
		want string
	}{
		{"panic", func(context.Context, []string) (map[string]string, error) { panic(errGone) }, "panicked"},
		{"goexit", func(context.Context, []string) (map[string]string, error) { runtime.Goexit(); return nil, nil }, "Goexit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := region(t, instances(t, redistest.Mini(t), 1)[0], tiered.Config[string]{Name: "items", NotFound: []error{errGone}})
			got, err := r.GetOrLoadMany(t.Context(), []string{"a", "b"}, tt.load)
			wantMany(t, got, nil)
			for key, err := range failures(t, err).Errs {
				var p *tiered.LoadPanicError
				if !errors.As(err, &p) || p.Key != key || p.Goexit != (tt.want == "Goexit") || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%s: %v", key, err)
				}
			}
			tb := newTable("a") // the leases have been given up
			got, err = r.GetOrLoadMany(t.Context(), []string{"a", "b"}, tb.load)
			wantMany(t, got, err, "a")
		})
	}
}

// A function of the configuration that panics for one key does not concern the
// others.
func TestPanicForOneKeyOfABatch(t *testing.T) {
	b := redistest.Mini(t)
	r := region(t, instances(t, b, 1)[0], tiered.Config[string]{Name: "items", Clone: func(v string) string {
		if v == "vbad" {
			panic("clone")
		}
		return v
	}})
	tb := newTable("bad", "good")
	got, err := r.GetOrLoadMany(t.Context(), []string{"bad", "good"}, tb.load)
	wantMany(t, got, nil, "good")
	var p *tiered.LoadPanicError
	if keys := failures(t, err).Keys(); !slices.Equal(keys, []string{"bad"}) || !errors.As(err, &p) {
		t.Errorf("failed: %v, %v", keys, err)
	}
	leases, err := b.Client(t).Keys(t.Context(), "test:{*}:l:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "no lease is left", func() bool {
		leases = b.Client(t).Keys(t.Context(), "test:{*}:l:*").Val()
		return len(leases) == 0
	})
}

func TestBatchOfTenThousandKeys(t *testing.T) {
	n := instances(t, redistest.Real(t), 2)
	rs := regions(t, n, tiered.Config[string]{Name: "items", Jitter: -1})
	names := manyNames(10_000)
	tb := newTable(names[:9_000]...)
	got, err := rs[0].GetOrLoadMany(t.Context(), names, tb.load)
	wantMany(t, got, err, names[:9_000]...)
	if len(tb.calls) != 1 || len(tb.calls[0]) != len(names) {
		t.Errorf("%d loads", len(tb.calls))
	}
	got, err = rs[1].GetOrLoadMany(t.Context(), names, tb.load)
	wantMany(t, got, err, names[:9_000]...)
	if len(tb.calls) != 1 {
		t.Errorf("%d loads", len(tb.calls))
	}
	if err := rs[0].Delete(t.Context(), names...); err != nil {
		t.Error(err)
	}
	got, err = rs[0].GetMany(t.Context(), names)
	wantMany(t, got, err)
	values := make(map[string]string)
	for _, k := range names {
		values[k] = "v" + k
	}
	if err := rs[1].SetMany(t.Context(), values); err != nil {
		t.Error(err)
	}
	got, err = rs[0].GetMany(t.Context(), names)
	wantMany(t, got, err, names...)
}

func TestBatchErrorIsReadable(t *testing.T) {
	errs := make(map[string]error)
	for i := range 10_000 {
		errs[fmt.Sprintf("%04d%s", i, strings.Repeat("k", 2000))] = errors.New(strings.Repeat("x", 1<<12))
	}
	errs["0001"] = fmt.Errorf("wrapped: %w", errGone)
	e := &tiered.BatchError{Region: "items", Errs: errs}
	msg := e.Error()
	if len(msg) > 1500 || !strings.Contains(msg, "10001 keys failed in region items") || !strings.Contains(msg, "and 9998 more") || msg != e.Error() {
		t.Errorf("message of %d bytes: %.300s", len(msg), msg)
	}
	if !errors.Is(e, errGone) || errors.Is(e, context.Canceled) {
		t.Error("errors.Is does not look into it")
	}
	if keys := e.Keys(); !slices.IsSorted(keys) || len(keys) != 10_001 {
		t.Errorf("%d keys", len(keys))
	}
	if got := e.Unwrap(); !errors.Is(got[1], errs[e.Keys()[1]]) {
		t.Error("errors are not in the order of keys")
	}
	one := &tiered.BatchError{Errs: map[string]error{"k": errGone}}
	if got := one.Error(); got != `doppio: 1 key failed: "k": `+errGone.Error() {
		t.Error(got)
	}
}
