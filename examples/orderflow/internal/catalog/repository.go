package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/events"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/origin"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/regions"
	"github.com/doppio-cache/doppio/tiered"
)

// Caches are the regions that the repository reads through. It depends on the
// interface, so tests can pass tiered.Noop.
type Caches struct {
	Products  tiered.Cache[Product]
	BySKU     tiered.Cache[int64]
	FirstPage tiered.Cache[[]Listing]
	Stock     tiered.Cache[int64]
}

// Repository finds and changes products. It is safe for concurrent use. What it
// returns is shared with other callers and must not be modified.
type Repository struct {
	db     *origin.DB
	caches Caches
	events events.Handler
}

// NewRepository returns a repository over db. handler is told of every change,
// after the commit.
func NewRepository(db *origin.DB, caches Caches, handler events.Handler) *Repository {
	return &Repository{db: db, caches: caches, events: handler}
}

// Product returns a product, or [tiered.ErrNotFound].
func (r *Repository) Product(ctx context.Context, id int64, opts ...tiered.Option) (Product, error) {
	return r.caches.Products.GetOrLoad(ctx, regions.Product(id).Key,
		func(ctx context.Context, _ string) (Product, error) { return r.loadProduct(ctx, id) }, opts...)
}

// ProductBySKU returns the product that has the SKU, or [tiered.ErrNotFound].
//
// Two regions answer: one knows which id a SKU belongs to, the other knows the
// product. Keeping whole products by SKU as well would save the second look-up,
// but then every price would be cached twice, under a key that the writer of
// the price would have to know and not forget. An id does not go stale with the
// price, only with the SKU.
func (r *Repository) ProductBySKU(ctx context.Context, sku string, opts ...tiered.Option) (Product, error) {
	id, err := r.caches.BySKU.GetOrLoad(ctx, regions.SKU(sku).Key,
		func(ctx context.Context, _ string) (int64, error) { return r.loadID(ctx, sku) })
	if err != nil {
		return Product{}, err
	}
	return r.Product(ctx, id, opts...)
}

// List returns one page of products, in the order of their ids.
//
// Only the first unfiltered page is cached. It is what most visitors see, and
// it has one key. All other pages and filters would be many keys, each hardly
// ever read twice, and all of them wrong after any change.
func (r *Repository) List(ctx context.Context, f Filter) ([]Listing, error) {
	if f.Page < 1 {
		return nil, fmt.Errorf("%w: pages are counted from 1", ErrInvalid)
	}
	if f.Page > 1 || f.Category != "" {
		return r.loadPage(ctx, f)
	}
	return r.caches.FirstPage.GetOrLoad(ctx, regions.FirstPage().Key,
		func(ctx context.Context, _ string) ([]Listing, error) { return r.loadPage(ctx, f) })
}

// StockLevel returns how many pieces of a product there are, for display: it
// may be some seconds old. Placing an order does not ask here but the database.
func (r *Repository) StockLevel(ctx context.Context, id int64) (int64, error) {
	return r.caches.Stock.GetOrLoad(ctx, regions.StockLevel(id).Key,
		func(ctx context.Context, _ string) (int64, error) { return r.loadStock(ctx, id) })
}

const productColumns = `id, sku, name, category, description, price_cents, version`

func (r *Repository) loadProduct(ctx context.Context, id int64) (Product, error) {
	return scanProduct(r.db.QueryRow(ctx, `SELECT `+productColumns+` FROM products WHERE id = $1`, id), id)
}

func (r *Repository) loadID(ctx context.Context, sku string) (int64, error) {
	var id int64
	err := r.db.QueryRow(ctx, `SELECT id FROM products WHERE sku = $1`, sku).Scan(&id)
	return id, notFound(err, "SKU", sku)
}

func (r *Repository) loadStock(ctx context.Context, id int64) (int64, error) {
	var level int64
	err := r.db.QueryRow(ctx, `SELECT level FROM stock WHERE product_id = $1`, id).Scan(&level)
	return level, notFound(err, "stock of product", id)
}

func (r *Repository) loadPage(ctx context.Context, f Filter) ([]Listing, error) {
	query, args := `SELECT id, sku, name, price_cents, version FROM products`, []any{PageSize, (f.Page - 1) * PageSize}
	if f.Category != "" {
		query += ` WHERE category = $3`
		args = append(args, f.Category)
	}
	rows, err := r.db.Query(ctx, query+` ORDER BY id LIMIT $1 OFFSET $2`, args...)
	if err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	defer rows.Close()
	page := make([]Listing, 0, PageSize)
	for rows.Next() {
		var l Listing
		if err := rows.Scan(&l.ID, &l.SKU, &l.Name, &l.PriceCents, &l.Version); err != nil {
			return nil, fmt.Errorf("list products: %w", err)
		}
		page = append(page, l)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	return page, nil
}

func scanProduct(row *sql.Row, id int64) (Product, error) {
	var p Product
	err := row.Scan(&p.ID, &p.SKU, &p.Name, &p.Category, &p.Description, &p.PriceCents, &p.Version)
	return p, notFound(err, "product", id)
}

// notFound turns the database's "no rows" into the error that the cache
// remembers, and that HTTP answers with 404.
func notFound(err error, what string, which any) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%s %v: %w", what, which, tiered.ErrNotFound)
	default:
		return fmt.Errorf("%s %v: %w", what, which, err)
	}
}
