package tieredtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/doppio-cache/doppio/tiered"
)

// Call is a call that was made to a [Cache].
type Call struct {
	Method string // such as "GetOrLoad"
	Keys   []string
	Tags   []string // of InvalidateTags
}

// String is the method and what it was called with.
func (c Call) String() string {
	return fmt.Sprintf("%s%q", c.Method, append(slices.Clone(c.Keys), c.Tags...))
}

// Cache is a [tiered.Cache] that behaves as a real region does, in memory, and
// records the calls made to it. It is safe for concurrent use.
type Cache[V any] struct {
	region *tiered.Region[V]
	beside *tiered.Region[V] // loads while the cache is broken; holds nothing

	mu     sync.Mutex
	calls  []Call
	broken error
}

// New makes a cache that is empty and lives until the test ends. An empty name in
// cfg becomes "test"; everything else is as [tiered.New] has it, and what that
// refuses fails the test.
func New[V any](tb testing.TB, cfg tiered.Config[V]) *Cache[V] {
	tb.Helper()
	if cfg.Name == "" {
		cfg.Name = "test"
	}
	c := &Cache[V]{region: open(tb, cfg)}
	// While the cache is broken nothing that it holds may answer.
	cfg.StaleFor, cfg.SoftTimeout, cfg.RefreshAhead, cfg.SlidingTTL, cfg.ErrorTTLFor = 0, 0, 0, 0, nil
	c.beside = open(tb, cfg)
	return c
}

// open declares a region on a node of its own.
func open[V any](tb testing.TB, cfg tiered.Config[V]) *tiered.Region[V] {
	tb.Helper()
	r, err := tiered.New(Open(tb), cfg)
	if err != nil {
		tb.Fatalf("tieredtest: %v", err)
	}
	return r
}

// Break makes the cache behave as one whose Redis is gone, until [Cache.Mend]:
// reads that do not load are a [tiered.ErrUnavailable], reads that load do so each
// time, and what invalidates returns a [*tiered.PendingError]. cause is wrapped by
// these errors and may be nil.
func (c *Cache[V]) Break(cause error) {
	if cause == nil {
		cause = tiered.ErrUnavailable
	} else {
		cause = fmt.Errorf("%w: %w", tiered.ErrUnavailable, cause)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = cause
}

// Mend ends what Break has begun. Invalidations asked for meanwhile have been
// carried out.
func (c *Cache[V]) Mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = nil
}

// Calls returns the calls made so far, in order.
func (c *Cache[V]) Calls() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

// Reset forgets the calls made so far.
func (c *Cache[V]) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = nil
}

// called records a call and returns why it must fail, if it must.
func (c *Cache[V]) called(call Call) (broken error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	call.Keys, call.Tags = slices.Clone(call.Keys), slices.Clone(call.Tags)
	c.calls = append(c.calls, call)
	return c.broken
}

// pending is the error of an invalidation while the cache is broken; done is that
// of carrying it out.
func (c *Cache[V]) pending(broken, done error, keys, tags []string, region string) error {
	if done != nil || broken == nil || len(keys) == 0 && len(tags) == 0 && region == "" {
		return done
	}
	e := &tiered.PendingError{Tags: tags, Region: region, Err: broken}
	for _, key := range keys {
		e.Refs = append(e.Refs, c.region.Ref(key))
	}
	return e
}

// Get is part of [tiered.Cache].
func (c *Cache[V]) Get(ctx context.Context, key string, opts ...tiered.Option) (v V, err error) {
	if broken := c.called(Call{Method: "Get", Keys: []string{key}}); broken != nil {
		if _, err := c.beside.Get(ctx, key, opts...); !errors.Is(err, tiered.ErrNotFound) && err != nil {
			return v, err // of the call itself
		}
		return v, broken
	}
	return c.region.Get(ctx, key, opts...)
}

// GetOrLoad is part of [tiered.Cache].
func (c *Cache[V]) GetOrLoad(ctx context.Context, key string, load func(ctx context.Context, key string) (V, error), opts ...tiered.Option) (V, error) {
	if broken := c.called(Call{Method: "GetOrLoad", Keys: []string{key}}); broken != nil {
		return c.beside.GetOrLoad(ctx, key, load, always(opts)...)
	}
	return c.region.GetOrLoad(ctx, key, load, opts...)
}

// always makes a call load whatever there is.
func always(opts []tiered.Option) []tiered.Option {
	return append(slices.Clone(opts), tiered.ForceLoad())
}

// Set is part of [tiered.Cache].
func (c *Cache[V]) Set(ctx context.Context, key string, value V, opts ...tiered.Option) error {
	if broken := c.called(Call{Method: "Set", Keys: []string{key}}); broken != nil {
		if err := c.beside.Set(ctx, key, value, opts...); err != nil {
			return err // of the call itself
		}
		return c.pending(broken, c.region.Delete(ctx, key), []string{key}, nil, "")
	}
	return c.region.Set(ctx, key, value, opts...)
}

// Delete is part of [tiered.Cache].
func (c *Cache[V]) Delete(ctx context.Context, keys ...string) error {
	broken := c.called(Call{Method: "Delete", Keys: keys})
	return c.pending(broken, c.region.Delete(ctx, keys...), keys, nil, "")
}

// InvalidateTags is part of [tiered.Cache].
func (c *Cache[V]) InvalidateTags(ctx context.Context, tags ...string) error {
	broken := c.called(Call{Method: "InvalidateTags", Tags: tags})
	return c.pending(broken, c.region.InvalidateTags(ctx, tags...), nil, tags, "")
}

// Clear is part of [tiered.Cache].
func (c *Cache[V]) Clear(ctx context.Context) error {
	broken := c.called(Call{Method: "Clear"})
	return c.pending(broken, c.region.Clear(ctx), nil, nil, c.region.Name())
}

// Contents are the values that the cache would answer with.
func (c *Cache[V]) Contents() map[string]V { return maps.Collect(c.region.Cached()) }

var _ tiered.Cache[int] = (*Cache[int])(nil)
