package tiered_test

import (
	"context"
	"fmt"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// An origin that can answer "unchanged" is asked about the value that there was.
func ExampleRegion_LoadIf() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Prefix: "shop", Local: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	pages, err := tiered.New(node, tiered.Config[string]{Name: "pages", TTL: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}

	text, etag := "Espresso, 2.20", tiered.Validator(`"v1"`)
	load := func(_ context.Context, key string, prev tiered.Entry[string]) (string, tiered.Validator, error) {
		if prev.Validator == etag {
			fmt.Println("the origin says: unchanged")
			return "", "", tiered.ErrUnchanged
		}
		fmt.Println("the origin sends", key)
		return text, etag, nil
	}
	fmt.Println(pages.LoadIf(ctx, "menu", load))
	fmt.Println(pages.LoadIf(ctx, "menu", load, tiered.ForceLoad()))
	text, etag = "Espresso, 2.40", `"v2"`
	fmt.Println(pages.LoadIf(ctx, "menu", load, tiered.ForceLoad()))
	// Output:
	// the origin sends menu
	// Espresso, 2.20 <nil>
	// the origin says: unchanged
	// Espresso, 2.20 <nil>
	// the origin sends menu
	// Espresso, 2.40 <nil>
}
