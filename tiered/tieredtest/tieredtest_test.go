package tieredtest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
	"github.com/doppio-cache/doppio/tiered/tieredtest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

func TestWhatThereIsConforms(t *testing.T) {
	t.Run("Cache", func(t *testing.T) {
		tieredtest.Conformance(t, func(t *testing.T) tiered.Cache[string] {
			return tieredtest.New(t, tiered.Config[string]{})
		})
	})
	t.Run("Guard", func(t *testing.T) {
		tieredtest.Conformance(t, func(t *testing.T) tiered.Cache[string] {
			return tieredtest.Guard(t, tieredtest.New(t, tiered.Config[string]{}))
		})
	})
	t.Run("Noop", func(t *testing.T) {
		tieredtest.Conformance(t, func(*testing.T) tiered.Cache[string] { return tiered.Noop[string]() }, tieredtest.HoldsNothing())
	})
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		tieredtest.Conformance(t, func(t *testing.T) tiered.Cache[string] {
			b.FlushAll(t)
			n, err := tiered.Open(t.Context(), tiered.Options{
				Redis: b.Client(t), Prefix: "test", L2Timeout: time.Minute, Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = n.Close() })
			if err := n.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			r, err := tiered.New(n, tiered.Config[string]{Name: "items"})
			if err != nil {
				t.Fatal(err)
			}
			return r
		})
	})
}

