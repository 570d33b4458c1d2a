// Package origin is the service's database: SQLite by default, PostgreSQL if
// asked for. Both take the same schema and the same statements.
//
// A [DB] counts the statements that it runs: what a cache is worth is how many
// of them do not happen.
package origin

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// DB is a pool of connections that counts. It is safe for concurrent use.
type DB struct {
	pool    *sql.DB
	delay   time.Duration
	cleanup func(context.Context) error

	statements atomic.Uint64

	mu      sync.Mutex
	watched map[any]*atomic.Uint64 // by a statement's only argument
}

// Querier runs statements: a [DB] each by itself, a [Tx] all as one.
type Querier interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
	Exec(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// newDB creates and fills the tables.
func newDB(ctx context.Context, pool *sql.DB, delay time.Duration) (*DB, error) {
	db := &DB{pool: pool, delay: delay, watched: make(map[any]*atomic.Uint64)}
	if err := errors.Join(db.createTables(ctx)); err != nil {
		return nil, err
	}
	if err := db.seed(ctx); err != nil {
		return nil, err
	}
	return db, nil
}

// Close closes the pool and removes the tables that it was opened with.
func (db *DB) Close(ctx context.Context) error {
	err := db.pool.Close()
	if db.cleanup != nil {
		err = errors.Join(err, db.cleanup(ctx))
	}
	return err
}

// Statements is the number of statements run since the database was opened.
func (db *DB) Statements() uint64 { return db.statements.Load() }

// Watch counts from now on the statements whose only argument is arg, and
// returns a function that says how many there were.
func (db *DB) Watch(arg any) (count func() uint64) {
	db.mu.Lock()
	defer db.mu.Unlock()
	n := new(atomic.Uint64)
	db.watched[arg] = n
	return n.Load
}

// Query runs a query. See [sql.DB.QueryContext].
func (db *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	db.count(ctx, args)
	return db.pool.QueryContext(ctx, query, args...)
}

// QueryRow runs a query for one row. See [sql.DB.QueryRowContext].
func (db *DB) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	db.count(ctx, args)
	return db.pool.QueryRowContext(ctx, query, args...)
}

// Exec runs a statement. See [sql.DB.ExecContext].
func (db *DB) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	db.count(ctx, args)
	return db.pool.ExecContext(ctx, query, args...)
}

// InTx runs f in a transaction: committed if f returns nil, otherwise rolled
// back. When it returns nil, every later statement sees the change.
func (db *DB) InTx(ctx context.Context, f func(q Querier) error) error {
	tx, err := db.pool.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := f(&Tx{db: db, tx: tx}); err != nil {
		if rollback := tx.Rollback(); rollback != nil && !errors.Is(rollback, sql.ErrTxDone) {
			return errors.Join(err, fmt.Errorf("roll back: %w", rollback))
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// Tx is a transaction, see [DB.InTx]. It is for one goroutine.
type Tx struct {
	db *DB
	tx *sql.Tx
}

// Query runs a query. See [sql.Tx.QueryContext].
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	t.db.count(ctx, args)
	return t.tx.QueryContext(ctx, query, args...)
}

// QueryRow runs a query for one row. See [sql.Tx.QueryRowContext].
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	t.db.count(ctx, args)
	return t.tx.QueryRowContext(ctx, query, args...)
}

// Exec runs a statement. See [sql.Tx.ExecContext].
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	t.db.count(ctx, args)
	return t.tx.ExecContext(ctx, query, args...)
}

// count counts a statement, and takes as long as the network between a service
// and its database would.
func (db *DB) count(ctx context.Context, args []any) {
	db.statements.Add(1)
	if len(args) == 1 {
		db.mu.Lock()
		n := db.watched[args[0]]
		db.mu.Unlock()
		if n != nil {
			n.Add(1)
		}
	}
	if db.delay <= 0 {
		return
	}
	timer := time.NewTimer(db.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done(): // the statement itself will say so
	}
}
