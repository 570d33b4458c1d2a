package instance

import (
	"context"
	"errors"
	"sync"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
	"github.com/doppio-cache/doppio/tiered"
)

// change is a commit that has been made, and how its keys are to be invalidated.
type change struct {
	how      wire.Write
	keys     []uint32
	versions []uint64
	tag      string // of how == Tags
}

// outcome is what becomes of the change by a call that returned err. Where some
// of the keys are pending, all count as such.
func (c *change) outcome(s wire.System, err error) []wire.Invalidation {
	var waits *tiered.PendingError
	pending := errors.As(err, &waits)
	done := make([]wire.Invalidation, len(c.keys))
	for i, key := range c.keys {
		done[i] = wire.Invalidation{System: s, How: c.how, Key: key, Version: c.versions[i], Confirmed: err == nil, Pending: pending}
	}
	return done
}

// invalidate does what follows the commit.
func (d *doppio) invalidate(ctx context.Context, c *change) []wire.Invalidation {
	region := d.of(c.keys[0])
	var err error
	switch c.how {
	case wire.Tags:
		err = d.node.InvalidateTags(ctx, c.tag)
	case wire.Clear:
		err = region.Clear(ctx)
	case wire.Expire:
		err = region.Expire(ctx, namesOf(c.keys)...)
	case wire.Set:
		return d.set(ctx, c)
	default:
		err = region.Delete(ctx, namesOf(c.keys)...)
	}
	return d.note(c.outcome(wire.Doppio, err))
}

// set stores what was committed.
func (d *doppio) set(ctx context.Context, c *change) []wire.Invalidation {
	values := make(map[string]Item, len(c.keys))
	for i, key := range c.keys {
		values[nameOf(key)] = Item{Version: c.versions[i], Load: d.number(), Loaded: wire.Now(), Body: body}
	}
	err := d.of(c.keys[0]).SetMany(ctx, values)
	failed := make(map[string]error)
	if batch, ok := errors.AsType[*tiered.BatchError](err); ok {
		failed = batch.Errs
	} else if err != nil {
		return nil // the node is closed
	}
	done := c.outcome(wire.Doppio, nil)
	for i, key := range c.keys {
		err := failed[nameOf(key)]
		if errors.Is(err, tiered.ErrClosed) {
			done[i].Confirmed = false
			continue
		}
		var waits *tiered.PendingError
		if errors.As(err, &waits) {
			done[i].Confirmed, done[i].Pending = false, true
		} // else: the old value is gone, whether the new one was stored or not
	}
	return d.note(done)
}

// mutate has write commit and return the change, in the middle of a Mutate of
// the keys. Where one of them is being mutated by this instance already, there is
// nothing done.
func (d *doppio) mutate(ctx context.Context, keys []uint32, write func(context.Context, wire.Tombstone) (*change, error)) (done []wire.Invalidation, ok bool) {
	for _, key := range keys {
		if _, taken := d.writing.LoadOrStore(key, nil); taken {
			return nil, false
		}
		defer d.writing.Delete(key)
	}
	var c *change
	names, began := namesOf(keys), wire.Now()
	err := d.of(keys[0]).Mutate(ctx, names, func(ctx context.Context) (err error) {
		c, err = write(ctx, d.stones.of(ctx, d.plan.regions.Of(keys[0]).String(), names, began))
		return err
	})
	if c == nil {
		return nil, true // nothing was committed, as far as is known here
	}
	return d.note(c.outcome(wire.Doppio, err)), true
}

// bulk invalidates many keys in one call.
func (d *doppio) bulk(ctx context.Context, names []string) error {
	return d.regions[wire.Items].Delete(ctx, names...)
}

// pending are invalidations that the library has queued.
type pending struct {
	mu     sync.Mutex
	queued []wire.Invalidation
}

// note takes those that are pending of some, and returns all.
func (d *doppio) note(done []wire.Invalidation) []wire.Invalidation {
	d.queue.mu.Lock()
	defer d.queue.mu.Unlock()
	for i := range done {
		if done[i].Pending {
			d.queue.queued = append(d.queue.queued, done[i])
		}
	}
	return done
}

// confirmed returns what is known to be confirmed now. What has returned before
// the library's queue is seen to be empty has left the queue.
func (p *pending) confirmed(left func() int) []wire.Invalidation {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queued) == 0 || left() > 0 {
		return nil
	}
	done := p.queued
	p.queued = nil
	for i := range done {
		done[i].Pending, done[i].Confirmed = false, true
	}
	return done
}
