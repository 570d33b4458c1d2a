package l2_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l2"
)

// Example reads through the shared tier: a miss, a load under a lease, a hit,
// and a load that an invalidation overtakes.
func Example() {
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	layout, err := keyspace.New("shop", 32)
	if err != nil {
		fmt.Println(err)
		return
	}
	store, err := l2.New(l2.Options{Client: client, Layout: layout, Announcer: announcer{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()

	ctx := context.Background()
	key := keyspace.Of("products", "42")
	r, _ := store.Get(ctx, key)
	fmt.Println("first read:", r.Status)

	load := func(payload string, meanwhile func()) {
		r, _ := store.GetOrLease(ctx, key, l2.NewToken(), r.Value.Token)
		fmt.Println("asked for the lease:", r.Status)
		meanwhile()
		f, _ := store.Fill(ctx, r.Lease, l2.Fill{Codec: "raw", Payload: []byte(payload), Life: time.Minute})
		fmt.Println("stored:", f.Accepted)
	}
	load("espresso", func() {})
	r, _ = store.Get(ctx, key)
	fmt.Printf("second read: %v, %s\n", r.Status, r.Value.Payload)

	load("old espresso", func() { store.InvalidateAll(ctx, []l2.Key{key}) })
	r, _ = store.Get(ctx, key)
	fmt.Println("third read:", r.Status)
	// Output:
	// first read: miss
	// asked for the lease: granted
	// stored: true
	// second read: hit, espresso
	// asked for the lease: granted
	// stored: false
	// third read: miss
}
