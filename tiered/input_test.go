package tiered_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// call is one way to use a cache with a key.
type call struct {
	name string
	do   func(ctx context.Context, n *tiered.Node, r *tiered.Region[int], key string) error
}

// loaded is a load that must not run in these tests unless its key is valid.
func loaded(context.Context, string) (int, error) { return 7, nil }

// calls are all the ways.
func calls() []call {
	get := func(opts ...tiered.Option) func(context.Context, *tiered.Node, *tiered.Region[int], string) error {
		return func(ctx context.Context, _ *tiered.Node, r *tiered.Region[int], key string) error {
			_, err := r.Get(ctx, key, opts...)
			return err
		}
	}
	load := func(opts ...tiered.Option) func(context.Context, *tiered.Node, *tiered.Region[int], string) error {
		return func(ctx context.Context, _ *tiered.Node, r *tiered.Region[int], key string) error {
			_, err := r.GetOrLoad(ctx, key, loaded, opts...)
			return err
		}
	}
	return []call{
		{"GetOrLoad", load()}, // first, so that the others find something
		{"GetOrLoad with options", load(tiered.WithInfo(new(tiered.Info)))},
		{"GetOrLoad with BypassL1", load(tiered.BypassL1())},
		{"GetOrLoad with ForceLoad", load(tiered.ForceLoad())},
		{"Get", get()},
		{"Get with options", get(tiered.WithInfo(new(tiered.Info)))},
		{"Get with BypassL1", get(tiered.BypassL1())},
		{"Loading.Get", func(ctx context.Context, _ *tiered.Node, r *tiered.Region[int], key string) error {
			_, err := tiered.Bind(r, func(k string) string { return k }, loaded).Get(ctx, key)
			return err
		}},
		{"Set", func(ctx context.Context, _ *tiered.Node, r *tiered.Region[int], key string) error {
			return r.Set(ctx, key, 7)
		}},
		{"Region.Delete", func(ctx context.Context, _ *tiered.Node, r *tiered.Region[int], key string) error {
			return r.Delete(ctx, key)
		}},
		{"Node.Delete", func(ctx context.Context, n *tiered.Node, r *tiered.Region[int], key string) error {
			return n.Delete(ctx, r.Ref(key))
		}},
	}
}

func TestKeysAreNeitherEmptyNorTooLong(t *testing.T) {
	longest := strings.Repeat("k", tiered.MaxKeyBytes)
	if len(longest) != 1024 {
		t.Fatalf("the longest key has %d bytes", len(longest))
	}
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		n := instances(t, b, 1)[0]
		r := region(t, n, tiered.Config[int]{Name: "items"})
		for _, c := range calls() {
			t.Run(c.name, func(t *testing.T) {
				for name, key := range map[string]string{"empty": "", "1,025 bytes": longest + "k"} {
					if err := c.do(t.Context(), n, r, key); !errors.Is(err, tiered.ErrInvalidKey) {
						t.Errorf("%s: got %v, want ErrInvalidKey", name, err)
					}
				}
				if err := c.do(t.Context(), n, r, longest); err != nil {
					t.Errorf("1,024 bytes: %v", err)
				}
			})
		}
		// The longest key: one load for GetOrLoad, one for ForceLoad. The others: none.
		if got := r.Stats().Loads; got != 2 {
			t.Errorf("%d loads, want 2", got)
		}
	})
}

// A key is any bytes: what it holds means nothing to the cache.
func TestKeysOfAnyBytes(t *testing.T) {
	keys := []string{
		strings.Repeat("k", tiered.MaxKeyBytes), " ", "\x00", "\xff\xfe", "a b\r\nc", "{tag}", "}{", "*", "k?[a]", "a:b", ":", "日本語", "\xd0\x9f\x01",
	}
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		rs := regions(t, instances(t, b, 2), tiered.Config[string]{Name: "items"})
		for _, key := range keys {
			wants(t, rs[0], key, &source[string]{value: "of " + key}, "of "+key, tiered.SourceLoad)
		}
		for _, key := range keys {
			wants(t, rs[1], key, &source[string]{}, "of "+key, tiered.SourceL2)
			settles(t, rs[1], key)
			wants(t, rs[1], key, &source[string]{}, "of "+key, tiered.SourceL1)
			if err := rs[1].Set(t.Context(), key, "other"); err != nil {
				t.Errorf("Set(%q): %v", key, err)
			}
			if err := rs[1].Delete(t.Context(), key); err != nil {
				t.Errorf("Delete(%q): %v", key, err)
			}
			if _, err := rs[1].Get(t.Context(), key); !errors.Is(err, tiered.ErrNotFound) {
				t.Errorf("Get(%q) after Delete: %v", key, err)
			}
		}
	})
}

