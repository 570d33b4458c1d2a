// Package ordering places orders, and shows customers those that they have
// placed.
package ordering

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Line is one product of an order.
type Line struct {
	ProductID int64 `json:"product_id"`
	Quantity  int64 `json:"quantity"`
}

// Request asks for an order.
type Request struct {
	CustomerID int64  `json:"customer_id"`
	Lines      []Line `json:"lines"`
}

// Summary is an order as a customer's overview shows it.
type Summary struct {
	ID         string `json:"id"`
	PlacedAt   int64  `json:"placed_at"` // milliseconds since 1970, UTC
	TotalCents int64  `json:"total_cents"`
}

// Errors of requests.
var (
	// ErrInvalid says that a request makes no sense.
	ErrInvalid = errors.New("invalid order")
	// ErrOutOfStock says that there are not enough pieces of a product.
	ErrOutOfStock = errors.New("out of stock")
)

const maxLines = 50

// normalize adds up lines of the same product and sorts them: transactions that
// lock rows in the same order cannot wait for each other in a circle.
func (r Request) normalize() ([]Line, error) {
	if len(r.Lines) == 0 || len(r.Lines) > maxLines {
		return nil, fmt.Errorf("%w: it must have 1 to %d lines, not %d", ErrInvalid, maxLines, len(r.Lines))
	}
	quantities := make(map[int64]int64, len(r.Lines))
	for _, l := range r.Lines {
		if l.Quantity < 1 || l.Quantity > 1000 {
			return nil, fmt.Errorf("%w: quantity %d of product %d", ErrInvalid, l.Quantity, l.ProductID)
		}
		quantities[l.ProductID] += l.Quantity
	}
	lines := make([]Line, 0, len(quantities))
	for id, n := range quantities {
		lines = append(lines, Line{ProductID: id, Quantity: n})
	}
	slices.SortFunc(lines, func(a, b Line) int { return cmp.Compare(a.ProductID, b.ProductID) })
	return lines, nil
}
