package tiered_test

import (
	"testing"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// A forced load replaces what other instances hold, also where Redis has lost
// the value (evicted it, say) so that there is nothing to be replaced in it.
func TestForceLoadReachesCopiesThatRedisDoesNotHave(t *testing.T) {
	for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L1Only} {
		t.Run(mode.String(), func(t *testing.T) {
			b := redistest.Mini(t)
			rs := regions(t, instances(t, b, 2), tiered.Config[string]{Name: "items", Mode: mode})
			old, renewed := &source[string]{value: "old"}, &source[string]{value: "new"}
			for _, r := range rs {
				eventually(t, "an L1 hit", func() bool {
					_, info, err := read(t, r, "k", old)
					return err == nil && info.Source == tiered.SourceL1
				})
			}
			for _, key := range b.Miniredis.Keys() {
				if len(key) > 8 && key[len(key)-8:] == ":items:k" {
					b.Miniredis.Del(key)
				}
			}
			if v, _, err := read(t, rs[0], "k", renewed, tiered.ForceLoad()); v != "new" || err != nil {
				t.Fatalf("forced load: %q, %v", v, err)
			}
			eventually(t, "the other instance reads the new value", func() bool {
				v, _, err := read(t, rs[1], "k", renewed)
				return err == nil && v == "new"
			})
		})
	}
}
