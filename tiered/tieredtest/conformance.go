package tieredtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/doppio-cache/doppio/tiered"
)

// ConformanceOption is a setting of [Conformance].
type ConformanceOption func(*conformance)

type conformance struct{ holdsNothing bool }

// HoldsNothing is for caches that keep no values, such as [tiered.Noop]: what needs
// one that was kept is not checked. Defaults to a cache that keeps them.
func HoldsNothing() ConformanceOption { return func(c *conformance) { c.holdsNothing = true } }

// Conformance checks that what open returns behaves as [tiered.Cache] says. Each
// subtest opens a cache of its own, which must be empty. It checks nothing that
// depends on time.
func Conformance(t *testing.T, open func(t *testing.T) tiered.Cache[string], opts ...ConformanceOption) {
	t.Helper()
	var with conformance
	for _, set := range opts {
		if set != nil {
			set(&with)
		}
	}
	suite := []struct {
		name  string
		holds bool // only for caches that hold values
		test  func(t *testing.T, c tiered.Cache[string])
	}{
		{"a key that is in no tier", false, testMissing},
		{"a load", false, testLoad},
		{"a load that fails", false, testLoadError},
		{"a load that finds nothing", false, testLoadFindsNothing},
		{"keys that are not valid", false, testInvalidKeys},
		{"tags that are not valid", false, testInvalidTags},
		{"no load function", false, testNoLoad},
		{"a load that panics", false, testPanic},
		{"options that make no sense", false, testInvalidOptions},
		{"what WithInfo tells", false, testInfo},
		{"what WithInfo tells of a value that is held", true, testInfoHeld},
		{"many keys that are in no tier", false, testManyMissing},
		{"a load of many keys", false, testManyLoad},
		{"a load of many keys, some of which fail", false, testManyErrors},
		{"many values that were set", true, testSetMany},
		{"many values, some of which are held", true, testManyLoaded},
		{"many values with tags", true, testManyTags},
		{"a value that was set", true, testSet},
		{"a value that was loaded", true, testLoaded},
		{"the knowledge that there is nothing", true, testNegative},
		{"Delete", true, testDelete},
		{"InvalidateTags", true, testTags},
		{"Clear", true, testClear},
		{"concurrent use", false, testConcurrent},
	}
	for _, s := range suite {
		if s.holds && with.holdsNothing {
			continue
		}
		t.Run(s.name, func(t *testing.T) { s.test(t, open(t)) })
	}
}

func constant(v string) func(context.Context, string) (string, error) {
	return func(context.Context, string) (string, error) { return v, nil }
}

func failing(err error) func(context.Context, string) (string, error) {
	return func(context.Context, string) (string, error) { return "", err }
}

// never is a load for keys whose value is held.
func never(t *testing.T) func(context.Context, string) (string, error) {
	return func(_ context.Context, key string) (string, error) {
		t.Errorf("%q was loaded", key)
		return "", nil
	}
}

