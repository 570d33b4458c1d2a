package ordering

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/events"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/origin"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/regions"
	"github.com/doppio-cache/doppio/tiered"
)

// summaries is how many orders an overview shows.
const summaries = 20

// Repository places and finds orders. It is safe for concurrent use. What it
// returns is shared with other callers and must not be modified.
type Repository struct {
	db     *origin.DB
	cache  tiered.Cache[[]Summary]
	events events.Handler
}

// NewRepository returns a repository over db that reads overviews through
// cache. handler is told of every order, after the commit.
func NewRepository(db *origin.DB, cache tiered.Cache[[]Summary], handler events.Handler) *Repository {
	return &Repository{db: db, cache: cache, events: handler}
}

// Summaries returns a customer's latest orders, the newest first.
func (r *Repository) Summaries(ctx context.Context, customerID int64) ([]Summary, error) {
	return r.cache.GetOrLoad(ctx, regions.Summaries(customerID).Key,
		func(ctx context.Context, _ string) ([]Summary, error) { return r.loadSummaries(ctx, customerID) })
}

// Place takes the goods out of the stock and stores the order, or does neither.
// Its errors are [ErrInvalid], [ErrOutOfStock] and tiered.ErrNotFound. An error
// that is [events.ErrAfterCommit] comes with the order: it has been placed, but
// other instances may not show it yet.
//
// Nothing in here asks the cache. Stock and prices are read in the transaction
// that uses them: showing a price that is a second old is fine, charging it is
// not.
func (r *Repository) Place(ctx context.Context, request Request) (Summary, error) {
	lines, err := request.normalize()
	if err != nil {
		return Summary{}, err
	}
	order := Summary{ID: "ord-" + rand.Text(), PlacedAt: time.Now().UnixMilli()}
	err = r.db.InTx(ctx, func(q origin.Querier) (err error) {
		order.TotalCents, err = place(ctx, q, order, request.CustomerID, lines)
		return err
	})
	if err != nil {
		return Summary{}, err
	}
	placed := events.OrderPlaced{OrderID: order.ID, CustomerID: request.CustomerID}
	for _, l := range lines {
		placed.ProductIDs = append(placed.ProductIDs, l.ProductID)
	}
	if err := r.events.Handle(ctx, placed); err != nil {
		return order, errors.Join(events.ErrAfterCommit, err)
	}
	return order, nil
}

func place(ctx context.Context, q origin.Querier, order Summary, customerID int64, lines []Line) (total int64, err error) {
	if err := mustExist(ctx, q, customerID); err != nil {
		return 0, err
	}
	prices := make([]int64, len(lines))
	for i, l := range lines {
		if prices[i], err = take(ctx, q, l); err != nil {
			return 0, err
		}
		total += prices[i] * l.Quantity
	}
	_, err = q.Exec(ctx, `INSERT INTO orders (id, customer_id, placed_at, total_cents) VALUES ($1, $2, $3, $4)`,
		order.ID, customerID, order.PlacedAt, total)
	if err != nil {
		return 0, fmt.Errorf("store order: %w", err)
	}
	for i, l := range lines {
		_, err = q.Exec(ctx, `INSERT INTO order_lines (order_id, product_id, quantity, price_cents) VALUES ($1, $2, $3, $4)`,
			order.ID, l.ProductID, l.Quantity, prices[i])
		if err != nil {
			return 0, fmt.Errorf("store order: %w", err)
		}
	}
	return total, nil
}

// take takes the goods out of the stock and returns the price of a piece.
func take(ctx context.Context, q origin.Querier, l Line) (price int64, err error) {
	err = q.QueryRow(ctx, `SELECT price_cents FROM products WHERE id = $1`, l.ProductID).Scan(&price)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("product %d: %w", l.ProductID, tiered.ErrNotFound)
	}
	if err != nil {
		return 0, fmt.Errorf("price of product %d: %w", l.ProductID, err)
	}
	var left int64
	err = q.QueryRow(ctx, `UPDATE stock SET level = level - $2 WHERE product_id = $1 AND level >= $2 RETURNING level`,
		l.ProductID, l.Quantity).Scan(&left)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("product %d: %w", l.ProductID, ErrOutOfStock)
	}
	if err != nil {
		return 0, fmt.Errorf("stock of product %d: %w", l.ProductID, err)
	}
	return price, nil
}

func mustExist(ctx context.Context, q origin.Querier, customerID int64) error {
	var exists bool
	err := q.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM customers WHERE id = $1)`, customerID).Scan(&exists)
	if err != nil {
		return fmt.Errorf("customer %d: %w", customerID, err)
	}
	if !exists {
		return fmt.Errorf("customer %d: %w", customerID, tiered.ErrNotFound)
	}
	return nil
}

func (r *Repository) loadSummaries(ctx context.Context, customerID int64) ([]Summary, error) {
	rows, err := r.db.Query(ctx, `SELECT id, placed_at, total_cents FROM orders
		WHERE customer_id = $1 ORDER BY placed_at DESC, id LIMIT $2`, customerID, summaries)
	if err != nil {
		return nil, fmt.Errorf("orders of customer %d: %w", customerID, err)
	}
	defer rows.Close()
	found := make([]Summary, 0, summaries)
	for rows.Next() {
		var s Summary
		if err := rows.Scan(&s.ID, &s.PlacedAt, &s.TotalCents); err != nil {
			return nil, fmt.Errorf("orders of customer %d: %w", customerID, err)
		}
		found = append(found, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("orders of customer %d: %w", customerID, err)
	}
	if len(found) > 0 {
		return found, nil
	}
	// Somebody who has not ordered yet has an empty overview; somebody whom
	// nobody knows has none.
	return found, mustExist(ctx, r.db, customerID)
}
