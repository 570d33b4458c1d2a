package tiered_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/doppio-cache/doppio/tiered"
)

// bubble is a fleet in a testing/synctest bubble, with a miniredis that is
// reached without sockets. Its clock stands still while anybody works, so lives
// are exact there, and an hour costs nothing.
type bubble struct {
	redis *miniredis.Miniredis
}

// inBubble runs fn in a bubble.
func inBubble(t *testing.T, fn func(t *testing.T, b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := miniredis.NewMiniRedis()
		m.ClockTTL(true)
		t.Cleanup(m.Close)
		fn(t, &bubble{redis: m})
	})
}

// client is one that dials the bubble's Redis.
func (b *bubble) client(t testing.TB) *redis.Client {
	c := redis.NewClient(&redis.Options{
		Addr:                     "bubble",
		Dialer:                   func(context.Context, string, string) (net.Conn, error) { return b.redis.Dial() },
		MaxRetries:               -1,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// node opens a node in the bubble and waits until it is ready. Its bound is
// long, and it has few partitions, so that hours of probes cost little.
func (b *bubble) node(t testing.TB, change ...func(*tiered.Options)) *tiered.Node {
	t.Helper()
	opts := tiered.Options{Redis: b.client(t), MaxStaleness: 4 * time.Minute, Partitions: 2}
	for _, c := range change {
		c(&opts)
	}
	n := open(t, opts)
	ready(t, n)
	return n
}

// pass lets time pass, and what it set off come to rest.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // in a bubble this moves the clock
	synctest.Wait()
}
