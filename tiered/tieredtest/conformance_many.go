package tieredtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/doppio-cache/doppio/tiered"
)

// loading is a load function for several keys that returns those that values has,
// and notes which it was asked for.
func loading(asked *[]string, values map[string]string) func(context.Context, []string) (map[string]string, error) {
	return func(_ context.Context, keys []string) (map[string]string, error) {
		*asked = slices.Sorted(slices.Values(keys))
		out := make(map[string]string)
		for _, key := range keys {
			if v, ok := values[key]; ok {
				out[key] = v
			}
		}
		return out, nil
	}
}

func wantValues(t *testing.T, what string, got map[string]string, err error, want map[string]string) {
	t.Helper()
	if err != nil || got == nil || !maps.Equal(got, want) {
		t.Errorf("%s: got %v, %v; want %v", what, got, err, want)
	}
}

func testManyMissing(t *testing.T, c tiered.Cache[string]) {
	got, err := c.GetMany(t.Context(), []string{"a", "b", "a"})
	wantValues(t, "GetMany", got, err, nil)
	got, err = c.GetMany(t.Context(), nil)
	wantValues(t, "GetMany of no keys", got, err, nil)
	must(t, c.SetMany(t.Context(), nil))
}

func testManyLoad(t *testing.T, c tiered.Cache[string]) {
	var asked []string
	values := map[string]string{"a": "1", "b": "2"}
	got, err := c.GetOrLoadMany(t.Context(), []string{"b", "none", "a", "b"}, loading(&asked, values))
	wantValues(t, "GetOrLoadMany", got, err, values)
	if want := []string{"a", "b", "none"}; !slices.Equal(asked, want) {
		t.Errorf("the load was asked for %v, want %v", asked, want)
	}
	if _, err := c.GetOrLoadMany(t.Context(), []string{"a"}, nil); err == nil {
		t.Error("GetOrLoadMany with a nil load: no error")
	}
}

// testManyErrors: a key that fails is named, and takes no other with it.
func testManyErrors(t *testing.T, c tiered.Cache[string]) {
	broken := errors.New("broken")
	got, err := c.GetOrLoadMany(t.Context(), []string{"", "a", "b"}, func(_ context.Context, keys []string) (map[string]string, error) {
		return map[string]string{"a": "1"}, fmt.Errorf("half of %d: %w", len(keys), broken)
	})
	wantBatch(t, "GetOrLoadMany", err, map[string]error{"": tiered.ErrInvalidKey, "b": broken})
	wantValues(t, "GetOrLoadMany", got, nil, map[string]string{"a": "1"})
	got, err = c.GetMany(t.Context(), []string{"", "none"})
	wantBatch(t, "GetMany", err, map[string]error{"": tiered.ErrInvalidKey})
	wantValues(t, "GetMany", got, nil, nil)
	wantBatch(t, "SetMany", c.SetMany(t.Context(), map[string]string{"": "v", "c": "v"}), map[string]error{"": tiered.ErrInvalidKey})
}

func wantBatch(t *testing.T, what string, err error, want map[string]error) {
	t.Helper()
	var batch *tiered.BatchError
	if !errors.As(err, &batch) || len(batch.Errs) != len(want) {
		t.Errorf("%s: got %v, want a BatchError of %d keys", what, err, len(want))
		return
	}
	for key, want := range want {
		wantError(t, fmt.Sprintf("%s of %q", what, key), batch.Errs[key], want)
	}
}

func testSetMany(t *testing.T, c tiered.Cache[string]) {
	for _, want := range []map[string]string{{"a": "1", "b": "2"}, {"a": "3", "b": "4"}} {
		must(t, c.SetMany(t.Context(), want))
		got, err := c.GetMany(t.Context(), []string{"a", "b", "none"})
		wantValues(t, "GetMany", got, err, want)
		v, err := c.Get(t.Context(), "a")
		wantValue(t, "Get", v, err, want["a"])
	}
}

// testManyLoaded: what is held is not loaded, and neither is what is known not to
// exist.
func testManyLoaded(t *testing.T, c tiered.Cache[string]) {
	var asked []string
	must(t, c.Set(t.Context(), "a", "1"))
	keys := []string{"a", "b", "none"}
	for _, want := range [][]string{{"b", "none"}, nil} {
		asked = nil
		got, err := c.GetOrLoadMany(t.Context(), keys, loading(&asked, map[string]string{"b": "2"}))
		wantValues(t, "GetOrLoadMany", got, err, map[string]string{"a": "1", "b": "2"})
		if !slices.Equal(asked, want) {
			t.Errorf("the load was asked for %v, want %v", asked, want)
		}
	}
	_, err := c.Get(t.Context(), "none")
	wantError(t, "Get of what the load left out", err, tiered.ErrAbsent)
}

func testManyTags(t *testing.T, c tiered.Cache[string]) {
	var asked []string
	must(t, c.SetMany(t.Context(), map[string]string{"a": "1", "b": "2"}, tiered.WithTags("red")))
	_, err := c.GetOrLoadMany(t.Context(), []string{"c", "d"}, loading(&asked, map[string]string{"c": "3", "d": "4"}), tiered.WithTags("blue"))
	must(t, err)
	must(t, c.InvalidateTags(t.Context(), "red"))
	got, err := c.GetMany(t.Context(), []string{"a", "b", "c", "d"})
	wantValues(t, "those without the tag", got, err, map[string]string{"c": "3", "d": "4"})
	must(t, c.InvalidateTags(t.Context(), "blue"))
	got, err = c.GetMany(t.Context(), []string{"a", "b", "c", "d"})
	wantValues(t, "after both tags", got, err, nil)
}
