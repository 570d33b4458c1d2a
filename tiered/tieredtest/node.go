package tieredtest

import (
	"context"
	"log/slog"
	"testing"

	"github.com/doppio-cache/doppio/tiered"
)

// Open opens a node of this process alone: it has L1 only, and needs no Redis. It
// logs nothing, has 1 MiB, and is closed when the test ends. The test fails if it
// cannot be opened.
func Open(tb testing.TB) *tiered.Node {
	tb.Helper()
	n, err := tiered.Open(context.Background(), tiered.Options{
		Prefix: "test", Local: true, L1MaxBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatalf("tieredtest: %v", err)
	}
	tb.Cleanup(func() { _ = n.Close() }) // always nil
	return n
}
