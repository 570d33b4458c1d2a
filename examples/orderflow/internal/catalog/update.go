package catalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/events"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/origin"
)

// Update changes a product and returns it as it is now. Its errors are
// [ErrInvalid], [ErrSKUTaken] and tiered.ErrNotFound; then nothing has changed.
// An error that is [events.ErrAfterCommit] comes with the product: the change
// has been made, but other instances may not know it yet.
func (r *Repository) Update(ctx context.Context, id int64, change Change) (Product, error) {
	if err := change.validate(); err != nil {
		return Product{}, err
	}
	var now Product
	var oldSKU string
	err := r.db.InTx(ctx, func(q origin.Querier) (err error) {
		now, oldSKU, err = update(ctx, q, id, change)
		return err
	})
	if err != nil {
		return Product{}, err
	}
	// After the commit, and only here. A client that hangs up now ends ctx, but
	// not the invalidation: the cache carries it out all the same. A process
	// that dies now leaves the old value until its life ends.
	err = r.events.Handle(ctx, events.ProductUpdated{ProductID: id, SKU: now.SKU, OldSKU: oldSKU})
	if err != nil {
		err = errors.Join(events.ErrAfterCommit, err)
	}
	return now, err
}

func update(ctx context.Context, q origin.Querier, id int64, change Change) (now Product, oldSKU string, err error) {
	// The first statement locks the row, so that the SKU that it returns is the
	// one that the second replaces.
	err = q.QueryRow(ctx, `UPDATE products SET version = version + 1 WHERE id = $1 RETURNING sku`, id).Scan(&oldSKU)
	if err != nil {
		return now, "", notFound(err, "product", id)
	}
	if change.SKU != nil && *change.SKU != oldSKU {
		var taken bool
		err := q.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM products WHERE sku = $1)`, *change.SKU).Scan(&taken)
		if err != nil {
			return now, "", fmt.Errorf("look for SKU %s: %w", *change.SKU, err)
		}
		if taken {
			return now, "", fmt.Errorf("SKU %s: %w", *change.SKU, ErrSKUTaken)
		}
	}
	now, err = scanProduct(q.QueryRow(ctx, `UPDATE products
		SET price_cents = COALESCE($2, price_cents), sku = COALESCE($3, sku)
		WHERE id = $1 RETURNING `+productColumns, id, change.PriceCents, change.SKU), id)
	return now, oldSKU, err
}
