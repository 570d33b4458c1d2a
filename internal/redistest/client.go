package redistest

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// NewClient returns a client of the server at addr, closed in tb.Cleanup. Its
// settings make a test say what it means and fail soon: every command is sent
// once (MaxRetries -1), a connection is tried once, each network operation may
// take 2s, and nothing but HELLO is sent on a new connection. opts change them.
func NewClient(tb testing.TB, addr string, opts ...func(*redis.Options)) *redis.Client {
	tb.Helper()
	o := clientOptions(addr)
	for _, opt := range opts {
		opt(o)
	}
	c := redis.NewClient(o)
	tb.Cleanup(func() { _ = c.Close() }) // the test may have closed it
	return c
}

// clientOptions are the settings that [NewClient] describes.
func clientOptions(addr string) *redis.Options {
	return &redis.Options{
		Addr:            addr,
		MaxRetries:      -1,
		DialTimeout:     2 * time.Second,
		ReadTimeout:     2 * time.Second,
		WriteTimeout:    2 * time.Second,
		DialerRetries:   1,
		DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
}