func wantValue(t *testing.T, what, got string, err error, want string) {
	t.Helper()
	if err != nil || got != want {
		t.Errorf("%s: got %q, %v; want %q", what, got, err, want)
	}
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testMissing(t *testing.T, c tiered.Cache[string]) {
	_, err := c.Get(t.Context(), "k")
	wantError(t, "Get", err, tiered.ErrNotFound)
	if errors.Is(err, tiered.ErrAbsent) {
		t.Errorf("Get: got %v, and nobody knows that it does not exist", err)
	}
}

func testLoad(t *testing.T, c tiered.Cache[string]) {
	type contextKey struct{}
	ctx := context.WithValue(t.Context(), contextKey{}, "mine")
	v, err := c.GetOrLoad(ctx, "k", func(ctx context.Context, key string) (string, error) {
		if key != "k" || ctx.Value(contextKey{}) != "mine" {
			t.Errorf("the load got key %q, and a context without the caller's values", key)
		}
		return "v", nil
	})
	wantValue(t, "GetOrLoad", v, err, "v")
}

func testLoadError(t *testing.T, c tiered.Cache[string]) {
	broken := errors.New("broken")
	for range 2 {
		_, err := c.GetOrLoad(t.Context(), "k", failing(broken))
		wantError(t, "GetOrLoad", err, broken)
	}
	v, err := c.GetOrLoad(t.Context(), "k", constant("v"))
	wantValue(t, "GetOrLoad after an error", v, err, "v")
}

func testLoadFindsNothing(t *testing.T, c tiered.Cache[string]) {
	_, err := c.GetOrLoad(t.Context(), "k", failing(fmt.Errorf("no k: %w", tiered.ErrNotFound)))
	wantError(t, "GetOrLoad", err, tiered.ErrAbsent)
	wantError(t, "GetOrLoad", err, tiered.ErrNotFound)
}

func testPanic(t *testing.T, c tiered.Cache[string]) {
	at := func() { panic("at the load") } //nolint:forbidigo // it is what is tested
	_, err := c.GetOrLoad(t.Context(), "k", func(context.Context, string) (string, error) { at(); return "", nil })
	var panicked *tiered.LoadPanicError
	if !errors.As(err, &panicked) || panicked.Value != "at the load" || panicked.Key != "k" {
		t.Errorf("GetOrLoad of a load that panics: %v, want a LoadPanicError", err)
	}
	_, err = c.GetOrLoadMany(t.Context(), []string{"a", "b"}, func(context.Context, []string) (map[string]string, error) { at(); return nil, nil })
	var batch *tiered.BatchError
	if !errors.As(err, &batch) || len(batch.Errs) != 2 || !errors.As(batch.Errs["b"], &panicked) || panicked.Key != "b" {
		t.Errorf("GetOrLoadMany of a load that panics: %v, want a LoadPanicError of each key", err)
	}
}

// testInvalidOptions: what makes no sense is an error before anything is done.
func testInvalidOptions(t *testing.T, c tiered.Cache[string]) {
	ctx := t.Context()
	calls := map[string]func(...tiered.Option) error{
		"Get":       func(o ...tiered.Option) error { _, err := c.Get(ctx, "k", o...); return err },
		"GetOrLoad": func(o ...tiered.Option) error { _, err := c.GetOrLoad(ctx, "k", never(t), o...); return err },
		"Set":       func(o ...tiered.Option) error { return c.Set(ctx, "k", "v", o...) },
		"GetMany":   func(o ...tiered.Option) error { _, err := c.GetMany(ctx, []string{"k"}, o...); return err },
		"SetMany":   func(o ...tiered.Option) error { return c.SetMany(ctx, map[string]string{"k": "v"}, o...) },
		"GetOrLoadMany": func(o ...tiered.Option) error {
			_, err := c.GetOrLoadMany(ctx, []string{"k"}, func(context.Context, []string) (map[string]string, error) {
				t.Error("the load was called")
				return nil, nil
			}, o...)
			return err
		},
	}
	for name, call := range calls {
		wantError(t, name+" with the zero Option", call(tiered.Option{}), tiered.ErrInvalidOption)
		wantError(t, name+" WithTTL(-1)", call(tiered.WithTTL(-1)), tiered.ErrInvalidOption)
	}
}

func testInvalidKeys(t *testing.T, c tiered.Cache[string]) {
	for _, key := range []string{"", strings.Repeat("x", tiered.MaxKeyBytes+1)} {
		_, err := c.Get(t.Context(), key)
		wantError(t, "Get", err, tiered.ErrInvalidKey)
		_, err = c.GetOrLoad(t.Context(), key, never(t))
		wantError(t, "GetOrLoad", err, tiered.ErrInvalidKey)
		wantError(t, "Set", c.Set(t.Context(), key, "v"), tiered.ErrInvalidKey)
		wantError(t, "Delete", c.Delete(t.Context(), "k", key), tiered.ErrInvalidKey)
	}
	longest := strings.Repeat("x", tiered.MaxKeyBytes)
	v, err := c.GetOrLoad(t.Context(), longest, constant("v"))
	wantValue(t, "the longest key", v, err, "v")
}

func testInvalidTags(t *testing.T, c tiered.Cache[string]) {
	for _, tag := range []string{"", strings.Repeat("x", tiered.MaxTagBytes+1)} {
		wantError(t, "InvalidateTags", c.InvalidateTags(t.Context(), "ok", tag), tiered.ErrInvalidTag)
	}
}

func testNoLoad(t *testing.T, c tiered.Cache[string]) {
	if _, err := c.GetOrLoad(t.Context(), "k", nil); err == nil {
		t.Error("GetOrLoad with a nil load: no error")
	}
}

func testSet(t *testing.T, c tiered.Cache[string]) {
	for _, want := range []string{"v1", "v2"} {
		must(t, c.Set(t.Context(), "k", want))
		v, err := c.Get(t.Context(), "k")
		wantValue(t, "Get", v, err, want)
		v, err = c.GetOrLoad(t.Context(), "k", never(t))
		wantValue(t, "GetOrLoad", v, err, want)
	}
}

func testLoaded(t *testing.T, c tiered.Cache[string]) {
	_, err := c.GetOrLoad(t.Context(), "k", constant("v"))
	must(t, err)
	v, err := c.Get(t.Context(), "k")
	wantValue(t, "Get", v, err, "v")
	v, err = c.GetOrLoad(t.Context(), "k", never(t))
	wantValue(t, "GetOrLoad", v, err, "v")
}

func testNegative(t *testing.T, c tiered.Cache[string]) {
	_, err := c.GetOrLoad(t.Context(), "k", failing(tiered.ErrNotFound))
	wantError(t, "the load", err, tiered.ErrAbsent)
	_, err = c.Get(t.Context(), "k")
	wantError(t, "Get", err, tiered.ErrAbsent)
	_, err = c.GetOrLoad(t.Context(), "k", never(t))
	wantError(t, "GetOrLoad", err, tiered.ErrAbsent)
}

func testDelete(t *testing.T, c tiered.Cache[string]) {
	for _, key := range []string{"a", "b", "c"} {
		must(t, c.Set(t.Context(), key, key))
	}
	must(t, c.Delete(t.Context(), "a", "b", "none"))
	must(t, c.Delete(t.Context()))
	for _, key := range []string{"a", "b"} {
		_, err := c.Get(t.Context(), key)
		wantError(t, "Get", err, tiered.ErrNotFound)
	}
	v, err := c.Get(t.Context(), "c")
	wantValue(t, "a key that was not deleted", v, err, "c")
}

func testTags(t *testing.T, c tiered.Cache[string]) {
	must(t, c.Set(t.Context(), "a", "a", tiered.WithTags("red", "big")))
	must(t, c.Set(t.Context(), "b", "b", tiered.WithTags("blue", "big")))
	_, err := c.GetOrLoad(t.Context(), "c", constant("c"), tiered.WithTags("blue"))
	must(t, err)
	must(t, c.InvalidateTags(t.Context(), "blue", "none"))
	v, err := c.Get(t.Context(), "a")
	wantValue(t, "a value without the tag", v, err, "a")
	for _, key := range []string{"b", "c"} {
		_, err := c.Get(t.Context(), key)
		wantError(t, "a value with the tag", err, tiered.ErrNotFound)
	}
}

func testClear(t *testing.T, c tiered.Cache[string]) {
	for _, key := range []string{"a", "b"} {
		must(t, c.Set(t.Context(), key, key))
	}
	must(t, c.Clear(t.Context()))
	for _, key := range []string{"a", "b"} {
		_, err := c.Get(t.Context(), key)
		wantError(t, "Get", err, tiered.ErrNotFound)
	}
	must(t, c.Set(t.Context(), "a", "new"))
	v, err := c.Get(t.Context(), "a")
	wantValue(t, "what was set afterwards", v, err, "new")
}

func testConcurrent(t *testing.T, c tiered.Cache[string]) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 50 {
				key := fmt.Sprint(i % 5)
				if v, err := c.GetOrLoad(t.Context(), key, constant(key)); err != nil || v != key {
					t.Errorf("GetOrLoad(%q) = %q, %v", key, v, err)
				}
				if i%10 == 0 {
					if err := c.Delete(t.Context(), key); err != nil {
						t.Errorf("Delete: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
}
