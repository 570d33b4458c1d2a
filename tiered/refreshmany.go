package tiered

import (
	"context"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// oneOf makes a load function for one key of one for several; nil if there is
// none. What is loaded ahead of time is loaded key by key: it is in nobody's way.
func oneOf(key string, many func() manyLoad) func() loadFunc {
	if many == nil {
		return nil
	}
	return func() loadFunc {
		load := many()
		return func(ctx context.Context, _ *prior) (any, Validator, error) {
			got, err := load(ctx, []string{key})
			if v, ok := got.value(key); ok {
				return v, "", nil
			}
			return nil, "", leftOut(key, err)
		}
	}
}

// refreshMany is [region.refreshFetched] for a call for several keys.
func (r *region) refreshMany(ctx context.Context, keys []keyspace.Key, answers []answered, c call, load manyLoad) {
	if load == nil || r.refreshing.share <= 0 {
		return
	}
	for i := range answers {
		if a := &answers[i]; a.left == nil {
			r.refreshFetched(ctx, keys[i], c, &a.outcome, oneOf(keys[i].Name, func() manyLoad { return load }))
		}
	}
}
