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

const region = "items"

// doppio is the library, with what it takes to judge it.
type doppio struct {
	origin origin
	node   *tiered.Node
	items  *tiered.Region[Item]
	load   func(context.Context, string) (Item, error)
	id     wire.ID
	loads  atomic.Uint64
	apart  sync.Map // numbers of loads whose fill was not confirmed
	notes  recorder // loads
	errors atomic.Uint64
	queue  pending
}

func openDoppio(ctx context.Context, s *wire.Settings, client *redis.Client, o origin) (*doppio, error) {
	d := &doppio{origin: o, id: s.ID}
	d.load = d.fetch // once, so that a hit allocates nothing
	var err error
	d.node, err = tiered.Open(ctx, tiered.Options{
		Redis:        client,
		Prefix:       "chaos",
		L1MaxBytes:   32 << 20,
		MaxStaleness: s.Bound,
		L2Timeout:    s.L2Timeout,
		Logger:       slog.New(slog.DiscardHandler),
		Observer:     observer{d},
	})
	if err != nil {
		return nil, err
	}
	d.items, err = tiered.New(d.node, tiered.Config[Item]{Name: region, TTL: s.TTL})
	return d, err
}

// fetch is the load function.
func (d *doppio) fetch(ctx context.Context, name string) (Item, error) {
	key, err := keyOf(name)
	if err != nil {
		return Item{}, err
	}
	number := uint64(d.id.Instance)<<48 | uint64(d.id.Life)<<40 | d.loads.Add(1)
	lease := traceOf(ctx).loading(number)
	l := wire.Load{System: wire.Doppio, Key: key, Held: lease != 0, Lease: lease, Begin: wire.Now()}
	v, err := d.origin.version(ctx, key)
	if err != nil {
		return Item{}, err
	}
	l.End = wire.Now()
	d.notes.loaded(l)
	return Item{Version: v, Load: number, Apart: lease == 0, Body: body}, nil
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
	ctx = context.WithValue(ctx, traceKey{}, new(trace))
	var info tiered.Info
	var opts []tiered.Option
	switch how {
	case asking:
		opts = append(opts, tiered.WithInfo(&info))
	case past:
		opts = append(opts, tiered.BypassL1())
	default:
	}
	item, err := d.items.GetOrLoad(ctx, nameOf(key), d.load, opts...)
	if err != nil {
		if ctx.Err() == nil {
			d.errors.Add(1)
		}
		return wire.Read{}, err
	}
	_, unconfirmed := d.apart.Load(item.Load)
	r := wire.Read{System: wire.Doppio, Key: key, Version: item.Version, Apart: item.Apart || unconfirmed}
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

func (d *doppio) invalidate(ctx context.Context, key uint32, version uint64) wire.Delete {
	del := wire.Delete{System: wire.Doppio, Key: key, Version: version}
	err := d.items.Delete(ctx, nameOf(key))
	var waits *tiered.PendingError
	switch {
	case err == nil:
		del.Confirmed = true
	case errors.As(err, &waits):
		del.Pending = true
		d.queue.add(del)
	}
	return del
}

// bulk invalidates many keys in one call.
func (d *doppio) bulk(ctx context.Context, names []string) error {
	return d.items.Delete(ctx, names...)
}

// pending are Deletes that the library has queued.
type pending struct {
	mu      sync.Mutex
	deletes []wire.Delete
}

func (p *pending) add(d wire.Delete) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deletes = append(p.deletes, d)
}

// confirmed returns what is known to be confirmed now. What has returned before
// the library's queue is seen to be empty has left the queue.
func (p *pending) confirmed(left func() int) []wire.Delete {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.deletes) == 0 || left() > 0 {
		return nil
	}
	done := p.deletes
	p.deletes = nil
	for i := range done {
		done[i].Pending, done[i].Confirmed = false, true
	}
	return done
}

func nameOf(key uint32) string { return "k" + strconv.FormatUint(uint64(key), 10) }

func keyOf(name string) (uint32, error) {
	n, err := strconv.ParseUint(name[1:], 10, 32)
	return uint32(n), err
}
