package tiered_test

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/tiered"
)

// Product is what is cached.
type Product struct {
	ID    string
	Name  string
	Price int
}

// database is the origin.
type database map[string]Product

// ProductByID asks the database.
func (db database) ProductByID(_ context.Context, id string) (Product, error) {
	p, ok := db[id]
	if !ok {
		return Product{}, sql.ErrNoRows
	}
	return p, nil
}

func ExampleRegion_GetOrLoad() {
	server := miniredis.NewMiniRedis() // in a service: a Redis
	if err := server.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	db := database{"42": {ID: "42", Name: "Saw", Price: 1999}}
	if err := serve(context.Background(), server.Addr(), db); err != nil {
		fmt.Println(err)
	}
	// Output: Saw
}

func serve(ctx context.Context, address string, db database) error {
	node, err := tiered.Open(ctx, tiered.Options{
		Redis:        redis.NewClient(&redis.Options{Addr: address}),
		Prefix:       "shop",
		MaxStaleness: 2 * time.Second,
	})
	if err != nil {
		return err
	}
	defer node.Close() // a server calls node.Shutdown(ctx) first: it waits for queued invalidations

	products, err := tiered.New(node, tiered.Config[Product]{
		Name:     "products",
		TTL:      30 * time.Minute,
		NotFound: []error{sql.ErrNoRows},
	})
	if err != nil {
		return err
	}

	p, err := products.GetOrLoad(ctx, "42", db.ProductByID) // L1, then Redis, then the database, once
	if err != nil {
		return err
	}
	fmt.Println(p.Name)
	err = products.Delete(ctx, "42") // after the commit: on all instances; a *PendingError is queued, and no reason to fail
	return err
}
