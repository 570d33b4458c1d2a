package instance

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

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
			Redis: client, Prefix: "plain", Timeout: s.L2Timeout,
			TTL: func(name string) time.Duration {
				key, err := keyOf(name)
				if err != nil || key >= s.Regions.Keys() {
					return s.Regions[wire.Items].TTL
				}
				return s.Regions[s.Regions.Of(key)].TTL
			},
		}),
	}
}

func (p *simple) read(ctx context.Context, key uint32, _ look) (wire.Read, error) {
	a, err := p.cache.GetOrLoad(ctx, nameOf(key), func(ctx context.Context) (Item, error) {
		l := wire.Load{System: wire.Baseline, Key: key, Held: true, Begin: wire.Now()}
		l.Lease = l.Begin
		v, err := p.origin.versions(ctx, key)
		if err != nil {
			return Item{}, err
		}
		l.End = wire.Now()
		p.notes.loaded(l)
		return Item{Version: v[0], Loaded: l.End, Body: body}, nil
	})
	if err != nil {
		if ctx.Err() == nil {
			p.errors.Add(1)
		}
		return wire.Read{}, err
	}
	r := wire.Read{System: wire.Baseline, Key: key, Version: a.Value.Version, Loaded: a.Value.Loaded, Apart: a.Apart}
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

// invalidate does what a plain user does after a commit: delete each key, or set
// it. A set that fails has failed as a deletion.
func (p *simple) invalidate(ctx context.Context, c *change) []wire.Invalidation {
	if c.how != wire.Set {
		return c.outcome(wire.Baseline, p.cache.Delete(ctx, namesOf(c.keys)...))
	}
	var errs []error
	for i, key := range c.keys {
		errs = append(errs, p.cache.Set(ctx, nameOf(key), Item{Version: c.versions[i], Loaded: wire.Now(), Body: body}))
	}
	return c.outcome(wire.Baseline, errors.Join(errs...))
}

func (p *simple) bulk(ctx context.Context, names []string) error {
	return p.cache.Delete(ctx, names...)
}
