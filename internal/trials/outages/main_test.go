package outages_test

import (
	"flag"
	"testing"

	"github.com/doppio-cache/doppio/internal/redistest"
)

var (
	table = flag.Bool("table", false, "measure every outage at length and print a table")
	only  = flag.String("only", "", "with -table: measure only the outage of this name")
)

func TestMain(m *testing.M) { redistest.Main(m) }
