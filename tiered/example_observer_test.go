package tiered_test

import (
	"context"
	"fmt"

	"github.com/doppio-cache/doppio/tiered"
)

// tracer stands for the spans and metrics of a service.
type tracer struct{}

func (tracer) Observe(ctx context.Context, op tiered.Operation) (context.Context, func(error)) {
	fmt.Println("begin", op.Kind, op.Region, op.Key)
	return ctx, func(err error) { fmt.Println("end", op.Kind, err) }
}

// An Observer is called around loads and operations on Redis. A hit in L1 is neither,
// and is counted by Stats.
func ExampleObserver() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Prefix: "shop", Local: true, Observer: tracer{}})
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

	db := database{"42": {ID: "42", Name: "Saw"}}
	for range 3 {
		_, _ = products.GetOrLoad(ctx, "42", db.ProductByID)
	}
	stats := node.Stats()
	of := stats.Regions["products"]
	fmt.Println(of.L1Hits, "hits in L1,", of.Loads, "load; degraded:", stats.Degraded)
	// Output:
	// begin load products 42
	// end load <nil>
	// 2 hits in L1, 1 load; degraded: false
}
