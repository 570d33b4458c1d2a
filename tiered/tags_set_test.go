package tiered_test

import (
	"fmt"
	"testing"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// What is set with a tag that nobody has used before is found by instances that have
// to ask Redis about the tag, because they come later. A tag that is not known there
// counts as invalidated from when it is asked for. So it must be known before the Set
// itself invalidates keys of the tag's partition: else the values would be from before
// that.
func TestWhatIsSetWithANewTagIsFoundByALateInstance(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(t *testing.T, r *tiered.Region[string], values map[string]string, tag string)
	}{
		{"Set", func(t *testing.T, r *tiered.Region[string], values map[string]string, tag string) {
			t.Helper()
			for key, v := range values {
				// A tag for each, since the first Set of a tag makes it known.
				if err := r.Set(t.Context(), key, v, tiered.WithTags(tag+key)); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"SetMany", func(t *testing.T, r *tiered.Region[string], values map[string]string, tag string) {
			t.Helper()
			if err := r.SetMany(t.Context(), values, tiered.WithTags(tag, tag+" too")); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := redistest.Real(t)
			first := region(t, instances(t, b, 1)[0], tiered.Config[string]{Name: "products"})
			// The script that makes tags known is known.
			c.set(t, first, map[string]string{"other": "v"}, "other")
			// More than one round of keys, so that there are some in each partition.
			values := make(map[string]string)
			var keys []string
			for i := range 1100 {
				keys = append(keys, fmt.Sprint("k", i))
				values[keys[i]] = "v"
			}
			c.set(t, first, values, "new")

			late := region(t, instances(t, b, 1)[0], tiered.Config[string]{Name: "products"})
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
