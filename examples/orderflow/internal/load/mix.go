package load

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/origin"
)

// visitor makes up requests: a few products are asked for most of the time
// (Zipf), and the same ones are repriced most often.
type visitor struct {
	rng   *rand.Rand
	ranks *rand.Zipf
}

// newVisitor returns the n-th visitor of a run. Visitors of the same seed and
// number make the same requests.
func newVisitor(seed uint64, n int) *visitor {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	return &visitor{rng: rng, ranks: rand.NewZipf(rng, 1.2, 4, origin.Products-1)}
}

// visit makes the next request. All its choices are made before it, so that
// the answer does not change what comes after.
func (v *visitor) visit(ctx context.Context, t *Target) error {
	kind := v.rng.IntN(1000)
	inst := t.Fleet.Instances[v.rng.IntN(len(t.Fleet.Instances))]
	product, other := v.product(), v.product()
	customer := 1 + int64(v.ranks.Uint64())%origin.Customers
	number := v.rng.Int64N(10_000)

	switch {
	case kind < 680:
		_, err := t.getProduct(ctx, inst, fmt.Sprintf("/products/%d", product))
		return err
	case kind < 770:
		_, err := t.getProduct(ctx, inst, fmt.Sprintf("/skus/SKU-%d", 100_000+product))
		return err
	case kind < 830:
		return t.getPage(ctx, inst, "")
	case kind < 850:
		return t.getPage(ctx, inst, fmt.Sprintf("?page=%d", 2+number%20))
	case kind < 890:
		return t.get(ctx, inst, fmt.Sprintf("/customers/%d", customer))
	case kind < 930:
		return t.get(ctx, inst, fmt.Sprintf("/customers/%d/orders", customer))
	case kind < 965:
		return t.get(ctx, inst, fmt.Sprintf("/products/%d/stock", product))
	case kind < 985: // links that lead nowhere
		return t.get(ctx, inst, fmt.Sprintf("/products/%d", 1_000_000+number%100))
	case kind < 993:
		_, err := t.setPrice(ctx, inst, product, 99+number)
		return err
	default:
		return t.placeOrder(ctx, inst, customer, product, other)
	}
}

// product is the id of a product. Popular ones are spread over the ids, so that
// only some are on the first page of the list.
func (v *visitor) product() int64 {
	return 1 + int64(v.ranks.Uint64()*7)%origin.Products
}
