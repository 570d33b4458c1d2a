package tiered

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// eachAtOnce is how many loads of single keys a GetMany runs at once, where no
// load function for several keys is bound.
const eachAtOnce = 16

// DefaultMaxBatch is the default of [Coalescing].MaxBatch.
const DefaultMaxBatch = 100

// Coalescing says whether single misses are gathered into one load of several
// keys. The zero value says no.
type Coalescing struct {
	// MaxWait is how long the first of the misses waits for others, a few
	// milliseconds; it is added to the time that every miss takes, and counts
	// towards its Config.LoadTimeout, which has to be longer. Defaults to 0: single
	// misses are not gathered, and a MaxBatch is an error.
	MaxWait time.Duration
	// MaxBatch is the most keys of one load; when there are so many it begins at
	// once. Defaults to 100. (It does not limit the loads of GetMany.)
	MaxBatch int
}

// validate names all problems at once; limit is the region's LoadTimeout, or 0.
func (c Coalescing) validate(limit time.Duration) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.MaxWait < 0 {
		bad("MaxWait is negative (%v)", c.MaxWait)
	}
	if c.MaxBatch < 0 {
		bad("MaxBatch is negative (%d)", c.MaxBatch)
	}
	if limit > 0 && c.MaxWait >= limit {
		bad("MaxWait (%v) is not shorter than LoadTimeout (%v)", c.MaxWait, limit)
	}
	if c.MaxWait == 0 && c.MaxBatch > 0 {
		bad("MaxBatch is set, but MaxWait is 0")
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%w: Coalescing: %w", ErrInvalidOption, errors.Join(errs...))
}

// BindMany is [Bind] for a load function for several keys, as [Region.GetOrLoadMany]
// has one: what it leaves out of its map does not exist. [Loading.Get] calls it
// with one key, or, with a Coalescing, gathers the misses of concurrent Gets into
// one call, as a dataloader does. Each miss still is a load of its own to all
// others: it has its own lease, and Gets of the same key share it.
//
// A nil load function, and a Coalescing that makes no sense, are an [ErrInvalidOption]
// of every Get that L1 does not answer; a nil key function is one of every Get.
func BindMany[K comparable, V any](r *Region[V], key func(K) string, load func(context.Context, []K) (map[K]V, error), coalescing Coalescing) *Loading[K, V] {
	var limit time.Duration
	if r != nil {
		limit = r.core.loadTimeout
	}
	l := &Loading[K, V]{region: r, key: key, many: load, bad: coalescing.validate(limit)}
	if load == nil {
		l.bad = errors.Join(l.bad, errNilLoad)
		return l
	}
	l.load = l.loadOne
	if coalescing.MaxWait > 0 && r != nil && l.bad == nil {
		g := &gatherer[K, V]{
			region:   r.core,
			load:     load,
			maxWait:  coalescing.MaxWait,
			maxBatch: orDefault(coalescing.MaxBatch, DefaultMaxBatch),
		}
		l.load = func(ctx context.Context, k K) (V, error) { return g.one(ctx, k, l.key(k)) }
	}
	return l
}

// loadOne loads one key.
func (l *Loading[K, V]) loadOne(ctx context.Context, k K) (V, error) {
	values, err := l.many(ctx, []K{k})
	return valueOf(values, loadError(err), k, l.key(k))
}

// valueOf is what a load for several keys has brought for one.
func valueOf[K comparable, V any](values map[K]V, err error, k K, name string) (V, error) {
	if v, ok := values[k]; ok {
		return v, nil
	}
	var zero V
	return zero, leftOut(name, err)
}

