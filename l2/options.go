package l2

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// Defaults of [Options].
const (
	DefaultTimeout  = 250 * time.Millisecond
	DefaultLeaseTTL = 5 * time.Second
)

// minLeaseTTL leaves room for a renewal at every third of it.
const minLeaseTTL = 30 * time.Millisecond

// Options configures a [Store].
type Options struct {
	// Client is the user's client. It is used, never dialled ahead of need and
	// never closed. Required: a *redis.Client (standalone or Sentinel) or a
	// *redis.ClusterClient that reads from masters only; hooks must have been added
	// to it before. Another implementation of redis.UniversalClient, such as a
	// wrapper, is taken as it is and treated like a Cluster; whoever wrote it answers
	// for its reading from primaries.
	//
	// The hooks of a *redis.Client do not see the store's commands: the store uses
	// views of it whose sockets have Timeout (Client.WithTimeout), and go-redis gives
	// a view none of its client's hooks.
	Client redis.UniversalClient

	// Layout names the keys. Required.
	Layout *keyspace.Layout

	// Timeout limits every call, whatever the client's own settings are.
	// Defaults to 250ms.
	Timeout time.Duration

	// LeaseTTL is how long a lease outlives the process that holds it. Leases of
	// a live process are renewed every third of it. Defaults to 5s; at least 30ms.
	LeaseTTL time.Duration

	// Announcer encodes invalidations. Required.
	Announcer Announcer

	// Logger gets changes of state, never lines per call; it should say whose they are.
	// Required.
	Logger *slog.Logger

	// OnState, if set, is called when Redis is found to be down (cause says why)
	// and when all of it answers again, one call at a time, from a goroutine of
	// the store. It must not call Close.
	OnState func(up bool, cause error)
}

// Announcer encodes the announcement of an invalidation around the numbers that
// only the script knows. What is published is
//
//	head ‖ sequence (8 bytes, big endian) ‖ mid ‖ time of the server in µs (8 bytes, big endian) ‖ tail
//
// An announcement without hashes concerns the whole partition. Announce must be
// safe for concurrent use, and what it returned must not change afterwards.
type Announcer interface {
	Announce(partition int, hashes []uint64) (head, mid, tail []byte)
}

// withDefaults returns the options with what was left out filled in.
func (o Options) withDefaults() Options {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.LeaseTTL == 0 {
		o.LeaseTTL = DefaultLeaseTTL
	}
	return o
}

// validate returns all that is wrong with the options.
func (o *Options) validate() error {
	errs := []error{CheckClient(o.Client)}
	if o.Layout == nil {
		errs = append(errs, errors.New("l2: Layout is nil"))
	}
	if o.Announcer == nil {
		errs = append(errs, errors.New("l2: Announcer is nil"))
	}
	if o.Logger == nil {
		errs = append(errs, errors.New("l2: Logger is nil"))
	}
	if o.Timeout < 0 {
		errs = append(errs, fmt.Errorf("l2: Timeout is %v, must be positive", o.Timeout))
	}
	if o.LeaseTTL < minLeaseTTL && o.LeaseTTL != 0 {
		errs = append(errs, fmt.Errorf("l2: LeaseTTL is %v, must be at least %v", o.LeaseTTL, minLeaseTTL))
	}
	return errors.Join(errs...)
}

// CheckClient refuses clients that may answer a read with something else than
// what the primary holds. An invalidation is confirmed by the primary, so that
// such a read could be older.
func CheckClient(c redis.UniversalClient) error {
	if v := reflect.ValueOf(c); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return errors.New("l2: the Redis client is nil")
	}
	switch c := c.(type) {
	case *redis.Client:
		if o := c.Options(); o.ClientSideCacheConfig != nil || o.ClientSideCache != nil {
			return errors.New("l2: the Redis client has client-side caching, which may answer with what is no longer there: give one without")
		}
	case *redis.ClusterClient:
		o := c.Options()
		switch {
		case o.RouteByLatency, o.RouteRandomly:
			return errors.New("l2: the Redis Cluster client has RouteByLatency or RouteRandomly and may read from replicas, which lag behind: give one without")
		case o.ReadOnly:
			return errors.New("l2: the Redis Cluster client is ReadOnly and may read from replicas, which lag behind: give one without")
		}
	case *redis.Ring:
		return errors.New("l2: a redis.Ring moves keys between servers that know nothing of each other, so that an invalidation may miss its key: use a Cluster")
	case *redis.AutoPipeliner:
		return errors.New("l2: give the Redis client itself, not its AutoPipeliner")
	}
	return nil
}
