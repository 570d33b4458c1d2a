package tieredtest

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/doppio-cache/doppio/tiered"
)

// GetMany is part of [tiered.Cache].
func (c *Cache[V]) GetMany(ctx context.Context, keys []string, opts ...tiered.Option) (map[string]V, error) {
	if broken := c.called(Call{Method: "GetMany", Keys: keys}); broken != nil {
		_, err := c.beside.GetMany(ctx, keys, opts...)
		if !forSingleKeys(err) {
			return nil, err
		}
		return make(map[string]V), c.batch(err, keys, func(string) error { return broken })
	}
	return c.region.GetMany(ctx, keys, opts...)
}

// GetOrLoadMany is part of [tiered.Cache].
func (c *Cache[V]) GetOrLoadMany(ctx context.Context, keys []string, load func(ctx context.Context, keys []string) (map[string]V, error), opts ...tiered.Option) (map[string]V, error) {
	if broken := c.called(Call{Method: "GetOrLoadMany", Keys: keys}); broken != nil {
		return c.beside.GetOrLoadMany(ctx, keys, load, always(opts)...)
	}
	return c.region.GetOrLoadMany(ctx, keys, load, opts...)
}

// SetMany is part of [tiered.Cache].
func (c *Cache[V]) SetMany(ctx context.Context, values map[string]V, opts ...tiered.Option) error {
	keys := slices.Sorted(maps.Keys(values))
	if broken := c.called(Call{Method: "SetMany", Keys: keys}); broken != nil {
		err := c.beside.SetMany(ctx, values, opts...)
		if !forSingleKeys(err) {
			return err
		}
		return c.batch(err, keys, func(key string) error {
			return c.pending(broken, c.region.Delete(ctx, key), []string{key}, nil, "")
		})
	}
	return c.region.SetMany(ctx, values, opts...)
}

// forSingleKeys reports whether an error, or none, is not about the whole call.
func forSingleKeys(err error) bool {
	var batch *tiered.BatchError
	return err == nil || errors.As(err, &batch)
}

// batch is the error of a call for keys each of which fails; err is about those
// that are not valid.
func (c *Cache[V]) batch(err error, keys []string, each func(key string) error) error {
	out := &tiered.BatchError{Region: c.region.Name(), Errs: make(map[string]error)}
	var invalid *tiered.BatchError
	if errors.As(err, &invalid) {
		maps.Copy(out.Errs, invalid.Errs)
	}
	for _, key := range keys {
		if out.Errs[key] == nil {
			out.Errs[key] = each(key)
		}
	}
	if len(out.Errs) == 0 {
		return nil
	}
	return out
}

func (g *guard[V]) GetMany(ctx context.Context, keys []string, opts ...tiered.Option) (map[string]V, error) {
	values, err := g.inner.GetMany(ctx, keys, opts...)
	for key, v := range values {
		g.sharing("GetMany returned it", key, v)
	}
	return values, err
}

func (g *guard[V]) GetOrLoadMany(ctx context.Context, keys []string, load func(ctx context.Context, keys []string) (map[string]V, error), opts ...tiered.Option) (map[string]V, error) {
	values, err := g.inner.GetOrLoadMany(ctx, keys, load, opts...)
	for key, v := range values {
		g.sharing("GetOrLoadMany returned it", key, v)
	}
	return values, err
}

func (g *guard[V]) SetMany(ctx context.Context, values map[string]V, opts ...tiered.Option) error {
	err := g.inner.SetMany(ctx, values, opts...)
	var batch *tiered.BatchError
	if err != nil && !errors.As(err, &batch) {
		return err
	}
	for key, v := range values {
		if batch == nil || batch.Errs[key] == nil {
			g.sharing("it was given to SetMany", key, v)
		}
	}
	return err
}
