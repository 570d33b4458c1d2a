// Package customers knows who buys.
package customers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/origin"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/regions"
	"github.com/doppio-cache/doppio/tiered"
)

// Customer is a customer's master data.
type Customer struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
}

// Repository finds customers. It is safe for concurrent use.
type Repository struct {
	db    *origin.DB
	cache tiered.Cache[Customer]
}

// NewRepository returns a repository over db that reads through cache.
func NewRepository(db *origin.DB, cache tiered.Cache[Customer]) *Repository {
	return &Repository{db: db, cache: cache}
}

// Customer returns a customer, or [tiered.ErrNotFound].
func (r *Repository) Customer(ctx context.Context, id int64) (Customer, error) {
	return r.cache.GetOrLoad(ctx, regions.Customer(id).Key,
		func(ctx context.Context, _ string) (Customer, error) { return r.load(ctx, id) })
}

func (r *Repository) load(ctx context.Context, id int64) (Customer, error) {
	var c Customer
	err := r.db.QueryRow(ctx, `SELECT id, name, email FROM customers WHERE id = $1`, id).Scan(&c.ID, &c.Name, &c.Email)
	if errors.Is(err, sql.ErrNoRows) {
		return c, fmt.Errorf("customer %d: %w", id, tiered.ErrNotFound)
	}
	if err != nil {
		return c, fmt.Errorf("customer %d: %w", id, err)
	}
	return c, nil
}
