package tiered_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/doppio-cache/doppio/tiered"
)

// A tag names what belongs together, in whatever regions it is. Tags are known from
// the value (Config.Tags), or are given by the call (WithTags).
func ExampleNode_InvalidateTags() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Prefix: "shop", Local: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	products, err1 := tiered.New(node, tiered.Config[Product]{
		Name: "products",
		Tags: func(_ string, p Product) []string { return []string{"brand:" + p.Name} },
	})
	pages, err2 := tiered.New(node, tiered.Config[string]{Name: "pages"})
	if err := errors.Join(err1, err2); err != nil {
		fmt.Println(err)
		return
	}

	db := database{"42": {ID: "42", Name: "Acme"}, "43": {ID: "43", Name: "Bolt"}}
	front := func(context.Context, string) (string, error) { return "Acme's best", nil }
	for id := range db {
		_, _ = products.GetOrLoad(ctx, id, db.ProductByID)
	}
	_, _ = pages.GetOrLoad(ctx, "front", front, tiered.WithTags("brand:Acme"))
	if err := node.InvalidateTags(ctx, "brand:Acme"); err != nil {
		fmt.Println(err)
	}
	_, err = products.Get(ctx, "42")
	fmt.Println(err)
	_, err = pages.Get(ctx, "front")
	fmt.Println(err)
	bolt, err := products.Get(ctx, "43")
	fmt.Println(bolt.Name, err)
	// Output:
	// doppio: not found
	// doppio: not found
	// Bolt <nil>
}

// Clear invalidates a region as a whole, however many values it has.
func ExampleRegion_Clear() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Prefix: "shop", Local: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	prices, err := tiered.New(node, tiered.Config[int]{Name: "prices"})
	if err != nil {
		fmt.Println(err)
		return
	}

	if err := prices.SetMany(ctx, map[string]int{"saw": 1999, "file": 499}); err != nil {
		fmt.Println(err)
	}
	found, _ := prices.GetMany(ctx, []string{"saw", "file"})
	fmt.Println(found)
	if err := prices.Clear(ctx); err != nil {
		fmt.Println(err)
	}
	found, _ = prices.GetMany(ctx, []string{"saw", "file"})
	fmt.Println(found)
	// Output:
	// map[file:499 saw:1999]
	// map[]
}
