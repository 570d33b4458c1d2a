// Quickstart shows one load for two instances, and how a change on one reaches
// the other: go -C examples run ./quickstart
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/tiered"
)

var price = 1990 // the database

func load(_ context.Context, id string) (int, error) {
	fmt.Println("  database is asked for", id)
	return price, nil
}

func main() {
	ctx := context.Background()
	server := must(miniredis.Run())
	defer server.Close()
	a, stopA := instance(ctx, server.Addr())
	defer stopA()
	b, stopB := instance(ctx, server.Addr())
	defer stopB()

	for _, r := range []*tiered.Region[int]{a, a, b, b} { // one load for all
		v, err := r.GetOrLoad(ctx, "42", load)
		fmt.Println("read", v, err)
	}
	price = 2490                                // the commit, …
	fmt.Println("delete:", a.Delete(ctx, "42")) // … then the invalidation
	for v := 0; v != price; {                   // usually at once, always within MaxStaleness
		v, _ = b.GetOrLoad(ctx, "42", load)
	}
	fmt.Println("the other instance has the new price")
}

// instance is what each process of a service does once.
func instance(ctx context.Context, addr string) (prices *tiered.Region[int], stop func()) {
	client := redis.NewClient(&redis.Options{Addr: addr})
	node := must(tiered.Open(ctx, tiered.Options{Redis: client, Prefix: "shop", Logger: slog.New(slog.DiscardHandler)}))
	prices = must(tiered.New(node, tiered.Config[int]{Name: "prices"}))
	return prices, func() { node.Close(); client.Close() }
}

func must[T any](v T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return v
}
