package tiered_test

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/tiered"
)

// Loads that read a replica may get the old value for as long as the replica lags
// behind. What is loaded within OriginLag after an invalidation is returned, but
// kept nowhere, so that it does not live for a whole TTL.
func ExampleConfig_originLag() {
	ctx := context.Background()
	server, err := miniredis.Run() // in place of a redis-server
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	node, err := tiered.Open(ctx, tiered.Options{Prefix: "shop", Redis: client, L2Timeout: 10 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	prices, err := tiered.New(node, tiered.Config[int]{Name: "prices", OriginLag: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}

	replica := 1999
	loads := 0
	load := func(context.Context, string) (int, error) {
		loads++
		return replica, nil
	}
	show := func() {
		loads = 0
		_, _ = prices.GetOrLoad(ctx, "saw", load)
		price, _ := prices.GetOrLoad(ctx, "saw", load)
		fmt.Println(price, "loads:", loads)
	}
	show()
	if err := prices.Delete(ctx, "saw"); err != nil { // 1799 is committed, and not yet on the replica
		fmt.Println(err)
	}
	show()
	replica = 1799
	show()
	// Output:
	// 1999 loads: 1
	// 1999 loads: 2
	// 1799 loads: 2
}

// A value may know for how long it lives: a price until the end of its offer.
// Negative: it is not cached.
func ExampleConfig_adaptive() {
	type offer struct {
		Price int
		For   time.Duration
	}
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Prefix: "shop", Local: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	offers, err := tiered.New(node, tiered.Config[offer]{
		Name: "offers", Jitter: -1,
		TTLFor: func(_ string, o offer) time.Duration { return o.For },
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	load := func(_ context.Context, key string) (offer, error) {
		return map[string]offer{
			"saw":  {Price: 1799, For: 10 * time.Minute},
			"file": {Price: 499}, // 0: Config.TTL
			"vice": {Price: 2999, For: -1},
		}[key], nil
	}
	for _, key := range []string{"saw", "file", "vice"} {
		var info tiered.Info
		o, err := offers.GetOrLoad(ctx, key, load, tiered.WithInfo(&info))
		fmt.Println(key, o.Price, info.Remaining.Round(time.Minute), err)
	}
	// Output:
	// saw 1799 10m0s <nil>
	// file 499 5m0s <nil>
	// vice 2999 0s <nil>
}
