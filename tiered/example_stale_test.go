package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// When the origin is down, a value whose life is over is better than none.
// Expire ends a life early and keeps the value for that; Delete does not.
func ExampleRegion_Expire() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Prefix: "shop", Local: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	rates, err := tiered.New(node, tiered.Config[float64]{Name: "rates", TTL: time.Hour, StaleFor: 24 * time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}

	up := func(context.Context, string) (float64, error) { return 1.08, nil }
	down := func(context.Context, string) (float64, error) { return 0, errors.New("no route to host") }
	show := func(load func(context.Context, string) (float64, error)) {
		var info tiered.Info
		rate, err := rates.GetOrLoad(ctx, "EUR/USD", load, tiered.WithInfo(&info))
		fmt.Println(rate, err, "stale:", info.Stale)
	}
	show(up)
	if err := rates.Expire(ctx, "EUR/USD"); err != nil {
		fmt.Println(err)
	}
	show(down)
	if err := rates.Delete(ctx, "EUR/USD"); err != nil {
		fmt.Println(err)
	}
	show(down)
	// Output:
	// 1.08 <nil> stale: false
	// 1.08 <nil> stale: true
	// 0 no route to host stale: false
}

// A call waits for SoftTimeout where there is an old value; the load goes on.
func ExampleConfig_softTimeout() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Prefix: "shop", Local: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	pages, err := tiered.New(node, tiered.Config[string]{
		Name: "pages", StaleFor: time.Hour, SoftTimeout: 10 * time.Millisecond,
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	published := make(chan struct{})
	first := func(context.Context, string) (string, error) { return "first edition", nil }
	slow := func(context.Context, string) (string, error) {
		<-published
		return "second edition", nil
	}
	fmt.Println(pages.GetOrLoad(ctx, "front", first))
	_ = pages.Expire(ctx, "front")
	fmt.Println(pages.GetOrLoad(ctx, "front", slow))
	close(published)
	for page := ""; page != "second edition"; {
		page, _ = pages.Get(ctx, "front") // until the load has ended
	}
	fmt.Println(pages.Get(ctx, "front"))
	// Output:
	// first edition <nil>
	// first edition <nil>
	// second edition <nil>
}
