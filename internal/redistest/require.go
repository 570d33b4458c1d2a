package redistest

import (
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// serverEnv names an executable to run instead of the redis-server in PATH.
const serverEnv = "DOPPIO_REDIS_SERVER"

// leftOut counts the tests that Require skipped in this process.
var leftOut atomic.Int64

// Available reports whether this machine has a redis-server: the executable
// that DOPPIO_REDIS_SERVER names, or else one in PATH.
func Available() bool {
	_, err := executable()
	return err == nil
}

// Require is for tests that need a real redis-server; [Start] calls it. Where
// there is none it skips the test, unless CI or DOPPIO_REQUIRE_REDIS is set to
// a true value: then nothing may be left out, and it fails the test.
func Require(tb testing.TB) {
	tb.Helper()
	if Available() {
		return
	}
	if truthy("CI") || truthy("DOPPIO_REQUIRE_REDIS") {
		tb.Fatal("redis-server is required here and was not found: install it (Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis) or name one in " + serverEnv)
	}
	leftOut.Add(1)
	tb.Skip("left out: this runs against a real redis-server, and none was found in PATH")
}

func executable() (string, error) {
	if name := os.Getenv(serverEnv); name != "" {
		return exec.LookPath(name)
	}
	return inPath()
}

// inPath is asked for by every test, and PATH does not change meanwhile.
var inPath = sync.OnceValues(func() (string, error) { return exec.LookPath("redis-server") })

func truthy(name string) bool {
	on, err := strconv.ParseBool(os.Getenv(name))
	return err == nil && on
}
