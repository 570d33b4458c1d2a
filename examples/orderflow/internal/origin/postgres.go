package origin

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/lib/pq"
)

// OpenPostgres creates the tables in a new schema of the database that dsn
// names, so that it disturbs nothing that is there. [DB.Close] drops the schema
// again.
func OpenPostgres(ctx context.Context, dsn, schemaName string, delay time.Duration) (*DB, error) {
	cfg, err := pq.NewConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("connection string: %w", withoutSecrets(err))
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 3 * time.Second
	}
	if cfg.Runtime == nil {
		cfg.Runtime = make(map[string]string)
	}
	cfg.Runtime["search_path"] = schemaName
	connector, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("connection string: %w", withoutSecrets(err))
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(16)
	pool.SetMaxIdleConns(16)

	// The name is ours, so it may be quoted without further ado.
	if _, err := pool.ExecContext(ctx, `CREATE SCHEMA `+pq.QuoteIdentifier(schemaName)); err != nil {
		pool.Close()
		return nil, err
	}
	db, err := newDB(ctx, pool, delay)
	if err != nil {
		return nil, errors.Join(err, pool.Close(), dropSchema(ctx, connector, schemaName))
	}
	db.cleanup = func(ctx context.Context) error { return dropSchema(ctx, connector, schemaName) }
	return db, nil
}

func dropSchema(ctx context.Context, connector *pq.Connector, name string) error {
	pool := sql.OpenDB(connector)
	defer pool.Close()
	if _, err := pool.ExecContext(ctx, `DROP SCHEMA `+pq.QuoteIdentifier(name)+` CASCADE`); err != nil {
		return fmt.Errorf("drop schema %s: %w", name, err)
	}
	return nil
}

// withoutSecrets takes the connection string, and with it the password, out of
// the error that net/url makes of it.
func withoutSecrets(err error) error {
	if bad, ok := errors.AsType[*url.Error](err); ok {
		return bad.Err
	}
	return err
}
