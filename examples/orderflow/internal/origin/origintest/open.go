// Package origintest gives tests a database of their own.
package origintest

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/origin"
)

// Open returns a new, filled database that is gone when the test is: SQLite in
// a temporary folder, or a schema of the PostgreSQL database that the variable
// ORDERFLOW_POSTGRES names.
func Open(tb testing.TB) *origin.DB {
	tb.Helper()
	var db *origin.DB
	var err error
	if dsn := os.Getenv("ORDERFLOW_POSTGRES"); dsn != "" {
		db, err = origin.OpenPostgres(tb.Context(), dsn, "orderflow_test_"+strings.ToLower(rand.Text()[:8]), 0)
	} else {
		db, err = origin.OpenSQLite(tb.Context(), filepath.Join(tb.TempDir(), "origin.db"), 0)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(context.WithoutCancel(tb.Context())); err != nil {
			tb.Error(err)
		}
	})
	return db
}
