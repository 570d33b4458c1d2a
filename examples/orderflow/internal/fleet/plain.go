package fleet

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/baseline"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/catalog"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/customers"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/ordering"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/regions"
)

// plain is the same with the baseline.
type plain struct {
	node *baseline.Node
}

func openPlain(ctx context.Context, client redis.UniversalClient, opts Options) (cache, caches, error) {
	node, err := baseline.Open(ctx, baseline.Options{
		Redis:      client,
		Prefix:     opts.Prefix,
		L1MaxBytes: opts.L1MaxBytes,
		L1TTL:      opts.BaselineL1TTL,
		Timeout:    opts.L2Timeout,
	})
	if err != nil {
		return nil, caches{}, err
	}
	return &plain{node: node}, caches{
		catalog: catalog.Caches{
			Products:  baseline.New[catalog.Product](node, regions.Products, regions.ProductsTTL),
			BySKU:     baseline.New[int64](node, regions.ProductBySKU, regions.ProductBySKUTTL),
			FirstPage: baseline.New[[]catalog.Listing](node, regions.ProductList, regions.ProductListTTL),
			Stock:     baseline.New[int64](node, regions.Stock, regions.StockTTL),
		},
		customers: baseline.New[customers.Customer](node, regions.Customers, regions.CustomersTTL),
		summaries: baseline.New[[]ordering.Summary](node, regions.OrderSummaries, regions.OrderSummariesTTL),
	}, nil
}

func (p *plain) Delete(ctx context.Context, entries ...regions.Entry) error {
	return p.node.Delete(ctx, entries...)
}

func (p *plain) Ready(context.Context) error { return nil } // Open has waited for the subscription

func (p *plain) Counts() map[string]Counts {
	counts := make(map[string]Counts)
	for name, c := range p.node.Counts() {
		counts[name] = Counts(c)
	}
	return counts
}

func (p *plain) Unconfirmed() int { return int(p.node.Failed()) }

func (p *plain) Failures() uint64 { return p.node.Failed() }

func (p *plain) Stats() any { return map[string]any{"regions": p.Counts()} }

func (p *plain) Close(context.Context) error { return p.node.Close() }
