// Package invalidate is the one place that knows which cached values an event
// makes wrong.
//
// Nothing else in the service deletes from the cache. So the question "what
// goes stale when a product changes?" has one answer, in one function, with one
// table of tests, instead of a Delete after every UPDATE.
package invalidate

import (
	"context"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/events"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/regions"
)

// Deleter removes values from all tiers of all instances.
type Deleter interface {
	Delete(ctx context.Context, entries ...regions.Entry) error
}

// Handler turns events into invalidations. It is safe for concurrent use if its
// Deleter is.
type Handler struct {
	cache Deleter
}

// NewHandler returns a handler that deletes from cache.
func NewHandler(cache Deleter) *Handler { return &Handler{cache: cache} }

// Handle deletes what the event makes wrong, in one call for all regions. It
// must run after the commit: a delete before it would let a reader put the old
// value back.
//
// Its error does not undo the event. With Doppio it is a *tiered.PendingError:
// Redis has not confirmed, and the node goes on trying by itself.
func (h *Handler) Handle(ctx context.Context, e events.Event) error {
	entries := Entries(e)
	if len(entries) == 0 {
		return nil
	}
	return h.cache.Delete(ctx, entries...)
}

// Entries lists the values that an event makes wrong.
func Entries(e events.Event) []regions.Entry {
	switch e := e.(type) {
	case events.ProductUpdated:
		return productUpdated(e)
	case events.OrderPlaced:
		return orderPlaced(e)
	default:
		return nil
	}
}

func productUpdated(e events.ProductUpdated) []regions.Entry {
	entries := []regions.Entry{
		regions.Product(e.ProductID),
		// The list shows names and prices. Whether this product is on its first
		// page is not worth finding out.
		regions.FirstPage(),
	}
	if e.SKU != e.OldSKU {
		// Both: the old SKU leads to nothing now, and the new one may be
		// remembered as one that leads to nothing. A price change touches
		// neither, because the entry holds the product's id and no detail.
		entries = append(entries, regions.SKU(e.OldSKU), regions.SKU(e.SKU))
	}
	return entries
}

func orderPlaced(e events.OrderPlaced) []regions.Entry {
	entries := []regions.Entry{regions.Summaries(e.CustomerID)}
	for _, id := range e.ProductIDs {
		// The product's details stay: the stock level is not among them.
		entries = append(entries, regions.StockLevel(id))
	}
	return entries
}
