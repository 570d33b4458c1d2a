package invalidation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
)

// Defaults of [Options].
const (
	DefaultTimeout    = 250 * time.Millisecond
	DefaultQueueLimit = 65_536
)

// Options configure [Start].
type Options struct {
	// Client is the Redis to use: standalone, behind Sentinel, or a Cluster.
	// Required. It is never closed by this package.
	Client redis.UniversalClient
	// Layout names what is kept there. Required; all instances must agree.
	Layout *keyspace.Layout
	// Fences are raised by what is heard. Required; as many partitions as
	// Layout. Their bound sets the pace: a probe every quarter of it.
	Fences *fence.Table
	// Origin is this instance's id in messages.
	Origin uint64
	// Timeout limits the wait for one round trip, whatever the client's own
	// settings are. Defaults to 250ms.
	Timeout time.Duration
	// Retrier sends again what failed. Required.
	Retrier Invalidator
	// QueueLimit is the number of keys that may wait for a retry; see
	// [Backplane.Enqueue] for what happens beyond. Defaults to 65,536.
	QueueLimit int
	// Logger is told about changes of state, and once about each kind of
	// message that cannot be read. Defaults to slog.Default().
	Logger *slog.Logger
	// OnRefused is called when a server answers the probe of a partition with an
	// error: it may be a replica, or a primary that was replaced. Of a single
	// server's partitions only one is named. It must not block. Defaults to none.
	OnRefused func(partition int, err error)
	// OnMessage is called with every message, after the fences were raised.
	// It must not block, and may be called by two goroutines at once while one
	// subscription takes over from another. Defaults to none.
	OnMessage func(Message)
	// OnState is called after the state has changed, by one goroutine at a
	// time. It must not call Close. Defaults to none.
	OnState func(State)
}

// Invalidator carries out invalidations in Redis: it removes the values,
// counts the invalidation and announces it. Its methods must return soon after
// ctx has ended, and must be safe for concurrent use.
type Invalidator interface {
	// Invalidate invalidates keys of partition p and returns the sequence
	// that this got.
	Invalidate(ctx context.Context, p int, keys []keyspace.Key) (seq uint64, err error)
	// InvalidatePartition invalidates all keys of these regions in partition p.
	InvalidatePartition(ctx context.Context, p int, regions []string) (seq uint64, err error)
}

// withDefaults returns the options completed, or all their problems at once.
func (o Options) withDefaults() (Options, error) {
	var problems []error
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("invalidation: "+format, args...))
	}
	switch c := o.Client.(type) {
	case *redis.Ring:
		problem("Client is a Ring: its shards know nothing of each other, so no primary can count the invalidations")
	default:
		if isNil(c) {
			problem("Client is nil")
		}
	}
	if o.Layout == nil {
		problem("Layout is nil")
	}
	switch {
	case o.Fences == nil:
		problem("Fences is nil")
	case o.Fences.Bound() <= 0:
		problem("the bound of Fences is %v, must be positive", o.Fences.Bound())
	case o.Layout != nil && o.Fences.Partitions() != o.Layout.Partitions():
		problem("Fences has %d partitions, Layout has %d", o.Fences.Partitions(), o.Layout.Partitions())
	}
	if isNil(o.Retrier) {
		problem("Retrier is nil")
	}
	if o.Timeout < 0 {
		problem("Timeout is %v, must not be negative", o.Timeout)
	}
	if o.QueueLimit < 0 {
		problem("QueueLimit is %d, must not be negative", o.QueueLimit)
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.QueueLimit == 0 {
		o.QueueLimit = DefaultQueueLimit
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, errors.Join(problems...)
}

// isNil reports whether v is nil, or an interface around a nil pointer.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Pointer && r.IsNil()
}
