// Package catalog is what the shop sells: products, their SKUs, their stock
// levels for display.
package catalog

import "errors"

// Product is what is known about a product, except for its stock level: that
// changes with every order, and would take the rest out of the cache with it.
type Product struct {
	ID          int64  `json:"id"`
	SKU         string `json:"sku"`
	Name        string `json:"name"`
	Category    string `json:"category"`
	Description string `json:"description"`
	PriceCents  int64  `json:"price_cents"`
	Version     int64  `json:"version"` // goes up with every change
}

// Listing is a product as the list shows it.
type Listing struct {
	ID         int64  `json:"id"`
	SKU        string `json:"sku"`
	Name       string `json:"name"`
	PriceCents int64  `json:"price_cents"`
	Version    int64  `json:"version"`
}

// PageSize is the number of products on a page of the list.
const PageSize = 20

// Filter selects a part of the list.
type Filter struct {
	Category string // empty: all
	Page     int    // counted from 1
}

// Change says what to change of a product. Nil fields stay as they are.
type Change struct {
	PriceCents *int64  `json:"price_cents"`
	SKU        *string `json:"sku"`
}

// Errors of changes.
var (
	// ErrInvalid says that a request makes no sense.
	ErrInvalid = errors.New("invalid")
	// ErrSKUTaken says that another product has the SKU.
	ErrSKUTaken = errors.New("another product has this SKU")
)

func (c Change) validate() error {
	switch {
	case c.PriceCents == nil && c.SKU == nil:
		return errors.Join(ErrInvalid, errors.New("nothing to change"))
	case c.PriceCents != nil && *c.PriceCents <= 0:
		return errors.Join(ErrInvalid, errors.New("the price must be positive"))
	case c.SKU != nil && (*c.SKU == "" || len(*c.SKU) > 100):
		return errors.Join(ErrInvalid, errors.New("a SKU has 1 to 100 bytes"))
	}
	return nil
}
