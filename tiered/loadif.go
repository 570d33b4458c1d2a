package tiered

import (
	"context"
	"errors"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// MaxValidatorBytes is the length of the longest [Validator] that is kept.
const MaxValidatorBytes = 1024

// Validator is what the origin calls a version of a value: an ETag, a time of
// modification, the number of a row's version, in whatever form the load
// understands. It should change whenever the value does, as a strong validator
// of HTTP does (RFC 9110, section 8.8.1). Empty: the origin has no name for it.
type Validator string

// Entry is a value that was loaded before, for [Region.LoadIf].
type Entry[V any] struct {
	// Value is shared like every value: do not modify it, unless the region has
	// a Config.Clone.
	Value V
	// Validator is what the load returned with the value; empty: there is no value.
	Validator Validator
}

// LoadIf is [Region.GetOrLoad] for an origin that can answer "unchanged". The load
// is given the value that there was, with the validator that came with it, and
// returns [ErrUnchanged], wrapped or not, if that is what the origin still has:
// then the value has its life again, in both tiers, without being transferred or
// encoded. Otherwise it returns the value and the validator of what there is now.
//
// What there was is a value whose life is over, that Redis has kept for
// Config.RevalidateFor, or that is loaded anew because of Config.RefreshAhead or
// [ForceLoad]. A value that was invalidated is not among it, nor one from before a
// failover of Redis: Delete, InvalidateTags and Clear mean that the next load
// transfers. If such a thing happens while the origin is being asked, its answer
// "unchanged" is discarded, and load is called once more, without a value.
//
// prev is the zero Entry if there is nothing to ask about: the first time, after an
// invalidation, if the value came by [Region.Set] or another load function, or if it
// would be stored with other tags than it has. Then a load that returns ErrUnchanged
// has failed. Concurrent calls share the load of the first, also with those of
// GetOrLoad, whose loads know no validator.
//
// Renewing costs a script of some hundred bytes, whatever the value's size. It is
// announced to nobody, since the copies of other instances are the same, unless the
// load was forced or the region has a Config.SlidingTTL. A validator costs its bytes
// in Redis, and 16 more in L1.
func (r *Region[V]) LoadIf(
	ctx context.Context, key string,
	load func(ctx context.Context, key string, prev Entry[V]) (V, Validator, error),
	opts ...Option,
) (V, error) {
	var zero V
	if r == nil {
		return zero, errNilRegion
	}
	if len(opts) == 0 && r.core.usesL1() {
		hash := keyspace.Hash(r.core.name, key)
		if v, hit, due, err := r.peek(key, hash); hit {
			if due && load != nil {
				r.core.attend(ctx, key, hash, call{asks: true}, func() loadFunc { return r.asking(key, load) })
			}
			return v, err
		}
	}
	c, err := resolve(opGetOrLoad, r.core.mode, opts)
	if err == nil && load == nil {
		err = errNilLoad
	}
	if err != nil {
		return zero, err
	}
	c.asks = true
	return r.miss(ctx, key, func() loadFunc { return r.asking(key, load) }, c, opts)
}

// asking binds a load function to its key and hands it what there was.
func (r *Region[V]) asking(key string, load func(context.Context, string, Entry[V]) (V, Validator, error)) loadFunc {
	return func(ctx context.Context, was *prior) (any, Validator, error) {
		var prev Entry[V]
		if was != nil {
			prev.Validator = was.validator
			prev.Value, _ = was.value.(V)
			if r.clone != nil {
				prev.Value = r.clone(prev.Value)
			}
		}
		v, validator, err := load(ctx, key, prev)
		if !errors.Is(err, ErrUnchanged) {
			return v, validator, err
		}
		if was == nil {
			return nil, "", err
		}
		return nil, "", errStillSo
	}
}
