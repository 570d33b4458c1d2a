package tiered

import (
	"context"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// Loading is a region with its key and load functions bound, see [Bind]. It is
// safe for concurrent use.
type Loading[K comparable, V any] struct {
	region *Region[V]
	key    func(K) string
	load   func(context.Context, K) (V, error)
	many   func(context.Context, []K) (map[K]V, error) // nil: only load
	bad    error                                       // of what it was bound with
}

// Bind fixes the key and load functions of a region once, so that keys may be
// typed and a hit allocates nothing even if load is a method value. key must
// give different strings for different keys (see [Key]).
func Bind[K comparable, V any](r *Region[V], key func(K) string, load func(context.Context, K) (V, error)) *Loading[K, V] {
	return &Loading[K, V]{region: r, key: key, load: load}
}

// Get is [Region.GetOrLoad] with the bound functions. A nil key function is an
// error of every Get, a nil load function of every Get that L1 does not answer.
func (l *Loading[K, V]) Get(ctx context.Context, k K, opts ...Option) (V, error) {
	var zero V
	if l == nil || l.region == nil {
		return zero, errNilRegion
	}
	if l.key == nil {
		return zero, errNilKey
	}
	r := l.region
	key := l.key(k)
	if len(opts) == 0 && r.core.usesL1() {
		hash := keyspace.Hash(r.core.name, key)
		if v, hit, due, err := r.peek(key, hash); hit {
			if due && l.load != nil {
				r.core.attend(ctx, key, hash, call{}, func() loadFunc { return l.boxed(k) })
			}
			return v, err
		}
	}
	c, err := resolve(opGetOrLoad, r.core.mode, opts)
	if err == nil {
		err = l.problem()
	}
	if err != nil {
		return zero, err
	}
	return r.miss(ctx, key, func() loadFunc { return l.boxed(k) }, c, opts)
}

// problem is what makes every load fail.
func (l *Loading[K, V]) problem() error {
	if l.bad == nil && l.load == nil {
		return errNilLoad
	}
	return l.bad
}

// boxed binds the load function to its key. It is a method of its own so that k
// moves to the heap on a miss only.
func (l *Loading[K, V]) boxed(k K) loadFunc {
	return func(ctx context.Context, _ *prior) (any, Validator, error) {
		v, err := l.load(ctx, k)
		return v, "", err
	}
}

// Key is the string under which the region has k.
func (l *Loading[K, V]) Key(k K) string {
	if l == nil || l.key == nil {
		return "" // an invalid key
	}
	return l.key(k)
}

// Ref names k for [Node.Delete].
func (l *Loading[K, V]) Ref(k K) Ref {
	if l == nil {
		return Ref{}
	}
	return l.region.Ref(l.Key(k))
}

// Expire is [Region.Expire] with the bound key function.
func (l *Loading[K, V]) Expire(ctx context.Context, keys ...K) error {
	names, err := l.names(keys)
	if err != nil {
		return err
	}
	return l.region.Expire(ctx, names...)
}

// names are the strings of keys.
func (l *Loading[K, V]) names(keys []K) ([]string, error) {
	switch {
	case l == nil || l.region == nil:
		return nil, errNilRegion
	case l.key == nil:
		return nil, errNilKey
	}
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = l.key(k)
	}
	return names, nil
}
