package origin

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
)

//go:embed schema.sql
var schema string

// Contents of a new database.
const (
	Products      = 500
	Customers     = 200
	StockPerItem  = 10_000
	SpareProducts = 16 // more products, with the ids after Products, that no load reads
)

// createTables runs the schema, one statement after the other.
func (db *DB) createTables(ctx context.Context) error {
	for statement := range strings.SplitSeq(schema, ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := db.pool.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("create tables: %w", err)
		}
	}
	return nil
}

// seed fills the tables with the same rows every time.
func (db *DB) seed(ctx context.Context) error {
	const upTo = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) `
	products := fmt.Sprintf(upTo, Products+SpareProducts)
	statements := []string{
		products + `INSERT INTO products (id, sku, name, category, description, price_cents, version)
			SELECT i, 'SKU-' || (100000 + i), 'Article ' || i,
				CASE i % 4 WHEN 0 THEN 'kitchen' WHEN 1 THEN 'garden' WHEN 2 THEN 'office' ELSE 'workshop' END,
				'Article ' || i || ' of the catalogue, sold by the piece. Delivered within three working days.',
				199 + (i * 7919) % 20000, 1
			FROM n`,
		products + fmt.Sprintf(`INSERT INTO stock (product_id, level) SELECT i, %d FROM n`, StockPerItem),
		fmt.Sprintf(upTo, Customers) + `INSERT INTO customers (id, name, email)
			SELECT i, 'Customer ' || i, 'customer' || i || '@shop.example' FROM n`,
	}
	for _, statement := range statements {
		if _, err := db.pool.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("seed: %w", err)
		}
	}
	return nil
}
