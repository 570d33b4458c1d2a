package tiered

import (
	"context"
	"maps"
	"slices"
)

func (noop[V]) GetMany(_ context.Context, keys []string, _ ...Option) (map[string]V, error) {
	_, failed := checkKeys(keys)
	return make(map[string]V), batchFailed("", failed)
}

func (noop[V]) GetOrLoadMany(ctx context.Context, keys []string, load func(context.Context, []string) (map[string]V, error), _ ...Option) (map[string]V, error) {
	if load == nil {
		return nil, errNilLoad
	}
	out := make(map[string]V, len(keys))
	valid, failed := checkKeys(keys)
	if len(valid) == 0 {
		return out, batchFailed("", failed)
	}
	values, err := load(ctx, slices.Clone(valid))
	for _, key := range valid {
		if v, ok := values[key]; ok {
			out[key] = v
		} else if err := leftOut(key, err); !isAbsent(err, false) {
			failed[key] = err
		}
	}
	return out, batchFailed("", failed)
}

func (noop[V]) SetMany(_ context.Context, values map[string]V, _ ...Option) error {
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
