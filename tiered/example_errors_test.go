package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// An origin that is overloaded is not asked again by everybody: that error stands
// for a while. Errors of other kinds do not.
func ExampleConfig_errorTTLFor() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Prefix: "shop", Local: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	errOverloaded := errors.New("too many connections")
	products, err := tiered.New(node, tiered.Config[Product]{
		Name: "products",
		ErrorTTLFor: func(err error) time.Duration {
			if errors.Is(err, errOverloaded) {
				return time.Minute
			}
			return 0
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	load := func(_ context.Context, id string) (Product, error) {
		fmt.Println("asking for", id)
		if id == "42" {
			return Product{}, fmt.Errorf("product %s: %w", id, errOverloaded)
		}
		return Product{}, errors.New("connection reset")
	}
	for _, id := range []string{"42", "42", "43", "43"} {
		_, err := products.GetOrLoad(ctx, id, load)
		fmt.Println(err)
	}
	fmt.Println("errors that stood:", products.Stats().ErrorHits)
	// Output:
	// asking for 42
	// product 42: too many connections
	// product 42: too many connections
	// asking for 43
	// connection reset
	// asking for 43
	// connection reset
	// errors that stood: 1
}
