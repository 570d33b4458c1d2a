package tiered_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// A hundred keys that are in Redis: as one call, one after the other, and as
// what one call is built on. In turns, so that what else the machine does slows
// all of them down alike: look at the ratios.
//
//	go test -run '^$' -bench GetMany -benchtime 1000x ./tiered
func BenchmarkGetManyOfAHundredKeysInL2(b *testing.B) {
	server := redistest.Start(b)
	client := server.Client(b)
	n := open(b, tiered.Options{Redis: client, MaxStaleness: time.Minute, Logger: slog.New(slog.DiscardHandler)})
	ready(b, n)
	r := region(b, n, tiered.Config[product]{Name: "products", Mode: tiered.L2Only, TTL: time.Hour})
	names := manyNames(100)
	values := make(map[string]product)
	plain := make([]string, len(names))
	ctx := context.Background()
	for i, k := range names {
		values[k] = product{ID: i, Name: "saw", Price: 19.99, Tags: []string{"tool", "steel"}}
		encoded, err := msgpack.Marshal(values[k])
		if err != nil {
			b.Fatal(err)
		}
		plain[i] = "plain:" + k
		if err := client.Set(ctx, plain[i], encoded, 0).Err(); err != nil {
			b.Fatal(err)
		}
	}
	if err := r.SetMany(ctx, values); err != nil {
		b.Fatal(err)
	}
	ways := []struct {
		name string
		read func() error
		took time.Duration
	}{
		{name: "GetMany", read: func() error { _, err := r.GetMany(ctx, names); return err }},
		{name: "Gets", read: func() error {
			for _, k := range names {
				if _, err := r.Get(ctx, k); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "MGET+decode", read: func() error { return mget(ctx, client, plain) }},
	}
	for range 50 {
		for _, w := range ways {
			if err := w.read(); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		for i := range ways {
			w := &ways[i]
			began := time.Now()
			if err := w.read(); err != nil {
				b.Fatal(err)
			}
			w.took += time.Since(began)
		}
	}
	for _, w := range ways {
		b.ReportMetric(float64(w.took.Microseconds())/float64(b.N), w.name+"-µs/op")
	}
	b.ReportMetric(0, "ns/op")
}

func mget(ctx context.Context, client redis.UniversalClient, keys []string) error {
	got, err := client.MGet(ctx, keys...).Result()
	if err != nil {
		return err
	}
	out := make(map[string]product, len(keys))
	for i, raw := range got {
		var p product
		if err := msgpack.Unmarshal([]byte(raw.(string)), &p); err != nil {
			return err
		}
		out[keys[i]] = p
	}
	return nil
}
