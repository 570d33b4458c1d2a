package tiered

import (
	"context"
	"fmt"
	"slices"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// GetMany returns what the tiers have of keys. A key that they do not have is
// not in the map, and no error. What L1 has costs nothing but its place in the
// map; all that it has not is one round trip to each of Redis's masters
// concerned. (For each 8,192 keys, and for each 16 MiB of values; Options.L2Timeout
// is for each of them.)
//
// The map is never nil, unless the call made no sense. If single keys fail, the
// error is a [*BatchError] that names them, and all others are in the map:
// [ErrUnavailable] where Redis was needed and could not be used, [ErrInvalidKey],
// or ctx's error where the call ended before there was an answer. A key that is
// given twice counts once.
//
// Each key is read as by Get, with the same guarantees; there are none about
// several keys together. Options: [BypassL1].
func (r *Region[V]) GetMany(ctx context.Context, keys []string, opts ...Option) (map[string]V, error) {
	if r == nil {
		return nil, errNilRegion
	}
	c, err := resolveMany(opGet, r.core, opts)
	if err != nil {
		return nil, err
	}
	return r.many(ctx, keys, nil, c)
}

// GetOrLoadMany returns what the tiers have of keys, and calls load for the
// rest: once, for exactly those keys that nobody else is loading. A key that
// another call of this process is loading, for itself or among others, is waited
// for, and so is one whose lease another instance holds; other calls wait for the
// keys of this one. (What others were loading and did not bring is loaded by a
// call of its own, as are keys that are invalidated meanwhile.)
//
// In Redis this takes three round trips to each master concerned: read, take
// leases, store. (For each 8,192 keys that are read, and 1,024 of the others; and
// for each 16 MiB of values that are read, and 4 MiB that are stored.) The load is
// one call, whatever their number. A call that has waited for loads looks once more
// at what it knew before, and reads again what was invalidated meanwhile.
//
// A key that load leaves out is known not to exist from then on, as if the load
// of GetOrLoad had returned [ErrNotFound], and is not in the map. If load returns
// an error too, its values are used all the same, nothing is taken for absent,
// and each key that was left out fails with that error. If the error is itself a
// [*BatchError] (not wrapped), keys that it names fail with their own: just what
// GetOrLoad would make of it, so that a key with ErrNotFound is absent.
// Values for keys that were not asked for are ignored: no lease was taken for them.
// When load has returned, its map must not be changed any more.
//
// The load gets a context as that of GetOrLoad does, and a slice of its own. A
// panic or runtime.Goexit is a [*LoadPanicError] of each key. Everything else is
// as for [Region.GetMany] and [Region.GetOrLoad]. Options: [WithTTL], [BypassL1],
// [ForceLoad], [WithTags].
//
// Config.StaleFor, SoftTimeout and ErrorTTLFor hold for each key: one whose load
// fails, or is slow, is answered with its stale value if it has one, and one whose
// load has failed just now fails without another. The call waits for the keys that
// have no stale value. With Config.RefreshAhead, a key that is due is loaded ahead
// of time by a call of load with that key alone.
func (r *Region[V]) GetOrLoadMany(ctx context.Context, keys []string, load func(ctx context.Context, keys []string) (map[string]V, error), opts ...Option) (map[string]V, error) {
	if r == nil {
		return nil, errNilRegion
	}
	c, err := resolveMany(opGetOrLoad, r.core, opts)
	if err == nil && load == nil {
		err = errNilLoad
	}
	if err != nil {
		return nil, err
	}
	return r.many(ctx, keys, load, c)
}

// SetMany stores values in both tiers and invalidates all other copies, in two
// round trips to each of Redis's masters, for each 1,024 keys and each 4 MiB of
// values. (There is a third where Config.TTLFor says of some that they are not to
// be cached, and there are more in a region that is L1Only.) Each key is set as by
// Set: if some fail, the error is a [*BatchError] that names them. There is no
// order among the keys, and no moment at which all of them change. Options:
// [WithTTL], [WithTags].
func (r *Region[V]) SetMany(ctx context.Context, values map[string]V, opts ...Option) error {
	if r == nil {
		return errNilRegion
	}
	c, err := resolveMany(opSet, r.core, opts)
	if err != nil {
		return err
	}
	failed := make(map[string]error)
	keys := make([]keyspace.Key, 0, len(values))
	boxes := make([]any, 0, len(values))
	for key, v := range values {
		if err := checkKey(key); err != nil {
			failed[key] = err
			continue
		}
		keys, boxes = append(keys, keyspace.Of(r.core.name, key)), append(boxes, v)
	}
	for i, err := range r.core.setMany(ctx, keys, boxes, c) {
		if err != nil {
			failed[keys[i].Name] = err
		}
	}
	return batchFailed(r.core.name, failed)
}

// many answers a call for several keys; load is nil if there is none.
func (r *Region[V]) many(ctx context.Context, keys []string, load func(context.Context, []string) (map[string]V, error), c call) (map[string]V, error) {
	out := make(map[string]V, len(keys))
	peeks := r.core.peeks(c)
	var missed []keyspace.Key
	for _, key := range keys {
		if _, twice := out[key]; twice {
			continue
		}
		k := keyspace.Of(r.core.name, key)
		if peeks {
			if v, hit, due, err := r.peek(key, k.Hash); hit {
				if due {
					r.attendOne(ctx, k, c, load)
				}
				if err == nil {
					out[key] = v
				}
				continue
			}
		}
		missed = append(missed, k)
	}
	if missed == nil {
		return out, nil
	}
	var boxed func() manyLoad
	if load != nil {
		boxed = func() manyLoad { return boxedMany(load) }
	}
	err := r.answerMany(ctx, missed, len(keys), func(i int) string { return keys[i] }, boxed, c, func(key string, v V, ok bool) {
		if delete(out, key); ok {
			out[key] = v
		}
	})
	return out, err
}

// answerMany answers for those of the n keys of a call that L1 has not answered; name
// gives each of the n, and load, if it is not nil, what loads them. found is told what
// is known of a key: the last time that it is told is what counts.
//
// A call that waits for loads must not return at its end what was invalidated long
// before that. So it looks once more at what it knew before it waited: at what L1 has
// answered and, if it has waited for some of that, at what it has fetched before.
func (r *Region[V]) answerMany(ctx context.Context, missed []keyspace.Key, n int, name func(i int) string, load func() manyLoad, c call, found func(key string, v V, ok bool)) error {
	failed := make(map[string]error)
	fetch := func(keys []keyspace.Key) (fetched, bool) {
		var boxed manyLoad
		if load != nil {
			boxed = load()
		}
		return r.missMany(ctx, keys, boxed, c, failed, found)
	}
	var known fetched // before the last time that it has waited
	last, waited := fetch(missed)
	waited = waited && r.core.peeks(c) // otherwise all of it is in last
	for attempt := 0; waited && attempt < maxReloads; attempt++ {
		if len(missed) == n && attempt == 0 {
			break // nothing was known before
		}
		old := known.fallen(r.core, kindOf(c, load != nil))
		known.add(last)
		if len(missed) < n {
			unknown := r.outdated(missed, n, name, found)
			missed, old = append(missed, unknown...), append(old, unknown...)
		}
		if len(old) == 0 {
			break
		}
		last, waited = fetch(old)
	}
	return batchFailed(r.core.name, failed)
}

// outdated looks again at those of n keys that L1 has answered, which are all but
// the missed ones. It says what L1 has by now, and returns the keys of which it has
// nothing that is valid. (An entry whose life is over meanwhile is still the answer of
// when it was not.)
func (r *Region[V]) outdated(missed []keyspace.Key, n int, name func(i int) string, found func(key string, v V, ok bool)) (old []keyspace.Key) {
	known := make(map[string]struct{}, n)
	for _, k := range missed {
		known[k.Name] = struct{}{}
	}
	for i := range n {
		k := keyspace.Of(r.core.name, name(i))
		if _, twice := known[k.Name]; twice {
			continue
		}
		known[k.Name] = struct{}{}
		var v V
		e, _ := r.core.node.l1.Find(r.core.l1, k.Hash, k.Name)
		if e == nil {
			old = append(old, k)
			found(k.Name, v, false)
			continue
		}
		v, _ = e.Value.(V)
		if r.clone != nil && !e.Negative {
			v = r.clone(v)
		}
		found(k.Name, v, !e.Negative)
	}
	return old
}

// attendOne does what is due for one of the keys that L1 has answered.
func (r *Region[V]) attendOne(ctx context.Context, k keyspace.Key, c call, load func(context.Context, []string) (map[string]V, error)) {
	var box func() manyLoad
	if load != nil {
		box = func() manyLoad { return boxedMany(load) }
	}
	r.core.attend(ctx, k.Name, k.Hash, c, oneOf(k.Name, box))
}

// peeks reports whether a call may be answered by L1.
func (r *region) peeks(c call) bool { return r.usesL1() && !c.bypass && !c.force }

// missMany answers for keys that L1 has not answered, and reports whether it has
// waited for loads.
func (r *Region[V]) missMany(ctx context.Context, missed []keyspace.Key, load manyLoad, c call, failed map[string]error, found func(key string, v V, ok bool)) (got fetched, waited bool) {
	got.keys = make([]keyspace.Key, 0, len(missed))
	seen := make(map[string]struct{}, len(missed))
	for _, k := range missed {
		if _, twice := seen[k.Name]; twice {
			continue
		}
		seen[k.Name] = struct{}{}
		if err := checkKey(k.Name); err != nil {
			failed[k.Name] = err
			continue
		}
		got.keys = append(got.keys, k)
	}
	if len(got.keys) == 0 {
		return got, false
	}
	got.answers, waited = r.core.fetchMany(ctx, got.keys, c, load)
	for i, k := range got.keys {
		a := &got.answers[i]
		err := a.left
		if err == nil {
			err = a.err
		}
		var v V
		if err == nil {
			v, _ = a.value.(V)
			if r.clone != nil {
				v = r.clone(v)
			}
		}
		found(k.Name, v, err == nil)
		if delete(failed, k.Name); err != nil && !isAbsent(err, load != nil) {
			failed[k.Name] = err
		}
	}
	return got, waited
}

// resolveMany is resolve for a call for several keys: there is no one value that
// WithInfo could tell about.
func resolveMany(op operation, r *region, opts []Option) (call, error) {
	c, err := resolveManyFor(op, r.mode, opts)
	if err == nil {
		c.tags, err = r.tagsOf(opts)
	}
	return c, err
}

func resolveManyFor(op operation, mode Mode, opts []Option) (call, error) {
	i := slices.IndexFunc(opts, func(o Option) bool { return o.kind == optInfo })
	if i >= 0 {
		return call{}, fmt.Errorf("%w: %s cannot be used with %sMany", ErrInvalidOption, optInfo, op)
	}
	c, err := resolve(op, mode, opts)
	if err != nil {
		// It speaks of the call for one key.
		return call{}, fmt.Errorf("%sMany: %w", op, err)
	}
	return c, nil
}
