package instance

import (
	"context"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/chaos/baseline"
	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// simple is the baseline.
type simple struct {
	origin origin
	cache  *baseline.Cache[Item]
	notes  recorder // loads
	errors atomic.Uint64
}

func openSimple(ctx context.Context, s *wire.Settings, client *redis.Client, o origin) *simple {
	return &simple{
		origin: o,
		cache: baseline.Open[Item](ctx, baseline.Options{
			Redis: client, Prefix: "plain", TTL: s.TTL, Timeout: s.L2Timeout,
		}),
	}
}

func (p *simple) read(ctx context.Context, key uint32, _ look) (wire.Read, error) {
	a, err := p.cache.GetOrLoad(ctx, nameOf(key), func(ctx context.Context) (Item, error) {
		l := wire.Load{System: wire.Baseline, Key: key, Held: true, Begin: wire.Now()}
		l.Lease = l.Begin
		v, err := p.origin.version(ctx, key)
		l.End = wire.Now()
		p.notes.loaded(l)
		return Item{Version: v, Body: body}, err
	})
	if err != nil {
		if ctx.Err() == nil {
			p.errors.Add(1)
		}
		return wire.Read{}, err
	}
	r := wire.Read{System: wire.Baseline, Key: key, Version: a.Value.Version, Apart: a.Apart}
	switch a.Source {
	case baseline.Memory:
		r.Source = wire.Memory
	case baseline.Redis:
		r.Source = wire.Shared
	case baseline.Loaded:
		r.Source = wire.Origin
	}
	return r, nil
}

func (p *simple) invalidate(ctx context.Context, key uint32, version uint64) wire.Delete {
	err := p.cache.Delete(ctx, nameOf(key))
	return wire.Delete{System: wire.Baseline, Key: key, Version: version, Confirmed: err == nil}
}

func (p *simple) bulk(ctx context.Context, names []string) error {
	return p.cache.Delete(ctx, names...)
}
