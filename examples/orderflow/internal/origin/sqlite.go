package origin

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite", in pure Go
)

// OpenSQLite creates a database in the file path, which must not exist yet.
// SQLite runs inside this process and answers in microseconds; delay is added
// to each statement to stand for the network that other databases are behind.
func OpenSQLite(ctx context.Context, path string, delay time.Duration) (*DB, error) {
	options := url.Values{
		// Readers see the last commit and wait for no writer.
		"_pragma": {"journal_mode(WAL)", "busy_timeout(10000)", "synchronous(OFF)", "foreign_keys(ON)"},
		// A transaction that reads first and writes later would otherwise fail
		// when another one has written in between.
		"_txlock": {"immediate"},
	}
	pool, err := sql.Open("sqlite", "file:"+path+"?"+options.Encode())
	if err != nil {
		return nil, fmt.Errorf("open SQLite: %w", err)
	}
	pool.SetMaxOpenConns(8)
	pool.SetMaxIdleConns(8)
	db, err := newDB(ctx, pool, delay)
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("SQLite in %s: %w", path, err)
	}
	return db, nil
}
