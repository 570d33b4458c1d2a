package tiered_test

import (
	"context"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// Whatever lies at a value's key in Redis, calls return what the origin has.
func FuzzRegionReadsAnything(f *testing.F) {
	client := redistest.Mini(f).Client(f)
	n := open(f, tiered.Options{Redis: client, Partitions: 1, MaxStaleness: time.Hour, L2Timeout: patience})
	ready(f, n)
	r := region(f, n, tiered.Config[itemV1]{Name: "items"})
	layout, err := keyspace.New("test", 1)
	if err != nil {
		f.Fatal(err)
	}
	key := layout.Value(0, "items", "k")
	s := &source[itemV1]{value: itemV1{"saw", 7}}

	if _, _, err := read(f, r, "k", s); err != nil {
		f.Fatal(err)
	}
	ours := client.Get(f.Context(), key).Val()
	f.Add([]byte(ours))
	f.Add([]byte(ours[:len(ours)-1]))
	f.Add([]byte(ours[:56]))
	f.Add([]byte("\xd0\x9f\x01\x02"))
	f.Add([]byte("\xd0\x9f\x02"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx := context.Background()
		if err := client.Set(ctx, key, data, time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			v, err := r.GetOrLoad(ctx, "k", s.load, tiered.BypassL1())
			if err != nil || v != s.value {
				t.Fatalf("got %+v, %v with %q in Redis", v, err, data)
			}
		}
	})
}
