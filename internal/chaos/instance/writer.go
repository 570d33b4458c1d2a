package instance

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
	"github.com/doppio-cache/doppio/tiered"
)

// writer changes keys, in both systems at once, and one after the other.
type writer struct {
	*process
	*choice
	notes *recorder
}

// each calls do again and again until ctx ends or do says so, but while the
// controller wants quiet.
func (p *process) each(ctx context.Context, every time.Duration, do func(context.Context) error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if p.quiet.Load() {
			continue
		}
		if err := do(ctx); err != nil {
			return // the controller is gone, or this is the end
		}
	}
}

// anything is one change of the mix.
func (w *writer) anything(ctx context.Context) error {
	if !w.plan.full() {
		return w.change(ctx, wire.Delete, w.of(wire.Items))
	}
	kinds := [...]wire.Kind{wire.Items, wire.Items, wire.Items, wire.Items, wire.Lives, wire.Cleared}
	k := kinds[w.IntN(len(kinds))]
	if w.risky.Load() {
		return w.mutate(ctx, w.evenly(k, 2))
	}
	switch n := w.IntN(100); {
	case n < 20:
		return w.mutate(ctx, w.evenly(k, 2))
	case n < 30:
		return w.invalidateTag(ctx, w.of(k))
	case n < 40:
		return w.change(ctx, wire.DeleteMany, w.several(k, 4)...)
	case n < 60 && k == wire.Lives:
		return w.change(ctx, wire.Expire, w.several(k, 2)...)
	case n < 80 && k == wire.Lives:
		return w.refresh(ctx, w.several(k, 2))
	default:
		return w.change(ctx, wire.Delete, w.of(k))
	}
}

// owners is one change of keys that this instance owns: nobody else changes them,
// so that what is set is never older than what was committed.
func (w *writer) owners(ctx context.Context) error {
	keys := w.owned(w.settings.ID.Instance, 6)
	if len(keys) == 0 {
		return nil
	}
	switch n := w.IntN(10); {
	case n < 6:
		return w.change(ctx, wire.Set, keys...)
	case n < 8:
		return w.change(ctx, wire.DeleteMany, keys...)
	default:
		return w.invalidateTag(ctx, keys[0])
	}
}

// clear changes all keys of the small region, and clears it.
func (w *writer) clear(ctx context.Context) error {
	first := w.plan.regions.First(wire.Cleared)
	var keys []uint32
	for i := range w.plan.regions[wire.Cleared].Keys {
		keys = append(keys, first+i)
	}
	return w.change(ctx, wire.Clear, keys...)
}

// invalidateTag changes all keys that have a tag of a key's.
func (w *writer) invalidateTag(ctx context.Context, key uint32) error {
	c := &change{how: wire.Tags, tag: w.plan.valueTag(key), keys: w.plan.valueTagged(key)}
	if tag := w.plan.callTag(key); tag != "" && w.IntN(2) == 0 {
		c.tag, c.keys = tag, w.plan.shelf(key)
	}
	return w.commit(ctx, c)
}

func (w *writer) change(ctx context.Context, how wire.Write, keys ...uint32) error {
	return w.commit(ctx, &change{how: how, keys: keys})
}

// commit makes the change, and then invalidates.
func (w *writer) commit(ctx context.Context, c *change) (err error) {
	if c.versions, err = w.origin.commit(ctx, wire.Commit{Keys: c.keys}); err != nil {
		return err
	}
	var both sync.WaitGroup
	for _, system := range []cache{w.doppio, w.simple} {
		both.Go(func() { w.notes.invalidated(system.invalidate(ctx, c)) })
	}
	both.Wait()
	return nil
}

// mutate makes a change in the middle of a Mutate. For the baseline it is a
// write and a deletion.
func (w *writer) mutate(ctx context.Context, keys []uint32) error {
	number, err := w.origin.intend(ctx, keys)
	if err != nil {
		return err
	}
	defer w.notes.ended(number)
	var baseline sync.WaitGroup
	done, ok := w.doppio.mutate(ctx, keys, func(writing context.Context, stone wire.Tombstone) (*change, error) {
		w.pause(writing)
		if err := writing.Err(); err != nil {
			return nil, err
		}
		versions, err := w.origin.commit(writing, wire.Commit{Keys: keys, Tombstone: stone})
		if err != nil {
			return nil, err
		}
		w.pause(writing)
		c := &change{how: wire.Mutate, keys: keys, versions: versions}
		baseline.Go(func() { w.notes.invalidated(w.simple.invalidate(ctx, c)) })
		return c, nil
	})
	w.notes.invalidated(done)
	baseline.Wait()
	if !ok {
		return w.change(ctx, wire.DeleteMany, keys...)
	}
	return ctx.Err()
}

// pause is a part of the time that a transaction takes.
func (w *writer) pause(ctx context.Context) {
	d := 3 * time.Millisecond
	if w.risky.Load() || w.IntN(8) == 0 {
		d = 150 * time.Millisecond
	}
	t := time.NewTimer(rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// refresh loads keys anew. The baseline has nothing like it.
func (w *writer) refresh(ctx context.Context, keys []uint32) error {
	number, err := w.origin.intend(ctx, keys) // a load whose value is not stored invalidates
	if err != nil {
		return err
	}
	defer w.notes.ended(number)
	ctx, _ = traced(ctx)
	d := w.doppio
	for _, key := range keys {
		if opts := d.options(key); len(opts) > 0 { // Refresh takes none, and the value must have its tags
			_, _ = d.of(key).GetOrLoad(ctx, nameOf(key), d.fetch, append(opts, tiered.ForceLoad())...)
			continue
		}
		_ = d.of(key).Refresh(ctx, d.fetch, nameOf(key)) // if it fails, what is cached stays
	}
	return ctx.Err()
}
