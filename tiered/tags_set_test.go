package tiered_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// What is stored with a tag that nobody has used before is found by instances that
// have to ask Redis about the tag, because they come later. A tag that is not known
// there counts as invalidated from when it is asked for. So it must be known before
// whatever stores the value counts in the tag's partition itself: a Set does, and a
// fill that replaces a value. Otherwise the value would be from before that.
func TestWhatIsStoredWithANewTagIsFoundByALateInstance(t *testing.T) {
	type reg = *tiered.Region[string]
	for _, c := range []struct {
		name  string
		keys  int  // so many that some share the partition of a tag
		each  int  // of them in a call
		prior bool // there are values, to be replaced
		store func(ctx context.Context, r reg, keys []string) error
	}{
		{"Set", 300, 1, false, func(ctx context.Context, r reg, keys []string) error {
			return r.Set(ctx, keys[0], "v", tiered.WithTags("of "+keys[0]))
		}},
		{"SetMany, in two rounds", 1100, 1100, false, func(ctx context.Context, r reg, keys []string) error {
			values := make(map[string]string)
			for _, key := range keys {
				values[key] = "v"
			}
			return r.SetMany(ctx, values, tiered.WithTags("new", "new too"))
		}},
		{"a forced load of many", 300, 300, true, func(ctx context.Context, r reg, keys []string) error {
			load := func(_ context.Context, keys []string) (map[string]string, error) {
				values := make(map[string]string)
				for _, key := range keys {
					values[key] = "v"
				}
				return values, nil
			}
			_, err := r.GetOrLoadMany(ctx, keys, load, tiered.ForceLoad(), tiered.WithTags("new"))
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := redistest.Real(t)
			// An instance that is not probed for longer than the bound does not know of its tags.
			unhurriedly := func(o *tiered.Options) { o.MaxStaleness = unhurried.MaxStaleness }
			n := instances(t, b, 1, unhurriedly)[0]
			r := region(t, n, tiered.Config[string]{Name: "products"})
			var messages uint64
			heard := func(more int) {
				t.Helper()
				messages += uint64(more)
				eventually(t, "what was announced is heard", func() bool { return n.Stats().Received == messages })
			}
			// From here on Redis has the script that makes tags known.
			if err := r.Set(t.Context(), "other", "v", tiered.WithTags("other")); err != nil {
				t.Fatal(err)
			}
			heard(1)
			var keys []string
			for i := range c.keys {
				keys = append(keys, fmt.Sprint("k", i))
				if !c.prior {
					continue
				}
				if err := r.Set(t.Context(), keys[i], "older"); err != nil {
					t.Fatal(err)
				}
			}
			if c.prior {
				heard(c.keys)
			}
			for some := range slices.Chunk(keys, c.each) {
				if err := c.store(t.Context(), r, some); err != nil {
					t.Fatal(err)
				}
				heard(c.each)
			}
			late := region(t, instances(t, b, 1, unhurriedly)[0], tiered.Config[string]{Name: "products"})
			found, err := late.GetMany(t.Context(), keys)
			if err != nil {
				t.Fatal(err)
			}
			if len(found) != len(keys) {
				t.Errorf("a late instance finds %d of %d values", len(found), len(keys))
			}
		})
	}
}
