package tiered

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/doppio-cache/doppio/codec"
	"github.com/doppio-cache/doppio/internal/keyspace"
)

var (
	errNilKey    = fmt.Errorf("%w: the key function is nil", ErrInvalidOption)
	errNilLoad   = fmt.Errorf("%w: the load function is nil", ErrInvalidOption)
	errNilRegion = fmt.Errorf("%w: the Region is nil (did New return an error?)", ErrInvalidOption)
)

// Region is one kind of value in the cache. Make one with [New]. It is safe for
// concurrent use and lives as long as its node.
type Region[V any] struct {
	core  *region
	clone func(V) V // nil: values are shared
}

var _ Cache[int] = (*Region[int])(nil)

// New declares a region: one kind of value, with its own name, lives and codec.
// A name is declared once per node. The error joins all that is wrong with cfg, and is
// an [ErrInvalidOption]; in particular New refuses a V that the codec cannot carry faithfully.
func New[V any](n *Node, cfg Config[V]) (*Region[V], error) {
	if n == nil {
		return nil, errNilNode
	}
	if err := cfg.validate(&n.opts); err != nil {
		return nil, fmt.Errorf("%w: Config of region %q: %w", ErrInvalidOption, cfg.Name, err)
	}
	cfg = cfg.withDefaults(&n.opts)
	core := &region{
		node:         n,
		name:         cfg.Name,
		mode:         cfg.Mode,
		schema:       cfg.Schema,
		codec:        cfg.Codec.Name(),
		values:       valuesOf(&cfg),
		ttl:          cfg.TTL,
		l1TTL:        cfg.L1TTL,
		negativeTTL:  cfg.NegativeTTL,
		loadTimeout:  cfg.LoadTimeout,
		writeTimeout: cfg.WriteTimeout,
		originLag:    cfg.OriginLag,
		jitter:       cfg.Jitter,
		maxL1Bytes:   cfg.MaxL1Bytes,
	}
	core.revalidate = cfg.RevalidateFor
	core.stale.init(cfg.StaleFor, cfg.SoftTimeout)
	core.unasked = newBars()
	core.refreshing.share = cfg.RefreshAhead
	core.failures.ttl = cfg.ErrorTTLFor
	core.l1 = n.l1.Region(cfg.Name)
	if !core.usesL2() {
		core.landings = &landings{loads: make(map[uint64]*underWay)}
	}
	if err := n.declare(core); err != nil {
		return nil, err
	}
	core.slide(cfg.SlidingTTL) // not before: what it changes in L1 goes by the name
	return &Region[V]{core: core, clone: cfg.Clone}, nil
}

// valuesOf boxes the operations on values.
func valuesOf[V any](cfg *Config[V]) values {
	// A type assertion with ok: a nil V of interface type is a nil any.
	unbox := func(v any) V { x, _ := v.(V); return x }
	vs := values{
		sized:    cfg.Size != nil,
		notFound: cfg.notFound,
		encode: func(v any) ([]byte, error) {
			return codec.Encode(cfg.Codec, nil, v)
		},
		decode: func(data []byte) (any, error) {
			var v V
			if err := codec.Decode(cfg.Codec, data, &v); err != nil {
				return nil, err
			}
			return v, nil
		},
		encoded: func(payload []byte) int { return codec.Size(cfg.Codec, payload) },
		size:    func(_ any, encoded int) int64 { return int64(encoded) },
		clone:   func(v any) any { return v },
	}
	if cfg.Size != nil {
		vs.size = func(v any, _ int) int64 { return max(0, cfg.Size(unbox(v))) }
	}
	if cfg.TTLFor != nil {
		vs.ttlFor = func(key string, v any) time.Duration { return cfg.TTLFor(key, unbox(v)) }
	}
	if cfg.Tags != nil {
		vs.tags = func(key string, v any) []string { return cfg.Tags(key, unbox(v)) }
	}
	if cfg.Clone != nil {
		vs.clone = func(v any) any { return cfg.Clone(unbox(v)) }
	}
	return vs
}

// Get returns what the tiers have: from L1 without I/O or allocation, from
// Redis in one round trip. See [Cache] for its errors, and [ErrClosed].
func (r *Region[V]) Get(ctx context.Context, key string, opts ...Option) (V, error) {
	if r == nil {
		var zero V
		return zero, errNilRegion
	}
	if len(opts) == 0 && r.core.usesL1() {
		hash := keyspace.Hash(r.core.name, key)
		if v, hit, due, err := r.peek(key, hash); hit {
			if due && r.core.sliding.period > 0 {
				r.core.attend(ctx, key, hash, call{}, nil)
			}
			return v, err
		}
	}
	c, err := resolve(opGet, r.core.mode, opts)
	if err != nil {
		var zero V
		return zero, err
	}
	return r.miss(ctx, key, nil, c, opts)
}

