package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// A value in use is loaded anew before its life is over; whoever reads it
// meanwhile does not wait.
func ExampleConfig_refreshAhead() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Prefix: "shop", Local: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	stock, err := tiered.New(node, tiered.Config[int]{Name: "stock", TTL: time.Minute, RefreshAhead: 0.0001})
	if err != nil {
		fmt.Println(err)
		return
	}

	n := 0
	count := func(context.Context, string) (int, error) { n++; return n, nil }
	fmt.Println(stock.GetOrLoad(ctx, "saw", count))
	time.Sleep(20 * time.Millisecond)               // more than that share of a minute
	fmt.Println(stock.GetOrLoad(ctx, "saw", count)) // starts it
	for {
		if v, _ := stock.Get(ctx, "saw"); v > 1 {
			fmt.Println("then", v)
			return
		}
	}
	// Output:
	// 1 <nil>
	// 1 <nil>
	// then 2
}

// Refresh loads keys anew while the old values are being served.
func ExampleRegion_Refresh() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Prefix: "shop", Local: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	products, err := tiered.New(node, tiered.Config[Product]{Name: "products"})
	if err != nil {
		fmt.Println(err)
		return
	}

	db := database{"42": {ID: "42", Name: "Saw", Price: 1999}}
	p, _ := products.GetOrLoad(ctx, "42", db.ProductByID)
	fmt.Println(p.Price)
	db["42"] = Product{ID: "42", Name: "Saw", Price: 1799}
	if err := products.Refresh(ctx, db.ProductByID, "42"); err != nil {
		fmt.Println(err)
	}
	p, _ = products.Get(ctx, "42")
	fmt.Println(p.Price)
	// Output:
	// 1999
	// 1799
}

// A session lives as long as it is used, and no longer than TTL.
func ExampleConfig_slidingTTL() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Prefix: "shop", Local: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	sessions, err := tiered.New(node, tiered.Config[string]{Name: "sessions", TTL: 12 * time.Hour, SlidingTTL: 2 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}

	if err := sessions.Set(ctx, "s1", "alice"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(sessions.Get(ctx, "s1"))
	time.Sleep(3 * time.Second) // nobody reads it
	_, err = sessions.Get(ctx, "s1")
	fmt.Println(errors.Is(err, tiered.ErrNotFound))
	// Output:
	// alice <nil>
	// true
}
