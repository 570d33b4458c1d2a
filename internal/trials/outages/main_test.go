package outages_test

import (
	"context"
	"flag"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
)

var (
	table = flag.Bool("table", false, "measure every outage at length and print a table")
	only  = flag.String("only", "", "with -table: measure only the outage of this name")
)

func TestMain(m *testing.M) {
	redis.SetLogger(silent{}) // it would print a line for each dial that fails
	redistest.Main(m)
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
