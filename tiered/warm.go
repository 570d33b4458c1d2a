package tiered

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// Defaults of a [Warming].
const (
	DefaultWarmBatch       = 100
	DefaultWarmConcurrency = 4
)

// shownFailures is how many keys that have failed the error of a Warm names.
const shownFailures = 10

// warmPause is how long a Warm waits before it looks again whether Redis is back.
const warmPause = 50 * time.Millisecond

// Warming says how a region is preloaded. The zero value will do.
type Warming struct {
	// Batch is how many keys are read, and what is missing of them loaded, by one
	// call. Defaults to 100.
	Batch int
	// Concurrency is how many batches are under way at once, and so the most loads
	// that the origin gets from this call at once. Defaults to 4.
	Concurrency int
	// Progress is called after each batch, with the sums so far. It is called by
	// the goroutine that called Warm, so never twice at once, and nothing new is
	// begun until it returns: it should be quick. To give up, it may cancel the
	// context that Warm was called with. Defaults to none.
	Progress func(Warmed)
}

// validate names all problems at once.
func (w *Warming) validate() error {
	var errs []error
	if w.Batch < 0 {
		errs = append(errs, fmt.Errorf("Warming.Batch is negative (%d)", w.Batch))
	}
	if w.Concurrency < 0 {
		errs = append(errs, fmt.Errorf("Warming.Concurrency is negative (%d)", w.Concurrency))
	}
	return errors.Join(errs...)
}

// Warmed is what has become of the keys of a Warm. Keys is the sum of the others.
type Warmed struct {
	Keys   int // dealt with so far; one that comes twice in a batch counts once
	Hits   int // a tier had the value
	Loaded int // the value was loaded, by this call or by another one of this process that was waited for
	Absent int // there is no such thing: a tier knew, or a load has said so
	Stale  int // the load failed or is slow, and the value past its life stays, see Config.StaleFor
	Failed int // nothing is there, and Warm's error says why
}

func (w *Warmed) add(more Warmed) {
	w.Keys += more.Keys
	w.Hits += more.Hits
	w.Loaded += more.Loaded
	w.Absent += more.Absent
	w.Stale += more.Stale
	w.Failed += more.Failed
}

// Warm preloads the region: it reads the keys in batches, by
// [Region.GetOrLoadMany], and so puts into the tiers what they do not have. What
// another instance has loaded is a hit in Redis: instances that start together and
// warm the same keys load each of them once among them.
//
// There is no way to preload values that one has already. A value that was read
// before is older than an invalidation that has come since, and nothing could
// tell. What is loaded by load has a lease, and is discarded if its key, or one of
// its tags, is invalidated meanwhile.
//
// Keys are taken from the iterator in its order, on the calling goroutine, and no
// more than Batch times Concurrency ahead of what is done. (An iterator that
// blocks should watch ctx too; one that can fail should keep its error for its
// owner.) If it panics, so does Warm, after what was under way has ended.
//
// Before it begins, Warm waits until the node is [Node.Ready], and before each
// batch while Redis is out of use: what is loaded without it is for this instance
// alone, and for MaxStaleness. So give ctx a deadline. Warm ends when the iterator
// does; or when ctx does, with its error, or when the node is closed or shut down,
// with [ErrClosed]; and with what it has. Keys without an answer by then are not
// counted; their loads, where they have begun, go on as all loads do: there may be
// others who wait for them.
//
// Keys that fail stop nothing. The error then is a [*BatchError] of the first ten,
// and says how many there were. Nothing is tried again: call Warm once more, to
// which what is there is a hit.
//
// L1 takes what it has room for. When it is full, Ristretto admits a key only in
// the place of one that was not read more often lately, so that values which are
// being read stay, and most of what was preloaded beyond the room is in Redis
// only. (What Warm itself does counts as a read or two.) Preload the keys that
// matter, the most important ones first. When Warm returns, L1 has taken what it takes.
//
// Options are those of GetOrLoadMany: values get the tags and the life that are
// given here. Settings that make no sense are an [ErrInvalidOption], all of them at once.
func (r *Region[V]) Warm(ctx context.Context, keys iter.Seq[string], load func(ctx context.Context, keys []string) (map[string]V, error), w Warming, opts ...Option) (Warmed, error) {
	if r == nil {
		return Warmed{}, errNilRegion
	}
	u, err := newWarmup(ctx, r.core, w, opts, load != nil, keys != nil)
	if err != nil {
		return Warmed{}, err
	}
	return u.run(func(yield func(keyspace.Key) bool) {
		for key := range keys {
			if !yield(keyspace.Of(r.core.name, key)) {
				return
			}
		}
	}, func() manyLoad { return boxedMany(load) })
}

// Warm is [Region.Warm] with the bound functions. After [Bind], which has no load
// function for several keys, those of a batch are loaded sixteen at a time.
func (l *Loading[K, V]) Warm(ctx context.Context, keys iter.Seq[K], w Warming, opts ...Option) (Warmed, error) {
	if l == nil || l.region == nil {
		return Warmed{}, errNilRegion
	}
	if l.key == nil {
		return Warmed{}, errNilKey
	}
	if l.bad != nil {
		return Warmed{}, l.bad
	}
	u, err := newWarmup(ctx, l.region.core, w, opts, l.load != nil, keys != nil)
	if err != nil {
		return Warmed{}, err
	}
	ids := make(map[string]K) // of the batch that is being gathered
	return u.run(func(yield func(keyspace.Key) bool) {
		for id := range keys {
			k := keyspace.Of(u.name, l.key(id))
			ids[k.Name] = id
			if !yield(k) {
				return
			}
		}
	}, func() manyLoad {
		load := l.boxedMany(ids)
		ids = make(map[string]K)
		return load
	})
}
