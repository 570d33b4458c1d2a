package tiered_test

import (
	"math"
	"strings"
	"testing"

	"github.com/doppio-cache/doppio/codec"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// Instances may compress differently, while settings are being changed: each reads
// what all others have stored, below the threshold and above it.
func TestInstancesThatCompressDifferently(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		settings := map[string][]codec.CompressOption{
			"s2":   {codec.WithThreshold(0)},
			"zstd": {codec.WithAlgorithm(codec.Zstd)},
			"off":  {codec.WithThreshold(math.MaxInt)},
		}
		values := map[string]string{"small": "saw", "large": strings.Repeat("saw, ", 5000)}
		rs := make(map[string]*tiered.Region[string])
		for name, opts := range settings {
			rs[name] = region(t, instances(t, b, 1)[0], tiered.Config[string]{
				Name: "items", Mode: tiered.L2Only, Codec: codec.Compress(codec.MsgPack, opts...),
			})
		}
		stored := make(map[string]int64)
		c := b.Client(t)
		for writer, w := range rs {
			for size, v := range values {
				if err := w.Set(t.Context(), size, v); err != nil {
					t.Fatal(err)
				}
				for reader, r := range rs {
					if got, err := r.Get(t.Context(), size); got != v || err != nil {
						t.Errorf("%s reads what %s has stored: %d bytes, %v", reader, writer, len(got), err)
					}
				}
			}
			for _, key := range valueKeys(t, c) {
				stored[writer] += c.StrLen(t.Context(), key).Val()
			}
		}
		for _, name := range []string{"s2", "zstd"} {
			if stored[name] > stored["off"]/10 {
				t.Errorf("%s takes %d bytes in Redis, plain values %d", name, stored[name], stored["off"])
			}
		}
		for name, r := range rs {
			if s := r.Stats(); s.Undecodable != 0 || s.Foreign != 0 {
				t.Errorf("%s: %+v", name, s)
			}
		}
	})
}
