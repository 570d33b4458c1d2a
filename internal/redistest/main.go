package redistest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Main is for TestMain of packages that use redistest:
//
//	func TestMain(m *testing.M) { redistest.Main(m) }
//
// It runs the tests, stops the shared server, fails a successful run that left
// goroutines behind (opts say which do not count; goleak.Cleanup is not for
// here), prints one line if tests were left out for want of a redis-server,
// and exits. "go test" with a list of packages shows that line, like all
// output of packages that pass, only with -v.
func Main(m *testing.M, opts ...goleak.Option) {
	code := m.Run()
	stopShared()
	if code == 0 {
		if err := goleak.Find(opts...); err != nil {
			fmt.Fprintf(os.Stderr, "goleak: goroutines left after the tests: %v\n", err)
			code = 1
		}
	}
	if n := leftOut.Load(); n > 0 {
		fmt.Fprintf(os.Stderr, "redistest: tests left out for want of a redis-server: %d (see -v for which)\n", n)
	}
	os.Exit(code)
}
