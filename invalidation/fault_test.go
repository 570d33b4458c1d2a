package invalidation_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/invalidation"
)

// That Redis is not reached is known before it is known why: go-redis dials a few
// times first. The log has both, and does not go on about it.
func TestLogSaysWhyRedisIsNotReached(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = client.Close() })
	n := start(t, client, options(func(o *invalidation.Options) { o.Timeout = 50 * time.Millisecond }))
	n.eventually("the reason", func() bool { return strings.Contains(n.logs.String(), addr+": connect: connection refused") })
	was := n.Stats().ProbesFailed
	n.eventually("some more rounds", func() bool { return n.Stats().ProbesFailed > was+3 })
	if lines := strings.Count(n.logs.String(), "level=WARN"); lines > 2 {
		t.Errorf("%d warnings, want one for each:\n%s", lines, n.logs)
	}
}
