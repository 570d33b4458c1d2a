package tiered

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// Cache is what services depend on. [*Region] is the real one; [Noop] always
// loads. All methods are safe for concurrent use. (Mutate, Expire, Refresh, LoadIf,
// Warm, Cached and Stats need a *Region.)
//
// Keys are non-empty strings of at most [MaxKeyBytes] bytes; others are an
// [ErrInvalidKey].
type Cache[V any] interface {
	// Get returns what the tiers have. If they have nothing, the error is
	// [ErrNotFound]; if the origin is known to have no such thing, it is
	// [ErrAbsent] (for which errors.Is(err, ErrNotFound) holds, too); if Redis was
	// needed and could not be used, it is [ErrUnavailable].
	Get(ctx context.Context, key string, opts ...Option) (V, error)
	// GetOrLoad returns what the tiers have, or calls load. Concurrent calls
	// for a key share one load, in this process and, by a lease in Redis, in
	// all instances. See [Region.GetOrLoad].
	GetOrLoad(ctx context.Context, key string, load func(ctx context.Context, key string) (V, error), opts ...Option) (V, error)
	// GetMany returns what the tiers have of keys, in one round trip. If single
	// keys fail, the error is a [*BatchError]. See [Region.GetMany].
	GetMany(ctx context.Context, keys []string, opts ...Option) (map[string]V, error)
	// GetOrLoadMany returns what the tiers have of keys, and calls load once for
	// those that nobody else is loading. See [Region.GetOrLoadMany].
	GetOrLoadMany(ctx context.Context, keys []string, load func(ctx context.Context, keys []string) (map[string]V, error), opts ...Option) (map[string]V, error)
	// Set stores a value and invalidates all other copies. See [Region.Set].
	Set(ctx context.Context, key string, value V, opts ...Option) error
	// SetMany stores values and invalidates all other copies. See
	// [Region.SetMany].
	SetMany(ctx context.Context, values map[string]V, opts ...Option) error
	// Delete invalidates keys everywhere. See [Node.Delete].
	Delete(ctx context.Context, keys ...string) error
	// InvalidateTags invalidates the values of all regions that have any of the
	// tags, everywhere. See [Node.InvalidateTags].
	InvalidateTags(ctx context.Context, tags ...string) error
	// Clear invalidates all of the region, everywhere. See [Region.Clear].
	Clear(ctx context.Context) error
}

// Noop returns a cache that holds nothing: Get never finds, GetOrLoad always
// loads (each call for itself, on its own goroutine, with its own context), Set and
// Delete do nothing, and so for calls of several keys. It is for switching a cache
// off, and for tests. Errors are those that a region returns, for keys, tags and
// options too. But it knows no [Config]: an error that only Config.NotFound declares
// is returned as it is. Where that matters use a [Options].Local node.
func Noop[V any]() Cache[V] { return noop[V]{} }

type noop[V any] struct{}

func (noop[V]) Get(_ context.Context, key string, opts ...Option) (V, error) {
	var zero V
	if err := checkCall(opGet, key, opts); err != nil {
		return zero, err
	}
	return zero, ErrNotFound
}

func (noop[V]) GetOrLoad(ctx context.Context, key string, load func(context.Context, string) (V, error), opts ...Option) (v V, err error) {
	err = checkCall(opGetOrLoad, key, opts)
	if err == nil && load == nil {
		err = errNilLoad
	}
	if err != nil {
		return v, err
	}
	if info := infoOf(opts); info != nil {
		info.Source = SourceLoad
	}
	defer func() {
		if p := recover(); p != nil {
			err = &LoadPanicError{Key: key, Value: p, Stack: debug.Stack()}
		}
	}()
	v, err = load(ctx, key)
	return v, absentIf(err)
}

// absentIf makes an [ErrAbsent] of an error of a load which says that there is
// nothing.
func absentIf(err error) error {
	if !errors.Is(err, ErrNotFound) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrAbsent, err)
}

func (noop[V]) Set(_ context.Context, key string, _ V, opts ...Option) error {
	return checkCall(opSet, key, opts)
}

// checkCall is what a region checks before it does anything.
func checkCall(op operation, key string, opts []Option) error {
	if _, err := resolve(op, BothTiers, opts); err != nil {
		return err
	}
	if info := infoOf(opts); info != nil {
		*info = Info{}
	}
	return checkKey(key)
}

func (noop[V]) InvalidateTags(_ context.Context, tags ...string) error {
	for _, tag := range tags {
		if err := checkTag(tag); err != nil {
			return err
		}
	}
	return nil
}

func (noop[V]) Clear(context.Context) error { return nil }

func (noop[V]) Delete(_ context.Context, keys ...string) error {
	for _, key := range keys {
		if err := checkKey(key); err != nil {
			return err
		}
	}
	return nil
}
