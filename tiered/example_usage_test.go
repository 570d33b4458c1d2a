package tiered_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// Keys can be typed, and the load can be a method, without a price for the hit.
func ExampleBind() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Prefix: "shop", Local: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	squares, err := tiered.New(node, tiered.Config[int]{Name: "squares"})
	if err != nil {
		fmt.Println(err)
		return
	}

	square := tiered.Bind(squares, strconv.Itoa, func(_ context.Context, n int) (int, error) {
		fmt.Println("computing", n)
		return n * n, nil
	})
	for range 2 {
		v, err := square.Get(ctx, 12)
		fmt.Println(v, err)
	}
	// Output:
	// computing 12
	// 144 <nil>
	// 144 <nil>
}

// Set puts a value in place that is at hand already, for example one that was
// just created.
func ExampleRegion_Set() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Prefix: "shop", Local: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	sessions, err := tiered.New(node, tiered.Config[string]{Name: "sessions"})
	if err != nil {
		fmt.Println(err)
		return
	}

	if err := sessions.Set(ctx, "s1", "alice", tiered.WithTTL(time.Hour)); err != nil {
		fmt.Println(err)
	}
	fmt.Println(sessions.Get(ctx, "s1"))
	// Output: alice <nil>
}

// One write to the origin often concerns several regions. They are invalidated
// in one call, after the commit.
func ExampleNode_Delete() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Prefix: "shop", Local: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	products, err1 := tiered.New(node, tiered.Config[Product]{Name: "products"})
	pages, err2 := tiered.New(node, tiered.Config[[]Product]{Name: "product-list"})
	if err := errors.Join(err1, err2); err != nil {
		fmt.Println(err)
		return
	}

	db := database{"42": {ID: "42", Name: "Saw", Price: 1999}}
	firstPage := func(context.Context, string) ([]Product, error) { return []Product{db["42"]}, nil }
	show := func() {
		p, _ := products.GetOrLoad(ctx, "42", db.ProductByID)
		page, _ := pages.GetOrLoad(ctx, "1", firstPage)
		fmt.Println(p.Price, page[0].Price)
	}
	show()
	db["42"] = Product{ID: "42", Name: "Saw", Price: 1799}
	show()
	if err := node.Delete(ctx, products.Ref("42"), pages.Ref("1")); err != nil {
		fmt.Println(err)
	}
	show()
	// Output:
	// 1999 1999
	// 1999 1999
	// 1799 1799
}

// That there is no such thing is remembered as well, so that asking for it again
// and again does not reach the origin.
func Example_negative() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Prefix: "shop", Local: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	products, err := tiered.New(node, tiered.Config[Product]{
		Name:        "products",
		NotFound:    []error{sql.ErrNoRows},
		NegativeTTL: time.Minute,
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	load := func(context.Context, string) (Product, error) {
		fmt.Println("asking the database")
		return Product{}, sql.ErrNoRows
	}
	for range 2 {
		_, err := products.GetOrLoad(ctx, "43", load)
		fmt.Println(errors.Is(err, tiered.ErrNotFound))
	}
	// Output:
	// asking the database
	// true
	// true
}

func ExampleWithInfo() {
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
	for range 2 {
		var info tiered.Info
		p, err := products.GetOrLoad(ctx, "42", db.ProductByID, tiered.WithInfo(&info))
		fmt.Println(p.Name, err, "from", info.Source)
	}
	// Output:
	// Saw <nil> from load
	// Saw <nil> from l1
}

// priceList depends on a cache, not on how it is kept.
type priceList struct {
	cache tiered.Cache[Product]
	db    database
}

func (l priceList) price(ctx context.Context, id string) (int, error) {
	p, err := l.cache.GetOrLoad(ctx, id, l.db.ProductByID)
	return p.Price, err
}

// In tests, or to switch caching off, Noop takes the place of a region.
func ExampleNoop() {
	list := priceList{cache: tiered.Noop[Product](), db: database{"42": {ID: "42", Name: "Saw", Price: 1999}}}
	fmt.Println(list.price(context.Background(), "42"))
	list.db["42"] = Product{ID: "42", Name: "Saw", Price: 1799}
	fmt.Println(list.price(context.Background(), "42"))
	// Output:
	// 1999 <nil>
	// 1799 <nil>
}
