package tiered

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// gatherer makes one load for several keys of loads for one key that come within
// a short time of each other.
type gatherer[K comparable, V any] struct {
	region   *region
	load     func(context.Context, []K) (map[K]V, error)
	maxWait  time.Duration
	maxBatch int

	mu   sync.Mutex
	open *gathering[K, V] // takes further keys; nil: none does
}

// gathering is one of its loads.
type gathering[K comparable, V any] struct {
	ctx   context.Context // of the first that came; for its values
	timer *time.Timer

	keys    []K                // each once, as they came; guarded by gatherer.mu
	wanted  map[K]int          // how many wait for each; guarded by gatherer.mu
	waiting int                // who waits; guarded by gatherer.mu
	cancel  context.CancelFunc // guarded by gatherer.mu; nil: not begun

	done   chan struct{}
	values map[K]V // these are set before done is closed
	err    error
	raised *raised
}

// one loads a key, among others. A caller whose context ends leaves; when all
// have, the load's context ends too.
func (g *gatherer[K, V]) one(ctx context.Context, k K, name string) (V, error) {
	b := g.join(ctx, k)
	select {
	case <-b.done:
	case <-ctx.Done():
		g.leave(b, k)
		var zero V
		return zero, ctx.Err()
	}
	if b.raised != nil {
		var zero V
		return zero, b.raised
	}
	return valueOf(b.values, b.err, k, name)
}

// join adds a key to the load that is being gathered. The one that makes it full
// sends it off, and otherwise the timer does.
func (g *gatherer[K, V]) join(ctx context.Context, k K) *gathering[K, V] {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.open
	if b == nil {
		b = &gathering[K, V]{ctx: context.WithoutCancel(ctx), wanted: make(map[K]int), done: make(chan struct{})}
		b.timer = time.AfterFunc(g.maxWait, func() { g.run(b) })
		g.open = b
	}
	b.waiting++
	if b.wanted[k]++; b.wanted[k] == 1 {
		b.keys = append(b.keys, k)
	}
	if len(b.keys) >= g.maxBatch {
		g.open = nil
		b.timer.Reset(0)
	}
	return b
}

// leave takes a caller off. A key that nobody waits for any more is not loaded, if
// that has not begun.
func (g *gatherer[K, V]) leave(b *gathering[K, V], k K) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b.waiting--
	if b.wanted[k]--; b.wanted[k] == 0 && b.cancel == nil {
		b.keys = slices.DeleteFunc(b.keys, func(other K) bool { return other == k })
	}
	switch {
	case b.waiting > 0:
	case b.cancel != nil:
		b.cancel()
	case g.open == b: // those who come next wait for their own time
		g.open = nil
		b.timer.Stop()
	}
}

// begin closes the gathering and returns its keys and the context of its load;
// false: nobody waits for it any more.
func (g *gatherer[K, V]) begin(b *gathering[K, V]) (ctx context.Context, keys []K, wanted bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == b {
		g.open = nil
	}
	if b.cancel != nil || b.waiting == 0 {
		return nil, nil, false
	}
	ctx, b.cancel = context.WithTimeoutCause(b.ctx, g.region.loadTimeout, ErrLoadTimeout)
	return ctx, b.keys, true
}

// run calls the load function. It is called by the timer, in a goroutine of its
// own, which ends when the function does.
func (g *gatherer[K, V]) run(b *gathering[K, V]) {
	ctx, keys, wanted := g.begin(b)
	if !wanted {
		return
	}
	defer b.cancel()
	returned := false
	defer func() {
		if !returned {
			b.raised = raisedBy(recover())
		}
		close(b.done)
	}()
	asked := slices.Clone(keys) // keys is the caller's
	b.values, b.err = g.load(ctx, keys)
	b.err = loadError(b.err)
	found := 0
	for _, k := range asked {
		if _, ok := b.values[k]; ok {
			found++
		}
	}
	g.region.checkSuperfluous(len(asked), len(b.values)-found)
	if b.err != nil && errors.Is(context.Cause(ctx), ErrLoadTimeout) {
		// It may be noticed here before it is by those who wait.
		b.err = fmt.Errorf("%w after %v: %w", ErrLoadTimeout, g.region.loadTimeout, b.err)
	}
	returned = true
}
