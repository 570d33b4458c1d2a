package tiered

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l2"
)

// aloneAtOnce is how many keys of a SetMany are set by themselves at once, where
// there is no step that they could take together.
const aloneAtOnce = 64

// setMany stores values, and returns an error for each.
func (r *region) setMany(ctx context.Context, keys []keyspace.Key, vs []any, c call) []error {
	errs := make([]error, len(keys))
	if !r.usesL2() {
		r.setEach(ctx, keys, vs, c, errs)
		return errs
	}
	if !r.node.gate.enter() {
		for i := range errs {
			errs[i] = ErrClosed
		}
		return errs
	}
	defer r.node.gate.leave()
	tagged := r.snapshotForSet(ctx, c)
	var writes []*write
	var dropped []keyspace.Key // not to be cached, so that it is a Delete
	var at, droppedAt []int
	for i, k := range keys {
		w, err := r.write(k, vs[i], c, tagged)
		switch {
		case err != nil:
			errs[i] = err
		case w.life <= 0:
			dropped, droppedAt = append(dropped, k), append(droppedAt, i)
		default:
			writes, at = append(writes, &w), append(at, i)
		}
	}
	for n, err := range r.dropMany(ctx, dropped) {
		errs[droppedAt[n]] = err
	}
	for n, err := range r.setManyL2(ctx, writes) {
		errs[at[n]] = err
	}
	return errs
}

// setManyL2 is setL2 for several keys.
func (r *region) setManyL2(ctx context.Context, writes []*write) []error {
	errs := make([]error, len(writes))
	if len(writes) == 0 {
		return errs
	}
	for _, w := range writes {
		r.beforeBegin(w)
	}
	var fills []l2.Filling
	var at []int
	begun := r.beginMany(ctx, writes)
	ended := false
	defer func() {
		if !ended { // they would be renewed for ever
			r.giveUpBegun(begun)
		}
	}()
	for i, got := range begun {
		w := writes[i]
		fill, ok, err := r.begun(w, got.Lease, got.Err)
		if errs[i] = err; ok {
			fills, at = append(fills, l2.Filling{Lease: w.lease, Fill: fill}), append(at, i)
		}
	}
	if len(fills) == 0 {
		ended = true
		return errs
	}
	filled := r.fillMany(ctx, only(writes), fills)
	ended = true // FillMany has given up those that it could not fill
	for n, got := range filled {
		i := at[n]
		errs[i] = r.stored(writes[i], got.Filled, got.Err)
	}
	return errs
}

// only is the key if there is one, for the observer.
func only(writes []*write) string {
	if len(writes) == 1 {
		return writes[0].key.Name
	}
	return ""
}

func (r *region) beginMany(ctx context.Context, writes []*write) []l2.Begun {
	keys := make([]keyspace.Key, len(writes))
	tokens := make([]l2.Token, len(writes))
	for i, w := range writes {
		keys[i], tokens[i] = w.key, l2.NewToken()
	}
	ctx, watched := r.begins(ctx, Operation{Kind: OpL2Set, Key: only(writes), Keys: len(writes)})
	begun := r.begin(ctx, keys, tokens, tagsOf(writes))
	var failed error
	for i := range begun {
		if begun[i].Err != nil {
			failed = begun[i].Err
		}
	}
	watched.endOr(func() { r.giveUpBegun(begun) }, failed)
	return begun
}

// tagsOf are the tags of values that are to be set, each once.
func tagsOf(writes []*write) (tags []l2.Tag) {
	seen := make(map[string]bool)
	for _, w := range writes {
		for _, t := range w.stamps {
			if !seen[t.Name] {
				seen[t.Name] = true
				tags = append(tags, t)
			}
		}
	}
	return tags
}

// dropMany invalidates keys, and returns an error for each: those that are
// pending have failed, or all of them.
func (r *region) dropMany(ctx context.Context, keys []keyspace.Key) []error {
	errs := make([]error, len(keys))
	if len(keys) == 0 {
		return errs
	}
	_, err := r.node.invalidate(ctx, r.name, keys)
	if err == nil {
		return errs
	}
	var pending *PendingError
	queued := make(map[string]bool)
	if errors.As(err, &pending) {
		for _, ref := range pending.Refs {
			queued[ref.key] = true
		}
	}
	for i, k := range keys {
		if pending == nil || queued[k.Name] {
			errs[i] = err
		}
	}
	return errs
}

// errExited is the error of a key of which a function of the configuration has
// ended its goroutine.
var errExited = errors.New("a function of the region's Config called runtime.Goexit")

// setEach sets keys by themselves, some at once, each in a goroutine of its own:
// a function of the configuration may end it.
func (r *region) setEach(ctx context.Context, keys []keyspace.Key, vs []any, c call, errs []error) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, aloneAtOnce)
	panics := make(chan any, len(keys))
	for i, k := range keys {
		slots <- struct{}{}
		wg.Go(func() {
			errs[i] = fmt.Errorf("doppio: set %s:%s: %w", r.name, k.Name, errExited)
			defer func() {
				if p := recover(); p != nil {
					panics <- p
				}
				<-slots
			}()
			errs[i] = r.set(ctx, k, vs[i], c)
		})
	}
	wg.Wait()
	select {
	case p := <-panics: // of a function of the configuration, as in Set
		panic(p) //nolint:forbidigo // the caller's own, on its own goroutine
	default:
	}
}