func TestCallsAreRecorded(t *testing.T) {
	ctx := t.Context()
	c := tieredtest.New(t, tiered.Config[int]{})
	_, _ = c.Get(ctx, "a")
	_, _ = c.GetOrLoad(ctx, "b", func(context.Context, string) (int, error) { return 1, nil })
	_ = c.Set(ctx, "c", 1)
	_ = c.Delete(ctx, "d", "e")
	_ = c.InvalidateTags(ctx, "f")
	_ = c.Clear(ctx)
	_, _ = c.GetMany(ctx, []string{"g", "h"})
	_, _ = c.GetOrLoadMany(ctx, []string{"i"}, func(context.Context, []string) (map[string]int, error) { return nil, nil })
	_ = c.SetMany(ctx, map[string]int{"k": 1, "j": 2})
	want := []string{
		`Get["a"]`, `GetOrLoad["b"]`, `Set["c"]`, `Delete["d" "e"]`, `InvalidateTags["f"]`, `Clear[]`,
		`GetMany["g" "h"]`, `GetOrLoadMany["i"]`, `SetMany["j" "k"]`,
	}
	var got []string
	for _, call := range c.Calls() {
		got = append(got, call.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	c.Reset()
	if got := c.Calls(); len(got) != 0 {
		t.Errorf("after Reset: %v", got)
	}
}

func TestABrokenCacheBehavesAsOneWithoutRedis(t *testing.T) {
	ctx := t.Context()
	c := tieredtest.New(t, tiered.Config[int]{Name: "items"})
	if err := c.Set(ctx, "k", 1); err != nil {
		t.Fatal(err)
	}
	why := errors.New("no cable")
	c.Break(why)
	info := tiered.Info{Source: tiered.SourceL1}
	if _, err := c.Get(ctx, "k", tiered.WithInfo(&info)); !errors.Is(err, tiered.ErrUnavailable) || !errors.Is(err, why) || info != (tiered.Info{}) {
		t.Errorf("Get: %v, %+v", err, info)
	}
	loads := 0
	for range 2 {
		v, err := c.GetOrLoad(ctx, "k", func(context.Context, string) (int, error) { loads++; return 2, nil })
		if v != 2 || err != nil {
			t.Errorf("GetOrLoad: %v, %v", v, err)
		}
	}
	if loads != 2 {
		t.Errorf("%d loads, want 2", loads)
	}
	for name, err := range map[string]error{
		"Set": c.Set(ctx, "k", 3), "Delete": c.Delete(ctx, "k"),
		"InvalidateTags": c.InvalidateTags(ctx, "t"), "Clear": c.Clear(ctx),
	} {
		var pending *tiered.PendingError
		if !errors.As(err, &pending) || !errors.Is(err, why) || len(pending.Refs)+len(pending.Tags)+len(pending.Region) == 0 {
			t.Errorf("%s: %+v", name, err)
		}
	}
	c.Mend()
	if _, err := c.Get(ctx, "k"); !errors.Is(err, tiered.ErrNotFound) {
		t.Errorf("the invalidations have been carried out: %v", err)
	}
	if got := c.Contents(); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

// recorder is a testing.TB that is told to fail, and when it ends.
type recorder struct {
	testing.TB
	errors   []string
	cleanups []func()
}

func (r *recorder) Helper()             {}
func (r *recorder) Cleanup(f func())    { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Logf(string, ...any) {}
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func TestGuardNoticesWhoModifiesASharedValue(t *testing.T) {
	load := func(context.Context, string) (map[string]int, error) { return map[string]int{"a": 1}, nil }
	tests := []struct {
		name  string
		cfg   tiered.Config[map[string]int]
		use   func(ctx context.Context, c tiered.Cache[map[string]int])
		fails int
	}{
		{"nobody", tiered.Config[map[string]int]{}, func(ctx context.Context, c tiered.Cache[map[string]int]) {
			_, _ = c.GetOrLoad(ctx, "k", load)
			_, _ = c.Get(ctx, "k")
		}, 0},
		{"a reader", tiered.Config[map[string]int]{}, func(ctx context.Context, c tiered.Cache[map[string]int]) {
			_, _ = c.GetOrLoad(ctx, "k", load)
			v, _ := c.Get(ctx, "k")
			v["a"]++
		}, 1},
		{"the one who sets", tiered.Config[map[string]int]{}, func(ctx context.Context, c tiered.Cache[map[string]int]) {
			v := map[string]int{"a": 1}
			_ = c.Set(ctx, "k", v)
			v["a"]++
		}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &recorder{TB: t}
			tt.use(t.Context(), tieredtest.Guard(r, tieredtest.New(t, tt.cfg)))
			r.end()
			if len(r.errors) != tt.fails {
				t.Errorf("got %q, want %d errors", r.errors, tt.fails)
			}
		})
	}
}

func (r *recorder) end() {
	for _, f := range r.cleanups {
		f()
	}
}

// greeter is a service that depends on a cache.
type greeter struct{ names tiered.Cache[string] }

func (g greeter) greet(ctx context.Context, id string) (string, error) {
	name, err := g.names.GetOrLoad(ctx, id, func(context.Context, string) (string, error) { return "Ada", nil })
	return "Hello, " + name, err
}

func ExampleNew() {
	t := new(recorder) // in a test, its own *testing.T
	defer t.end()
	names := tieredtest.New(t, tiered.Config[string]{Name: "names"})
	g := greeter{names}
	greeting, err := g.greet(context.Background(), "1")
	fmt.Println(greeting, err)
	names.Break(nil)
	greeting, err = g.greet(context.Background(), "1")
	fmt.Println(greeting, err)
	fmt.Println(names.Calls())
	// Output:
	// Hello, Ada <nil>
	// Hello, Ada <nil>
	// [GetOrLoad["1"] GetOrLoad["1"]]
}

// Values are shared by all who read them. A Guard fails the test in which one of
// them was modified.
func ExampleGuard() {
	t := new(recorder) // in a test, its own *testing.T
	ctx := context.Background()
	lists := tieredtest.Guard(t, tieredtest.New(t, tiered.Config[[]string]{Name: "lists"}))
	load := func(context.Context, string) ([]string, error) { return []string{"saw", "file"}, nil }
	list, _ := lists.GetOrLoad(ctx, "tools", load)
	list[0] = "hammer" // of all who read it: copy it first
	t.end()
	fmt.Println(len(t.errors), "error")
	// Output:
	// 1 error
}

// In a testing/synctest bubble lives end without waiting, to the nanosecond.
func TestLivesEndInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rates := tieredtest.New(t, tiered.Config[int]{TTL: time.Hour, Jitter: -1})
		region, err := tiered.New(tieredtest.Open(t), tiered.Config[int]{Name: "rates", TTL: time.Hour, Jitter: -1})
		must(t, err)
		for _, c := range []tiered.Cache[int]{rates, region} {
			must(t, c.Set(t.Context(), "k", 1))
			time.Sleep(time.Hour - time.Nanosecond) //nolint:forbidigo // the clock of a bubble
			if v, err := c.Get(t.Context(), "k"); v != 1 || err != nil {
				t.Errorf("%T, before the end: got %v, %v", c, v, err)
			}
			time.Sleep(time.Nanosecond) //nolint:forbidigo // the clock of a bubble
			if v, err := c.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) {
				t.Errorf("%T, after it: got %v, %v", c, v, err)
			}
		}
	})
}

