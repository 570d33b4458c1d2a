package tiered_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/doppio-cache/doppio/tiered"
)

// Mutate leaves no old value behind even if the process dies between the commit and
// the invalidation. While the write runs, reads load, and nothing is stored. (This
// node is alone and has no Redis: here it is a write and a Delete.)
func ExampleRegion_Mutate() {
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
	setPrice := func(price int) error {
		return products.Mutate(ctx, []string{"42"}, func(context.Context) error {
			if price < 0 {
				return errors.New("prices are not negative") // nothing was committed
			}
			db["42"] = Product{ID: "42", Name: "Saw", Price: price}
			return nil
		})
	}
	for _, price := range []int{1799, -1} {
		err := setPrice(price)
		if _, ok := errors.AsType[*tiered.CommittedError](err); ok {
			// The write is done, and its invalidation is queued: nothing to be repeated.
			err = nil
		}
		p, _ := products.GetOrLoad(ctx, "42", db.ProductByID)
		fmt.Println(p.Price, err)
	}
	// Output:
	// 1799 <nil>
	// 1799 prices are not negative
}