// GetOrLoad returns what the tiers have, or calls load and stores what it
// returns in both tiers.
//
// The load gets a context with the values of the caller's, but not its
// cancellation, and with Config.LoadTimeout. A caller whose own context ends
// leaves at once; the load goes on for the others. If load returns
// [ErrNotFound] or one of Config.NotFound, wrapped or not, that is remembered
// for Config.NegativeTTL, and this and later calls return an [ErrAbsent]. Its
// other errors are returned to all who waited and are not remembered. A panic
// or runtime.Goexit of the load is a [*LoadPanicError] to all who waited.
//
// Concurrent calls share the load function of the call that came first. With
// Redis out of use, there is one load per key in each instance, and its value
// is kept for Options.MaxStaleness at most.
//
// A hit in L1 does not allocate if load is a stored function (not a method
// value or a closure made for the call; see [Bind]).
func (r *Region[V]) GetOrLoad(ctx context.Context, key string, load func(ctx context.Context, key string) (V, error), opts ...Option) (V, error) {
	if r == nil {
		var zero V
		return zero, errNilRegion
	}
	if len(opts) == 0 && r.core.usesL1() {
		hash := keyspace.Hash(r.core.name, key)
		if v, hit, due, err := r.peek(key, hash); hit {
			if due && load != nil {
				r.core.attend(ctx, key, hash, call{}, func() loadFunc { return boxed(key, load) })
			}
			return v, err
		}
	}
	c, err := resolve(opGetOrLoad, r.core.mode, opts)
	if err == nil && load == nil {
		err = errNilLoad
	}
	if err != nil {
		var zero V
		return zero, err
	}
	return r.miss(ctx, key, func() loadFunc { return boxed(key, load) }, c, opts)
}

// boxed binds a load function to its key.
func boxed[V any](key string, load func(context.Context, string) (V, error)) loadFunc {
	return func(ctx context.Context, _ *prior) (any, Validator, error) {
		v, err := load(ctx, key)
		return v, "", err
	}
}

// peek is the L1 hit: everything that is done for one is in here and in
// [l1.Cache.Get]. due says that the hit is to be attended to.
func (r *Region[V]) peek(key string, hash uint64) (v V, hit, due bool, err error) {
	core := r.core
	e, value, now := core.node.l1.Get(core.l1, hash, key)
	if e == nil {
		return v, false, false, nil
	}
	due = e.IsDue(now)
	// The value first: whether the entry is negative lies in another cache line.
	v, ok := value.(V)
	if !ok && e.Negative {
		core.l1.NegativeHit()
		return v, true, due, ErrAbsent
	}
	if r.clone != nil {
		v = r.clone(v)
	}
	return v, true, due, nil
}

// miss answers a call that L1 has not answered, or (with options) was not yet
// asked to.
func (r *Region[V]) miss(ctx context.Context, key string, load func() loadFunc, c call, opts []Option) (v V, err error) {
	if info := infoOf(opts); info != nil {
		*info = Info{} // also if there is nothing to be told
	}
	if err := checkKey(key); err != nil {
		return v, err
	}
	core := r.core
	k := keyspace.Of(core.name, key)
	if len(opts) > 0 && !c.bypass && !c.force && core.usesL1() {
		if e, _, now := core.node.l1.Get(core.l1, k.Hash, key); e != nil {
			if e.Negative {
				core.l1.NegativeHit()
			}
			if e.IsDue(now) {
				if c.tags, err = core.tagsOf(opts); err != nil {
					return v, err
				}
				core.attend(ctx, key, k.Hash, c, load)
			}
			return r.unwrap(fromL1(e), opts)
		}
	}
	if c.tags, err = core.tagsOf(opts); err != nil {
		return v, err
	}
	out, err := core.fetch(ctx, k, c, load)
	if err != nil {
		return v, err
	}
	return r.unwrap(&out, opts)
}

// unwrap makes an outcome, which is shared, the caller's own.
func (r *Region[V]) unwrap(out *outcome, opts []Option) (v V, err error) {
	if info := infoOf(opts); info != nil {
		*info = r.core.info(out)
	}
	if out.err != nil {
		return v, out.err
	}
	v, _ = out.value.(V)
	if r.clone != nil {
		v = r.clone(v)
	}
	return v, nil
}

// Set stores a value in both tiers and invalidates all other copies. It is nil
// if the value was stored, or if something newer won meanwhile (an
// invalidation, another Set). Its other outcomes:
//
//   - A [*PendingError]: Redis did not confirm. The invalidation is queued; the
//     value is not.
//   - An [ErrUnavailable] that is no PendingError: the old value is gone, and
//     the new one may not have been stored. For a value with tags also if nobody
//     can say whether one of them was invalidated meanwhile.
//   - An error of the codec: nothing has changed.
//
// Prefer Delete after the origin's commit: two Sets that are not ordered by
// the origin may leave the older value. In a region with Config.TTLFor, a
// negative life makes Set a Delete. In one with Config.OriginLag, nothing else is
// stored for that long; where an invalidation has left a tombstone, Set is no more
// than one.
func (r *Region[V]) Set(ctx context.Context, key string, value V, opts ...Option) error {
	if r == nil {
		return errNilRegion
	}
	c, err := resolve(opSet, r.core.mode, opts)
	if err != nil {
		return err
	}
	if err := checkKey(key); err != nil {
		return err
	}
	if c.tags, err = r.core.tagsOf(opts); err != nil {
		return err
	}
	return r.core.set(ctx, keyspace.Of(r.core.name, key), value, c)
}

// Delete invalidates keys on all instances. See [Node.Delete].
func (r *Region[V]) Delete(ctx context.Context, keys ...string) error {
	if r == nil {
		return errNilRegion
	}
	ks, errs := r.core.keys(keys)
	_, err := r.core.node.invalidate(ctx, r.core.name, ks)
	return errors.Join(errs, err)
}

// Ref names a key of the region for [Node.Delete]. That of a nil Region is not
// valid.
func (r *Region[V]) Ref(key string) Ref { return Ref{region: r.Name(), key: key} }

// Name is the region's name; empty for a nil Region.
func (r *Region[V]) Name() string {
	if r == nil {
		return ""
	}
	return r.core.name
}
