package baseline

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"golang.org/x/sync/singleflight"

	"github.com/doppio-cache/doppio/tiered"
)

// negativeTTL is how long "no such thing" is remembered, as in Doppio.
const negativeTTL = tiered.DefaultNegativeTTL

// absent is what both tiers hold for a thing that does not exist.
type absent struct{}

// Region is one kind of value. It is a [tiered.Cache], so that the repositories
// need not know which cache they have; of its calls the service uses GetOrLoad,
// the others are those of tiered.Noop.
type Region[V any] struct {
	tiered.Cache[V]

	node   *Node
	name   string
	ttl    time.Duration
	group  singleflight.Group
	counts *counters
}

// New declares a region.
func New[V any](n *Node, name string, ttl time.Duration) *Region[V] {
	return &Region[V]{Cache: tiered.Noop[V](), node: n, name: name, ttl: ttl, counts: n.region(name)}
}

// GetOrLoad returns the value from memory, from Redis, or from load.
func (r *Region[V]) GetOrLoad(ctx context.Context, key string, load func(context.Context, string) (V, error), _ ...tiered.Option) (V, error) {
	full := r.node.key(r.name, key)
	if v, ok := r.node.memory.Get(full); ok {
		r.counts.l1Hits.Add(1)
		return unwrap[V](v)
	}
	r.counts.l1Misses.Add(1)
	// The flight serves others too: the first caller's hanging up must not
	// fail it.
	shared := context.WithoutCancel(ctx)
	v, err, _ := r.group.Do(full, func() (any, error) {
		if v, ok := r.fromRedis(shared, full); ok {
			r.counts.l2Hits.Add(1)
			return v, nil
		}
		r.counts.l2Misses.Add(1)
		return r.load(shared, full, key, load)
	})
	if err != nil {
		var zero V
		return zero, err
	}
	return unwrap[V](v)
}

func unwrap[V any](v any) (V, error) {
	if _, ok := v.(absent); ok {
		var zero V
		return zero, tiered.ErrAbsent
	}
	return v.(V), nil //nolint:forcetypeassert // a region's keys hold its own type
}

// fromRedis asks Redis. Any failure is a miss: the service goes on without it.
func (r *Region[V]) fromRedis(ctx context.Context, full string) (any, bool) {
	ctx, cancel := context.WithTimeout(ctx, r.node.opts.Timeout)
	defer cancel()
	data, err := r.node.opts.Redis.Get(ctx, full).Bytes()
	if err != nil {
		return nil, false
	}
	if len(data) == 0 {
		r.remember(full, absent{}, 1, negativeTTL)
		return absent{}, true
	}
	var v V
	if err := msgpack.Unmarshal(data, &v); err != nil {
		return nil, false
	}
	r.remember(full, v, len(data), r.ttl)
	return v, true
}

// load asks the database, and stores what it says in both tiers.
func (r *Region[V]) load(ctx context.Context, full, key string, load func(context.Context, string) (V, error)) (any, error) {
	r.counts.loads.Add(1)
	v, err := load(ctx, key)
	if errors.Is(err, tiered.ErrNotFound) {
		r.store(ctx, full, []byte{}, negativeTTL)
		r.remember(full, absent{}, 1, negativeTTL)
		return absent{}, nil
	}
	if err != nil {
		return nil, err
	}
	data, err := msgpack.Marshal(v)
	if err != nil {
		return nil, err
	}
	r.store(ctx, full, data, r.ttl)
	r.remember(full, v, len(data), r.ttl)
	return v, nil
}

// store puts a value into Redis. If that fails, the next read loads again.
func (r *Region[V]) store(ctx context.Context, full string, data []byte, ttl time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, r.node.opts.Timeout)
	defer cancel()
	_ = r.node.opts.Redis.Set(ctx, full, data, jitter(ttl)).Err()
}

// remember puts a value into memory.
func (r *Region[V]) remember(full string, v any, size int, ttl time.Duration) {
	if limit := r.node.opts.L1TTL; limit > 0 {
		ttl = min(ttl, limit)
	}
	const overhead = 150 // of an entry, roughly
	r.node.memory.SetWithTTL(full, v, int64(size+overhead), jitter(ttl))
}

// jitter shortens a life by up to a tenth, so that values stored together do
// not expire together.
func jitter(ttl time.Duration) time.Duration {
	return ttl - time.Duration(rand.Float64()*0.1*float64(ttl))
}