// GetMany is [Region.GetOrLoadMany] with the bound functions. After [Bind], which
// has no load function for several keys, the keys are loaded one by one, sixteen
// at a time, and Config.LoadTimeout is for all of them together.
//
// The keys in a [*BatchError] are those that the key function gives.
func (l *Loading[K, V]) GetMany(ctx context.Context, keys []K, opts ...Option) (map[K]V, error) {
	if l == nil || l.region == nil {
		return nil, errNilRegion
	}
	if l.key == nil {
		return nil, errNilKey
	}
	r := l.region
	c, err := resolveMany(opGetOrLoad, r.core, opts)
	if err == nil {
		err = l.problem()
	}
	if err != nil {
		return nil, err
	}
	out := make(map[K]V, len(keys))
	peeks := r.core.peeks(c)
	var missed []keyspace.Key
	var ids map[string]K
	for _, id := range keys {
		if _, twice := out[id]; twice {
			continue
		}
		k := keyspace.Of(r.core.name, l.key(id))
		if peeks {
			if v, hit, due, err := r.peek(k.Name, k.Hash); hit {
				if due {
					l.attendOne(ctx, k, c, id)
				}
				if err == nil {
					out[id] = v
				}
				continue
			}
		}
		if ids == nil {
			ids = make(map[string]K)
		}
		ids[k.Name] = id
		missed = append(missed, k)
	}
	if missed == nil {
		return out, nil
	}
	err = r.answerMany(ctx, missed, len(keys), func(i int) string { return l.key(keys[i]) }, func() manyLoad { return l.boxedMany(ids) }, c, func(key string, v V, ok bool) {
		if _, known := ids[key]; !known { // one that L1 had answered
			// In a map of their own: a load that was given up may go on with the other.
			ids = make(map[string]K, len(keys))
			for _, id := range keys {
				ids[l.key(id)] = id
			}
		}
		id := ids[key]
		if delete(out, id); ok {
			out[id] = v
		}
	})
	return out, err
}

// attendOne does what is due for one of the keys that L1 has answered.
func (l *Loading[K, V]) attendOne(ctx context.Context, k keyspace.Key, c call, id K) {
	l.region.core.attend(ctx, k.Name, k.Hash, c, oneOf(k.Name, func() manyLoad { return l.boxedMany(map[string]K{k.Name: id}) }))
}

// Delete is [Region.Delete] with the bound key function.
func (l *Loading[K, V]) Delete(ctx context.Context, keys ...K) error {
	names, err := l.names(keys)
	if err != nil {
		return err
	}
	return l.region.Delete(ctx, names...)
}

// boxedMany is the load function for keys by their names.
func (l *Loading[K, V]) boxedMany(ids map[string]K) manyLoad {
	return func(ctx context.Context, names []string) (manyLoaded, error) {
		keys := make([]K, len(names))
		for i, name := range names {
			keys[i] = ids[name]
		}
		var values map[K]V
		var err error
		if l.many != nil {
			values, err = l.many(ctx, keys)
		} else {
			values, err = l.loadEach(ctx, keys, names)
		}
		return manyLoaded{size: len(values), value: func(name string) (any, bool) {
			if v, ok := values[ids[name]]; ok {
				return v, true
			}
			return nil, false
		}}, loadError(err)
	}
}

// loadEach loads keys by the load function for one, some at once. When ctx has
// ended no further load begins.
func (l *Loading[K, V]) loadEach(ctx context.Context, keys []K, names []string) (map[K]V, error) {
	values := make(map[K]V, len(keys))
	failed := make(map[string]error)
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, eachAtOnce)
	begun := 0
	for begun < len(keys) && ctx.Err() == nil {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		k, name := keys[begun], names[begun]
		begun++
		wg.Go(func() {
			defer func() { <-slots }()
			v, err := l.loadSafely(ctx, k, name)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[name] = err
				return
			}
			values[k] = v
		})
	}
	wg.Wait()
	for _, name := range names[begun:] {
		failed[name] = ctx.Err()
	}
	return values, batchFailed(l.region.core.name, failed)
}

// loadSafely makes an error of a panic, and of runtime.Goexit.
func (l *Loading[K, V]) loadSafely(ctx context.Context, k K, name string) (v V, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		returned := false
		defer func() {
			if !returned {
				p := raisedBy(recover())
				err = p.named(l.region.core.name, name)
			}
		}()
		v, err = l.load(ctx, k)
		returned = true
	}()
	<-done
	return v, err
}
