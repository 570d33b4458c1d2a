package instance

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
	"github.com/doppio-cache/doppio/tiered"
)

// doppio is the library, with what it takes to judge it.
type doppio struct {
	origin  origin
	plan    *plan
	node    *tiered.Node
	regions [wire.Kinds]*tiered.Region[Item]
	stones  *stones
	id      wire.ID
	loads   atomic.Uint64
	apart   sync.Map // numbers of loads whose fill was not confirmed
	writing sync.Map // keys of Mutates under way: one at a time
	notes   recorder // loads
	errors  atomic.Uint64
	queue   pending
}

func openDoppio(ctx context.Context, s *wire.Settings, client *redis.Client, p *plan, o origin) (*doppio, error) {
	d := &doppio{origin: o, plan: p, id: s.ID}
	var err error
	if d.stones, err = newStones(client); err != nil {
		return nil, err
	}
	d.node, err = tiered.Open(ctx, tiered.Options{
		Redis:        client,
		Prefix:       prefix,
		Partitions:   partitions,
		L1MaxBytes:   32 << 20,
		MaxStaleness: s.Bound,
		L2Timeout:    s.L2Timeout,
		Logger:       slog.New(slog.DiscardHandler),
		Observer:     observer{d},
	})
	if err != nil {
		return nil, err
	}
	for k, r := range s.Regions {
		cfg := tiered.Config[Item]{
			Name: wire.Kind(k).String(), TTL: r.TTL, SlidingTTL: r.SlidingTTL, StaleFor: r.StaleFor,
			SoftTimeout: r.SoftTimeout, RefreshAhead: r.Refresh, WriteTimeout: wire.WriteTimeout,
		}
		if p.full() {
			cfg.Tags = d.tags
		}
		if d.regions[k], err = tiered.New(d.node, cfg); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *doppio) of(key uint32) *tiered.Region[Item] { return d.regions[d.plan.regions.Of(key)] }

// tags are those that are known from a value.
func (d *doppio) tags(name string, _ Item) []string {
	key, err := keyOf(name)
	if err != nil {
		return nil
	}
	return []string{d.plan.valueTag(key)}
}

// fetch is the load function.
func (d *doppio) fetch(ctx context.Context, name string) (Item, error) {
	items, err := d.fetchMany(ctx, []string{name})
	return items[name], err
}

// fetchMany is the load function for several keys.
func (d *doppio) fetchMany(ctx context.Context, names []string) (map[string]Item, error) {
	keys := make([]uint32, len(names))
	loads := make([]wire.Load, len(names))
	items := make(map[string]Item, len(names))
	t := traceOf(ctx)
	lease, held := leasedSince(ctx)
	for i, name := range names {
		var err error
		if keys[i], err = keyOf(name); err != nil {
			return nil, err
		}
		number := d.number()
		t.loading(name, number)
		l := wire.Load{System: wire.Doppio, Key: keys[i], Held: held, Many: len(names) > 1, Lease: lease, Begin: wire.Now()}
		loads[i], items[name] = l, Item{Load: number, Apart: !l.Held, Body: body}
	}
	versions, err := d.origin.versions(ctx, keys...)
	if err != nil {
		return nil, err
	}
	now := wire.Now()
	for i, name := range names {
		item := items[name]
		item.Version, item.Loaded = versions[i], now
		items[name] = item
		loads[i].End = now
		d.notes.loaded(loads[i])
	}
	return items, nil
}

// number is that of a load.
func (d *doppio) number() uint64 {
	return uint64(d.id.Instance)<<48 | uint64(d.id.Life)<<40 | d.loads.Add(1)
}

// look is how a read asks.
type look int

const (
	plain  look = iota // as most callers do
	asking             // with Info, so that the source is known
	past               // past L1
	looks
)

func (d *doppio) read(ctx context.Context, key uint32, how look) (wire.Read, error) {
	ctx, _ = traced(ctx)
	var info tiered.Info
	opts := d.options(key)
	switch how {
	case asking:
		opts = append(opts, tiered.WithInfo(&info))
	case past:
		opts = append(opts, tiered.BypassL1())
	default:
	}
	item, err := d.of(key).GetOrLoad(ctx, nameOf(key), d.fetch, opts...)
	if err != nil {
		if ctx.Err() == nil {
			d.errors.Add(1)
		}
		return wire.Read{}, err
	}
	r := d.seen(key, item)
	r.Stale, r.Fresh = info.Stale, how == asking && !info.Stale
	switch info.Source {
	case tiered.SourceL1:
		r.Source = wire.Memory
	case tiered.SourceL2:
		r.Source = wire.Shared
	case tiered.SourceLoad:
		r.Source = wire.Origin
	default:
	}
	return r, nil
}

// options are those of all calls that read or set a key.
func (d *doppio) options(key uint32) (opts []tiered.Option) {
	if !d.plan.full() {
		return nil
	}
	if tag := d.plan.callTag(key); tag != "" {
		opts = append(opts, tiered.WithTags(tag))
	}
	return opts
}

func (d *doppio) seen(key uint32, item Item) wire.Read {
	_, unconfirmed := d.apart.Load(item.Load)
	return wire.Read{System: wire.Doppio, Key: key, Version: item.Version, Loaded: item.Loaded, Apart: item.Apart || unconfirmed}
}

// readMany reads keys with the same callTag in one call.
func (d *doppio) readMany(ctx context.Context, keys []uint32, way wire.Way) (reads []wire.Read) {
	ctx, _ = traced(ctx)
	var items map[string]Item
	var err error
	if way == wire.Held {
		items, err = d.of(keys[0]).GetMany(ctx, namesOf(keys))
	} else {
		items, err = d.of(keys[0]).GetOrLoadMany(ctx, namesOf(keys), d.fetchMany, d.options(keys[0])...)
	}
	if err != nil && ctx.Err() == nil && way != wire.Held { // GetMany: there is no Redis, as for Get
		d.errors.Add(uint64(len(keys) - len(items)))
	}
	for _, key := range keys {
		if item, ok := items[nameOf(key)]; ok {
			r := d.seen(key, item)
			if r.Way = way; way == wire.Held {
				r.Source = wire.Shared // or memory; there is no telling which
			}
			reads = append(reads, r)
		}
	}
	return reads
}

func nameOf(key uint32) string { return "k" + strconv.FormatUint(uint64(key), 10) }

func namesOf(keys []uint32) []string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = nameOf(key)
	}
	return names
}

func keyOf(name string) (uint32, error) {
	if name == "" {
		return 0, errors.New("no name")
	}
	n, err := strconv.ParseUint(name[1:], 10, 32)
	return uint32(n), err
}
