// Package events holds what the domain announces once it has committed it.
//
// Repositories announce; they do not know who listens. Here the only listener
// is the cache (package invalidate); a message queue or a search index would
// be others.
package events

import (
	"context"
	"errors"
)

// Event is one of the types of this package.
type Event interface{ event() }

// ProductUpdated says that a product's details have changed.
type ProductUpdated struct {
	ProductID int64
	SKU       string // as it is now
	OldSKU    string // as it was before; the same if it has not changed
}

// OrderPlaced says that an order has been placed and its goods have left the
// stock.
type OrderPlaced struct {
	OrderID    string
	CustomerID int64
	ProductIDs []int64
}

func (ProductUpdated) event() {}
func (OrderPlaced) event()    {}

// Handler is told of events, after the commit.
type Handler interface {
	Handle(ctx context.Context, e Event) error
}

// ErrAfterCommit marks an error that happened when a change had already been
// committed: the change stands, but not all that follows from it has been done.
// Callers must not report the change as failed.
var ErrAfterCommit = errors.New("committed, but not everybody has been told")
