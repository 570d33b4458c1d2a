package tiered

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"github.com/redis/go-redis/v9"
)

// Defaults of [Options].
const (
	DefaultL1MaxBytes   = 64 << 20
	DefaultMaxStaleness = 5 * time.Second
	DefaultPartitions   = 32
	DefaultL2Timeout    = 250 * time.Millisecond
)

// minStaleness is the smallest bound: four probes must fit into it, also on a
// slow network.
const minStaleness = 100 * time.Millisecond

// minL1Bytes is the smallest L1: an entry of a few bytes takes some hundred.
const minL1Bytes = 64 << 10

// Options configure a [Node].
type Options struct {
	// Redis is the shared tier: a *redis.Client (also behind Sentinel) or a
	// *redis.ClusterClient of a Redis 6.2 or newer. The node never dials by itself
	// and never closes it. Hooks must be added before Open; those of a *redis.Client do
	// not see reads, leases, fills and invalidations, because go-redis gives them to no
	// client with other timeouts: Observer is the place for tracing. *redis.Ring is refused,
	// and so are clients that read from replicas (ReadOnly, RouteByLatency,
	// RouteRandomly). Required unless Local.
	//
	// The user that it logs in as must be allowed scripts (EVAL, EVALSHA), keys and
	// the channel under Prefix, PUBLISH and SUBSCRIBE, and INFO: without INFO a change
	// of primary is not noticed. See "In production" in the README.
	Redis redis.UniversalClient
	// Local makes this instance cache for itself alone, in L1 only: every region is
	// L1Only. Redis must then be nil; Partitions, MaxStaleness and L2Timeout do not
	// matter.
	Local bool
	// Prefix is required: the application's name, the first part of every
	// Redis key and channel. At most 256 bytes, no '{' or '}'.
	Prefix string
	// L1MaxBytes is the memory for all regions' L1 entries. Defaults to 64 MiB;
	// at least 64 KiB.
	L1MaxBytes int64
	// MaxStaleness is the bound D of the guarantees: no read that begins more
	// than D after an invalidation was confirmed returns an older value,
	// whatever was lost. The node probes Redis four times per D, with one small
	// script for each partition (on a single server one for all). It is also for
	// how long reads are answered by L1 when Redis is gone. Defaults to 5s; at
	// least 100ms.
	MaxStaleness time.Duration
	// Partitions is the number of sequences that keys are spread over. More of them
	// let a lost message, a Clear or a full retry queue void less, and make a probe
	// longer. Defaults to 32; 1 to 256. There is little reason to change it.
	//
	// Prefix and Partitions are the layout. All instances with the same Prefix must
	// agree: one that differs from those that live caches nothing (see [ErrLayout]).
	Partitions int
	// L2Timeout limits one round trip to Redis, whatever the client's own
	// settings are. Defaults to 250ms.
	L2Timeout time.Duration
	// Logger gets state changes, never a line per request. Each line has the attribute
	// "doppio" with Prefix as its value, also where several nodes share a logger; what
	// concerns a region has "region" too. Defaults to
	// slog.Default().
	Logger *slog.Logger
	// Observer is called around L2 calls and loads, never on an L1 hit.
	// Defaults to none.
	Observer Observer
}

// Observer is told of the slow operations: put tracing spans and metrics
// there. It must be safe for concurrent use, and must not block. A panic in it is
// logged once, and changes nothing for the operation. What is done in the
// background (probes, retries, touches of sliding values, releases of leases) is in
// [Stats] and not told.
type Observer interface {
	// Observe is called before an operation. The operation runs under the
	// context that it returns (return ctx if there is nothing to add). The
	// function that it returns, if any, is called once when the operation has
	// ended, with the operation's error or nil.
	Observe(ctx context.Context, op Operation) (context.Context, func(error))
}

// Operation is what an [Observer] is told of.
type Operation struct {
	Kind   OperationKind
	Region string // empty for a call that concerns several regions
	Key    string // empty for a call that concerns several keys
	Keys   int    // how many keys it concerns, or tags it asks for or invalidates; 0 for all keys of a region
	// Leased is how many of the keys of an OpLoad are loaded under their leases:
	// nobody else in the fleet loads them meanwhile. The others are loaded without
	// one, by each instance for itself: Redis cannot be used for them now, or must not
	// keep what is loaded (the region lives in L1 only, an invalidation is pending, a
	// Mutate is under way).
	Leased int
}

// OperationKind says what an [Operation] does.
type OperationKind string

// Kinds of operations.
const (
	OpLoad         OperationKind = "load"          // the caller's load function
	OpL2Get        OperationKind = "l2.get"        // read a value
	OpL2Lease      OperationKind = "l2.lease"      // read a value or take the lease to load it
	OpL2Tags       OperationKind = "l2.tags"       // ask whether a value's tags were invalidated
	OpL2Fill       OperationKind = "l2.fill"       // store what was loaded or set
	OpL2Set        OperationKind = "l2.set"        // invalidate and take the lease to set
	OpL2Invalidate OperationKind = "l2.invalidate" // invalidate keys, tags or a region; a Mutate does twice
)

// validate names all problems at once.
func (o *Options) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case o.Local && o.Redis != nil:
		bad("Local is set, so Redis must be nil")
	case !o.Local && isNil(o.Redis):
		bad("Redis is required (set Local for a cache without a shared tier)")
	}
	if o.L1MaxBytes != 0 && o.L1MaxBytes < minL1Bytes {
		bad("L1MaxBytes is %d, must be at least %d", o.L1MaxBytes, minL1Bytes)
	}
	if o.MaxStaleness != 0 && o.MaxStaleness < minStaleness {
		bad("MaxStaleness is %v, must be at least %v", o.MaxStaleness, minStaleness)
	}
	if o.L2Timeout < 0 {
		bad("L2Timeout is negative (%v)", o.L2Timeout)
	}
	return errors.Join(errs...)
}

// isNil reports whether the client is nil or a nil pointer in an interface.
func isNil(c redis.UniversalClient) bool {
	if c == nil {
		return true
	}
	v := reflect.ValueOf(c)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

func (o Options) withDefaults() Options {
	o.L1MaxBytes = orDefault(o.L1MaxBytes, DefaultL1MaxBytes)
	o.MaxStaleness = orDefault(o.MaxStaleness, DefaultMaxStaleness)
	o.Partitions = orDefault(o.Partitions, DefaultPartitions)
	o.L2Timeout = orDefault(o.L2Timeout, DefaultL2Timeout)
	// So that sums of a few of them do not overflow.
	o.MaxStaleness, o.L2Timeout = min(o.MaxStaleness, maxLife/4), min(o.L2Timeout, maxLife/4)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}
