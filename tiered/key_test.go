package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

func ExampleKey() {
	fmt.Println(tiered.Key("eu", 42, true))
	fmt.Println(tiered.Key("a:b", "c"), tiered.Key("a", "b:c"))
	// Output:
	// eu:42:true
	// a\:b:c a:b\:c
}

func TestKeyGivesDifferentKeysForDifferentParts(t *testing.T) {
	parts := [][]any{
		{"a", "b"}, {"a:b"}, {`a\`, "b"}, {`a\:b`}, {"a", "", "b"}, {"a", "b", ""}, {"", "a", "b"},
		{`a\\`, "b"}, {"a", `\b`}, {`a:\b`}, {1, 2}, {12}, {1, "2", 3}, {"1:2", 3}, {},
		{[]byte("x:y")}, {[]byte("x"), []byte("y")}, {time.Second, 1.5}, {int64(-7), uint64(7)},
	}
	seen := make(map[string][]any)
	for _, p := range parts {
		key := tiered.Key(p...)
		if other, dup := seen[key]; dup {
			t.Errorf("Key(%q) = Key(%q) = %q", p, other, key)
		}
		seen[key] = p
	}
}

func FuzzKeyIsInjective(f *testing.F) {
	f.Add("a:b", "c", "a", "b:c")
	f.Add(`a\`, "b", "a", `\b`)
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		if (a != c || b != d) && tiered.Key(a, b) == tiered.Key(c, d) {
			t.Errorf("Key(%q, %q) = Key(%q, %q) = %q", a, b, c, d, tiered.Key(a, b))
		}
		if tiered.Key(a, b) == tiered.Key(a+b) {
			t.Errorf("Key(%q, %q) = Key(%q)", a, b, a+b)
		}
	})
}

func TestNoopAlwaysLoads(t *testing.T) {
	c := tiered.Noop[int]()
	ctx := t.Context()
	loads := 0
	for range 3 {
		v, err := c.GetOrLoad(ctx, "k", func(_ context.Context, key string) (int, error) { loads++; return len(key), nil })
		if v != 1 || err != nil {
			t.Fatalf("got %d, %v", v, err)
		}
	}
	if loads != 3 {
		t.Errorf("%d loads, want 3", loads)
	}
	if err := c.Set(ctx, "k", 7); err != nil {
		t.Error(err)
	}
	if _, err := c.Get(ctx, "k"); !errors.Is(err, tiered.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if err := c.Delete(ctx, "k"); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"empty": c.Delete(ctx, ""),
		"long":  c.Set(ctx, strings.Repeat("k", tiered.MaxKeyBytes+1), 1),
	} {
		if !errors.Is(err, tiered.ErrInvalidKey) {
			t.Errorf("%s key: got %v, want ErrInvalidKey", name, err)
		}
	}
	if _, err := c.GetOrLoad(ctx, "k", nil); err == nil {
		t.Error("a nil load is not refused")
	}
}
