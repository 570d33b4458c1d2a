package failover_test

import (
	"context"
	"io"
	"log"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
)

const (
	// bound is D: long enough for a busy machine to renew its leases.
	bound = time.Second
	// grace is R, see the README's guarantees.
	grace = 10 * time.Second
	// patience ends waits that only a broken test needs.
	patience = 40 * time.Second

	prefix     = "shop"
	partitions = 8
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{log.New(io.Discard, "", 0)})
	redistest.Main(m)
}

// quiet keeps the client's lines about connections that we break out of the
// output.
type quiet struct{ *log.Logger }

func (q quiet) Printf(_ context.Context, format string, v ...any) { q.Logger.Printf(format, v...) }

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// passed waits until a moment is over, while the load goes on.
func passed(moment time.Time) {
	<-time.NewTimer(time.Until(moment)).C
}
