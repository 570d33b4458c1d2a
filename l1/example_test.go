package l1_test

import (
	"fmt"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l1"
)

func Example() {
	fences := fence.New(1, 5*time.Second, 1<<20)
	c, err := l1.New(l1.Options{MaxBytes: 1 << 20, Fences: fences})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	products := c.Region("products")
	hash := keyspace.Hash("products", "42")
	stamp := fences.Stamp(hash) // before the first step of the load
	c.Put(&l1.Entry{
		Region: products, Key: "42", Value: "espresso cup", Cost: 12,
		Mark: stamp.Mark(), Expires: stamp.T0 + int64(time.Minute),
	})
	c.Wait()

	look := func() {
		if e, value, _ := c.Get(products, hash, "42"); e != nil {
			fmt.Println("hit:", value)
			return
		}
		fmt.Println("miss")
	}
	look()
	fences.Heard(0, 1, []uint64{hash}) // somebody has changed product 42
	look()
	fmt.Printf("%+v\n", products.Counters())
	// Output:
	// hit: espresso cup
	// miss
	// {Hits:1 NegativeHits:0 Misses:1}
}
