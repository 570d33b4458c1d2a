package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// ProductsByID asks the database once for several products.
func (db database) ProductsByID(_ context.Context, ids []string) (map[string]Product, error) {
	fmt.Println("SELECT … WHERE id IN", slices.Sorted(slices.Values(ids)))
	found := make(map[string]Product)
	for _, id := range ids {
		if p, ok := db[id]; ok {
			found[id] = p
		}
	}
	return found, nil
}

// One call reads many keys: what is cached from the cache, the rest from the
// database at once. What the database has not is remembered too.
func ExampleRegion_GetOrLoadMany() {
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

	for _, ids := range [][]string{{"41", "42"}, {"42", "43", "44"}, {"43", "44"}} {
		found, err := products.GetOrLoadMany(ctx, ids, db.ProductsByID)
		if err != nil {
			fmt.Println(err)
		}
		fmt.Println(slices.Sorted(maps.Keys(found)))
	}
	// Output:
	// SELECT … WHERE id IN [41 42]
	// [41 42]
	// SELECT … WHERE id IN [43 44]
	// [42 43]
	// [43]
}

// If some keys fail, the others are there all the same.
func ExampleBatchError() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Local: true, Prefix: "shop"})
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
	errDown := errors.New("warehouse 2 is down")
	found, err := prices.GetOrLoadMany(ctx, []string{"1:saw", "2:saw"}, func(context.Context, []string) (map[string]int, error) {
		return map[string]int{"1:saw": 1999}, errDown
	})
	fmt.Println(found)
	fmt.Println(err)
	fmt.Println(errors.Is(err, errDown))
	var failed *tiered.BatchError
	if errors.As(err, &failed) {
		fmt.Println(failed.Keys())
	}
	// Output:
	// map[1:saw:1999]
	// doppio: 1 key failed in region prices: "2:saw": warehouse 2 is down
	// true
	// [2:saw]
}

// author is resolved for each post by itself, as a GraphQL server does.
type author struct {
	ID   int
	Name string
}

// A dataloader: each post asks for its author on its own, and all of them
// together are one query.
func ExampleBindMany() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Local: true, Prefix: "blog"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close()
	region, err := tiered.New(node, tiered.Config[author]{Name: "authors"})
	if err != nil {
		fmt.Println(err)
		return
	}
	authorsByID := func(_ context.Context, ids []int) (map[int]author, error) {
		fmt.Println("query for", len(ids), "authors")
		found := make(map[int]author)
		for _, id := range ids {
			found[id] = author{ID: id, Name: "author " + strconv.Itoa(id)}
		}
		return found, nil
	}
	authors := tiered.BindMany(region, strconv.Itoa, authorsByID, tiered.Coalescing{
		MaxWait:  10 * time.Second, // a few milliseconds in a service; here MaxBatch sends the query off
		MaxBatch: 3,
	})

	posts := []int{1, 2, 3, 1, 2} // their authors
	names := make([]string, len(posts))
	var resolvers sync.WaitGroup
	for i, id := range posts {
		resolvers.Go(func() {
			a, err := authors.Get(ctx, id)
			if err != nil {
				a.Name = err.Error()
			}
			names[i] = a.Name
		})
	}
	resolvers.Wait()
	for _, name := range names {
		fmt.Println(name)
	}
	// Output:
	// query for 3 authors
	// author 1
	// author 2
	// author 3
	// author 1
	// author 2
}
