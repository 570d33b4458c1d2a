package main

import (
	"context"
	"fmt"
	"io"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/load"
)

// serve keeps everything up until ctx ends, and says what can be done with it.
func serve(ctx context.Context, w io.Writer, targets []*load.Target) {
	fmt.Fprintln(w, "\nThe instances stay up:")
	for _, t := range targets {
		line := fmt.Sprintf("  %-10s", t.Fleet.Kind)
		for _, inst := range t.Fleet.Instances {
			line += "  " + inst.URL
		}
		fmt.Fprintln(w, line)
	}
	doppio := targets[0].Fleet.Instances
	fmt.Fprintf(w, `
Try, in another terminal (X-Cache says which tier has answered, Cache-Invalidation whether Redis
has confirmed):

  A=%s B=%s C=%s
  curl -i $A/products/499
  curl -i $B/products/499
  curl -i -X PATCH -d '{"price_cents": 4711}' $C/products/499
  curl -i $A/products/499
  curl -i -d '{"customer_id": 7, "lines": [{"product_id": 499, "quantity": 2}]}' $A/orders
  curl $B/customers/7/orders
  curl $A/cache

Ctrl-C ends it.
`, doppio[0].URL, doppio[1].URL, doppio[2].URL)
	<-ctx.Done()
}
