// Degraded shows what happens while Redis is away: go -C examples run ./degraded
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/doppio-cache/doppio/tiered"
)

func main() {
	logging.Disable() // go-redis would report each refused connection
	ctx := context.Background()
	server := must(miniredis.Run())
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	node := must(tiered.Open(ctx, tiered.Options{Redis: client, Prefix: "shop", Logger: slog.New(slog.DiscardHandler)}))
	defer node.Close()
	things := must(tiered.New(node, tiered.Config[string]{Name: "things"}))

	load := func(_ context.Context, key string) (string, error) { return "value of " + key, nil }
	get := func(when, key string) {
		var info tiered.Info
		v, err := things.GetOrLoad(ctx, key, load, tiered.WithInfo(&info))
		fmt.Printf("%s: %q from %v, error %v\n", when, v, info.Source, err)
	}

	get("with Redis", "a")
	for node.Stats().L1.Entries == 0 { // memory admits new keys in the background
		<-time.After(time.Millisecond)
	}
	server.Close()
	get("without", "a") // from memory, for MaxStaleness at most
	get("without", "b") // loaded

	_, queued := errors.AsType[*tiered.PendingError](things.Delete(ctx, "a"))
	fmt.Println("delete is queued:", queued)
	must(0, server.Restart())
	for node.Stats().PendingRetries > 0 { // nobody needs to wait for this
		<-time.After(time.Millisecond)
	}
	fmt.Println("Redis is back, and knows of the delete")
	get("with Redis", "a")
}

func must[T any](v T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return v
}
