package tiered_test

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/doppio-cache/doppio/tiered"
)

// A region is preloaded before the service takes requests. The keys come from an
// iterator, so there may be any number of them; a query's rows will do.
func ExampleRegion_Warm() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Local: true, Prefix: "shop"})
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
	db := database{"41": {Name: "Plane"}, "42": {Name: "Saw"}, "43": {Name: "File"}}
	bestsellers := slices.Values([]string{"43", "41", "44"}) // 44 is no longer sold

	warmed, err := products.Warm(ctx, bestsellers, db.ProductsByID, tiered.Warming{
		Batch:    2,
		Progress: func(w tiered.Warmed) { fmt.Println(w.Keys, "keys so far") },
		// One batch at a time, for the sake of the output.
		Concurrency: 1,
	})
	fmt.Printf("%+v, %v\n", warmed, err)
	fmt.Println(slices.Sorted(maps.Keys(maps.Collect(products.Cached()))))
	// Output:
	// SELECT … WHERE id IN [41 43]
	// 2 keys so far
	// SELECT … WHERE id IN [44]
	// 3 keys so far
	// {Keys:3 Hits:0 Loaded:2 Absent:1 Stale:0 Failed:0}, <nil>
	// [41 43]
}
