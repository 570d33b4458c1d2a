package fleet

import (
	"context"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/catalog"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/customers"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/ordering"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/regions"
	"github.com/doppio-cache/doppio/tiered"
)

// Counts says what a region's reads came to.
type Counts struct {
	L1Hits   uint64 `json:"l1_hits"`
	L1Misses uint64 `json:"l1_misses"`
	L2Hits   uint64 `json:"l2_hits"`
	L2Misses uint64 `json:"l2_misses"`
	Loads    uint64 `json:"loads"`
}

// Add returns the sum of two counts.
func (c Counts) Add(d Counts) Counts {
	return Counts{
		L1Hits: c.L1Hits + d.L1Hits, L1Misses: c.L1Misses + d.L1Misses,
		L2Hits: c.L2Hits + d.L2Hits, L2Misses: c.L2Misses + d.L2Misses,
		Loads: c.Loads + d.Loads,
	}
}

// caches are the regions of the service, as its repositories see them.
type caches struct {
	catalog   catalog.Caches
	customers tiered.Cache[customers.Customer]
	summaries tiered.Cache[[]ordering.Summary]
}

// cache is one instance's cache, Doppio's or the baseline's.
type cache interface {
	// Delete removes entries everywhere. It is what the event handler calls.
	Delete(ctx context.Context, entries ...regions.Entry) error
	// Ready waits until the instance hears invalidations.
	Ready(ctx context.Context) error
	// Counts of each region.
	Counts() map[string]Counts
	// Unconfirmed is the number of invalidations that Redis has not confirmed:
	// to Doppio those that it will send again, to the baseline those that have
	// failed.
	Unconfirmed() int
	// Failures is the number of reads and fills of Redis that have failed, most
	// often because the answer did not come in time.
	Failures() uint64
	// Stats is what GET /cache shows.
	Stats() any
	// Close drains what can be drained within ctx.
	Close(ctx context.Context) error
}
