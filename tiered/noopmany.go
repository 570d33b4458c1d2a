package tiered

import (
	"context"
	"maps"
	"slices"
)

func (noop[V]) GetMany(_ context.Context, keys []string, opts ...Option) (map[string]V, error) {
	if _, err := resolveManyFor(opGet, BothTiers, opts); err != nil {
		return nil, err
	}
	_, failed := checkKeys(keys)
	return make(map[string]V), batchFailed("", failed)
}

func (noop[V]) GetOrLoadMany(ctx context.Context, keys []string, load func(context.Context, []string) (map[string]V, error), opts ...Option) (map[string]V, error) {
	_, err := resolveManyFor(opGetOrLoad, BothTiers, opts)
	if err == nil && load == nil {
		err = errNilLoad
	}
	if err != nil {
		return nil, err
	}
	out := make(map[string]V, len(keys))
	valid, failed := checkKeys(keys)
	if len(valid) == 0 {
		return out, batchFailed("", failed)
	}
	values, err := recovering(load)(ctx, slices.Clone(valid))
	for _, key := range valid {
		if v, ok := values[key]; ok {
			out[key] = v
		} else if err := leftOut(key, loadError(err)); !isAbsent(err, false) {
			failed[key] = err
		}
	}
	return out, batchFailed("", failed)
}

// recovering makes an error of a panic of a load function, for each of its keys.
func recovering[V any](load func(context.Context, []string) (map[string]V, error)) func(context.Context, []string) (map[string]V, error) {
	return func(ctx context.Context, keys []string) (values map[string]V, err error) {
		defer func() {
			if p := recover(); p != nil {
				raised := raisedBy(p)
				errs := make(map[string]error, len(keys))
				for _, key := range keys {
					errs[key] = raised.named("", key)
				}
				values, err = nil, &BatchError{Errs: errs}
			}
		}()
		return load(ctx, keys)
	}
}

func (noop[V]) SetMany(_ context.Context, values map[string]V, opts ...Option) error {
	if _, err := resolveManyFor(opSet, BothTiers, opts); err != nil {
		return err
	}
	_, failed := checkKeys(slices.Collect(maps.Keys(values)))
	return batchFailed("", failed)
}

// checkKeys returns the valid keys, each once, and what is wrong with the others.
func checkKeys(keys []string) (valid []string, failed map[string]error) {
	failed = make(map[string]error)
	seen := make(map[string]bool, len(keys))
	for _, key := range keys {
		if seen[key] {
			continue
		}
		seen[key] = true
		if err := checkKey(key); err != nil {
			failed[key] = err
		} else {
			valid = append(valid, key)
		}
	}
	return valid, failed
}
