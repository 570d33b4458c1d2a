package fleet

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/catalog"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/customers"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/ordering"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/regions"
	"github.com/doppio-cache/doppio/tiered"
)

// doppio is a cache with Doppio: all of the service's code that knows it,
// besides the repositories' reads.
type doppio struct {
	node     *tiered.Node
	failures *failures
}

// failures is an observer that counts the calls to Redis that fail.
type failures struct{ n atomic.Uint64 }

// Observe is called by the node before each operation.
func (f *failures) Observe(ctx context.Context, op tiered.Operation) (context.Context, func(error)) {
	if op.Kind == tiered.OpLoad {
		return ctx, nil
	}
	return ctx, func(err error) {
		if err != nil {
			f.n.Add(1)
		}
	}
}

func openDoppio(ctx context.Context, client redis.UniversalClient, opts Options, log *slog.Logger) (cache, caches, error) {
	observer := new(failures)
	node, err := tiered.Open(ctx, tiered.Options{
		Redis:        client,
		Prefix:       opts.Prefix,
		L1MaxBytes:   opts.L1MaxBytes,
		MaxStaleness: opts.MaxStaleness,
		L2Timeout:    opts.L2Timeout,
		Logger:       log,
		Observer:     observer,
	})
	if err != nil {
		return nil, caches{}, err
	}
	all, err := declareAll(node)
	if err != nil {
		return nil, caches{}, errors.Join(err, node.Close())
	}
	return &doppio{node: node, failures: observer}, all, nil
}

// declareAll declares the service's regions.
func declareAll(node *tiered.Node) (all caches, err error) {
	var errs [6]error
	all.catalog.Products, errs[0] = declare[catalog.Product](node, regions.Products, regions.ProductsTTL)
	all.catalog.BySKU, errs[1] = declare[int64](node, regions.ProductBySKU, regions.ProductBySKUTTL)
	all.catalog.FirstPage, errs[2] = declare[[]catalog.Listing](node, regions.ProductList, regions.ProductListTTL)
	all.catalog.Stock, errs[3] = declare[int64](node, regions.Stock, regions.StockTTL)
	all.customers, errs[4] = declare[customers.Customer](node, regions.Customers, regions.CustomersTTL)
	all.summaries, errs[5] = declare[[]ordering.Summary](node, regions.OrderSummaries, regions.OrderSummariesTTL)
	return all, errors.Join(errs[:]...)
}

func declare[V any](node *tiered.Node, name string, ttl time.Duration) (tiered.Cache[V], error) {
	// Loads that wrap tiered.ErrNotFound are remembered for NegativeTTL; that
	// and all else is left at its default.
	region, err := tiered.New(node, tiered.Config[V]{Name: name, TTL: ttl})
	if err != nil {
		return nil, err // not region: a nil *Region in the interface would not be nil
	}
	return region, nil
}

func (d *doppio) Delete(ctx context.Context, entries ...regions.Entry) error {
	refs := make([]tiered.Ref, len(entries))
	for i, e := range entries {
		refs[i] = d.node.Ref(e.Region, e.Key)
	}
	return d.node.Delete(ctx, refs...)
}

func (d *doppio) Ready(ctx context.Context) error { return d.node.Ready(ctx) }

func (d *doppio) Counts() map[string]Counts {
	counts := make(map[string]Counts)
	for name, s := range d.node.Stats().Regions {
		counts[name] = Counts{L1Hits: s.L1Hits, L1Misses: s.L1Misses, L2Hits: s.L2Hits, L2Misses: s.L2Misses, Loads: s.Loads}
	}
	return counts
}

func (d *doppio) Unconfirmed() int { return d.node.Stats().PendingRetries }

func (d *doppio) Failures() uint64 { return d.failures.n.Load() }

func (d *doppio) Stats() any {
	s := d.node.Stats()
	return map[string]any{
		"regions":                d.Counts(),
		"l1_entries":             s.L1.Entries,
		"l1_bytes":               s.L1.Bytes,
		"invalidations_sent":     s.Sent,
		"invalidations_received": s.Received,
		"invalidations_pending":  s.PendingRetries,
		"gaps":                   s.Gaps,
		"flushes":                s.Flushes,
		"degraded":               s.Degraded,
		"degraded_reason":        s.DegradedReason,
	}
}

func (d *doppio) Close(ctx context.Context) error { return d.node.Shutdown(ctx) }