// A Region or Node that is nil, because the error of New or Open was ignored,
// gives an error that says so.
func TestNilRegionAndNilNode(t *testing.T) {
	var r *tiered.Region[int]
	var n *tiered.Node
	for _, c := range calls() {
		if err := c.do(t.Context(), n, r, "k"); err == nil || !strings.Contains(err.Error(), "nil") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if err := n.Ready(t.Context()); err == nil {
		t.Error("Ready of a nil node: no error")
	}
	if err := n.Close(); err == nil {
		t.Error("Close of a nil node: no error")
	}
	if err := n.Shutdown(t.Context()); err == nil {
		t.Error("Shutdown of a nil node: no error")
	}
	if s := n.Stats(); len(s.Regions) != 0 {
		t.Errorf("Stats of a nil node: %+v", s)
	}
	if s := r.Stats(); s.Loads != 0 {
		t.Errorf("Stats of a nil region: %+v", s)
	}
	if name := r.Name(); name != "" {
		t.Errorf("Name of a nil region: %q", name)
	}
	if err := n.Delete(t.Context(), n.Ref("items", "k")); err == nil {
		t.Error("Delete of a nil node: no error")
	}
	var l *tiered.Loading[int, int]
	if _, err := l.Get(t.Context(), 1); err == nil {
		t.Error("Get of a nil Loading: no error")
	}
}

func TestNilFunctions(t *testing.T) {
	r := region(t, local(t), tiered.Config[int]{Name: "items"})
	key := func(int) string { return "k" }
	load := func(context.Context, int) (int, error) { return 7, nil }
	tests := map[string]func() error{
		"GetOrLoad": func() error { _, err := r.GetOrLoad(t.Context(), "k", nil); return err },
		"GetOrLoad with options": func() error {
			_, err := r.GetOrLoad(t.Context(), "k", nil, tiered.ForceLoad())
			return err
		},
		"Bind without key":    func() error { _, err := tiered.Bind(r, nil, load).Get(t.Context(), 1); return err },
		"Bind without load":   func() error { _, err := tiered.Bind[int](r, key, nil).Get(t.Context(), 1); return err },
		"Bind without region": func() error { _, err := tiered.Bind[int, int](nil, key, load).Get(t.Context(), 1); return err },
	}
	for name, do := range tests {
		if err := do(); err == nil || !strings.Contains(err.Error(), "nil") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An option that makes no sense for a call is an error of the call, and
// nothing is done.
func TestOptionsThatMakeNoSense(t *testing.T) {
	n := instances(t, redistest.Mini(t), 1)[0]
	both := region(t, n, tiered.Config[int]{Name: "both"})
	l1Only := region(t, n, tiered.Config[int]{Name: "l1", Mode: tiered.L1Only})
	s := &source[int]{value: 7}
	var info tiered.Info
	tests := map[string]func() error{
		"Get with WithTTL":   func() error { _, err := both.Get(t.Context(), "k", tiered.WithTTL(1)); return err },
		"Get with ForceLoad": func() error { _, err := both.Get(t.Context(), "k", tiered.ForceLoad()); return err },
		"Get of an L1Only region with BypassL1": func() error {
			_, err := l1Only.Get(t.Context(), "k", tiered.BypassL1())
			return err
		},
		"GetOrLoad with WithTTL(0)":     func() error { _, _, err := read(t, both, "k", s, tiered.WithTTL(0)); return err },
		"GetOrLoad with WithTTL(-1)":    func() error { _, _, err := read(t, both, "k", s, tiered.WithTTL(-1)); return err },
		"GetOrLoad with WithInfo(nil)":  func() error { _, _, err := read(t, both, "k", s, tiered.WithInfo(nil)); return err },
		"GetOrLoad with a zero Option":  func() error { _, _, err := read(t, both, "k", s, tiered.Option{}); return err },
		"GetOrLoad of L1Only, BypassL1": func() error { _, _, err := read(t, l1Only, "k", s, tiered.BypassL1()); return err },
		"Loading.Get with WithTTL(0)": func() error {
			_, err := tiered.Bind(both, func(k string) string { return k }, s.load).Get(t.Context(), "k", tiered.WithTTL(0))
			return err
		},
		"Set with WithInfo":  func() error { return both.Set(t.Context(), "k", 7, tiered.WithInfo(&info)) },
		"Set with BypassL1":  func() error { return both.Set(t.Context(), "k", 7, tiered.BypassL1()) },
		"Set with ForceLoad": func() error { return both.Set(t.Context(), "k", 7, tiered.ForceLoad()) },
		"a good one first":   func() error { return both.Set(t.Context(), "k", 7, tiered.WithTTL(1), tiered.ForceLoad()) },
	}
	for name, do := range tests {
		if err := do(); !errors.Is(err, tiered.ErrInvalidOption) {
			t.Errorf("%s: %v, want ErrInvalidOption", name, err)
		}
	}
	s.reads(t, 0)
	if _, err := both.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) {
		t.Errorf("a refused call has stored something: %v", err)
	}
	if sent := n.Stats().Sent; sent != 0 {
		t.Errorf("a refused call has sent %d invalidations", sent)
	}
}
