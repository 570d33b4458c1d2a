package tiered_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// Get, which does not load, says whether there is something, and an Info how long
// for: there is no other method for either.
func ExampleInfo() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Local: true, Prefix: "shop"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	products, err := tiered.New(node, tiered.Config[Product]{
		Name: "products", TTL: time.Hour, NegativeTTL: time.Minute, Jitter: -1, NotFound: []error{sql.ErrNoRows},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	db := database{"42": {Name: "Saw"}}
	for _, id := range []string{"42", "43"} {
		_, _ = products.GetOrLoad(ctx, id, db.ProductByID)
	}

	for _, id := range []string{"42", "43", "44"} {
		var info tiered.Info
		_, err := products.Get(ctx, id, tiered.WithInfo(&info))
		left := info.Remaining.Round(time.Minute)
		switch {
		case err == nil:
			fmt.Println(id, "is cached in", info.Source, "for", left)
		case errors.Is(err, tiered.ErrAbsent):
			fmt.Println(id, "does not exist, which is known for", left)
		case errors.Is(err, tiered.ErrNotFound):
			fmt.Println(id, "is not cached")
		default:
			fmt.Println(id, "may be cached, but Redis cannot be asked:", err)
		}
	}
	// Output:
	// 42 is cached in l1 for 1h0m0s
	// 43 does not exist, which is known for 1m0s
	// 44 is not cached
}