// A map has another encoding each time, which is no modification.
func TestGuardOfMaps(t *testing.T) {
	for _, modified := range []bool{false, true} {
		r := &recorder{TB: t}
		c := tieredtest.Guard(r, tieredtest.New(t, tiered.Config[map[string]int]{}))
		v := map[string]int{}
		for i := range 50 {
			v[strconv.Itoa(i)] = i
		}
		must(t, c.Set(t.Context(), "k", v))
		if modified {
			v["7"]++
		}
		r.end()
		if got := len(r.errors) > 0; got != modified {
			t.Errorf("modified: %v; the guard says %q", modified, r.errors)
		}
	}
}

// A cache that is broken differs from one whose Redis is gone in nothing else.
func TestBrokenCacheKeepsItsRules(t *testing.T) {
	errNoRow := errors.New("no row")
	c := tieredtest.New(t, tiered.Config[int]{NotFound: []error{errNoRow}, StaleFor: time.Hour})
	load := func(context.Context, string) (int, error) { return 0, errNoRow }
	_, err := c.GetOrLoad(t.Context(), "held", func(context.Context, string) (int, error) { return 1, nil })
	must(t, err)
	c.Break(nil)
	if _, err := c.GetOrLoad(t.Context(), "k", load); !errors.Is(err, tiered.ErrAbsent) {
		t.Errorf("a load that finds nothing, by Config.NotFound: %v", err)
	}
	if _, err := c.GetOrLoadMany(t.Context(), []string{"a"}, func(context.Context, []string) (map[string]int, error) { return nil, nil }); err != nil {
		t.Errorf("a load of many keys that finds nothing: %v", err)
	}
	for range 2 {
		if v, err := c.GetOrLoad(t.Context(), "held", func(context.Context, string) (int, error) { return 2, nil }); err != nil || v != 2 {
			t.Errorf("got %d, %v, want what the load brings", v, err)
		}
	}
	for name, err := range map[string]error{"Delete": c.Delete(t.Context()), "InvalidateTags": c.InvalidateTags(t.Context())} {
		if err != nil {
			t.Errorf("%s of nothing: %v", name, err)
		}
	}
	if _, err := c.Get(t.Context(), ""); !errors.Is(err, tiered.ErrInvalidKey) {
		t.Errorf("Get of an invalid key: %v", err)
	}
	if _, err := c.GetMany(t.Context(), []string{"k"}, tiered.WithTTL(time.Hour)); !errors.Is(err, tiered.ErrInvalidOption) {
		t.Errorf("GetMany with an option that makes no sense: %v", err)
	}
	for name, err := range map[string]error{
		"Set": c.Set(t.Context(), "k", 1, tiered.WithTTL(-1)), "SetMany": c.SetMany(t.Context(), map[string]int{"k": 1}, tiered.WithTTL(-1)),
	} {
		if !errors.Is(err, tiered.ErrInvalidOption) {
			t.Errorf("%s with an option that makes no sense: %v", name, err)
		}
	}
	var panicked *tiered.LoadPanicError
	if _, err := c.GetOrLoad(t.Context(), "k", func(context.Context, string) (int, error) { panic("x") }); !errors.As(err, &panicked) {
		t.Errorf("a load that panics: %v", err)
	}
	c.Mend()
	if v, err := c.Get(t.Context(), "held"); err != nil || v != 1 {
		t.Errorf("after Mend %d, %v, want what was held before", v, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
