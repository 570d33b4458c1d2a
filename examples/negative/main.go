// Negative shows how absence is remembered, and how it ends:
// go -C examples run ./negative
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/tiered"
)

var (
	errNoUser = errors.New("no such user") // the domain's own error
	users     = map[string]string{}        // the database
)

func load(_ context.Context, id string) (string, error) {
	fmt.Println("  database is asked for", id)
	if name, ok := users[id]; ok {
		return name, nil
	}
	return "", fmt.Errorf("user %s: %w", id, errNoUser)
}

func main() {
	ctx := context.Background()
	server := must(miniredis.Run())
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	node := must(tiered.Open(ctx, tiered.Options{Redis: client, Prefix: "shop", Logger: slog.New(slog.DiscardHandler)}))
	defer node.Close()
	names := must(tiered.New(node, tiered.Config[string]{Name: "names", NotFound: []error{errNoUser}}))

	for range 2 { // the second time from the cache, for NegativeTTL (30s by default)
		_, err := names.GetOrLoad(ctx, "7", load)
		fmt.Println("absent:", errors.Is(err, tiered.ErrAbsent))
	}
	users["7"] = "Customer 7" // what creates a thing must end its absence
	fmt.Println("delete:", names.Delete(ctx, "7"))
	name, err := names.GetOrLoad(ctx, "7", load)
	fmt.Println("found:", name, err)
}

func must[T any](v T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return v
}
