package tiered

import (
	"context"
	"errors"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
)

// purge ends a forced load whose value no shared tier has taken: what is cached
// must not outlive it, on any instance. Our own invalidation is no reason to
// discard what was loaded before it, but one that was heard before is.
func (f *flight) purge(ctx context.Context, out *outcome) {
	loaded := out.source == SourceLoad && (out.err == nil || errors.Is(out.err, ErrAbsent))
	keptAlone := f.node.l2 == nil && out.expires != 0 // there are no other instances
	if !loaded || f.replaced || keptAlone || f.blocked {
		return
	}
	fences := f.node.fences
	passed, t0 := fences.Passes(&out.stamp), out.stamp.T0
	if _, err := f.node.invalidate(ctx, f.name, []keyspace.Key{f.key}); err != nil {
		f.warnOnce("a forced load could not invalidate what it replaces at once", "key", f.key.Name, "error", err)
	}
	out.mark, out.expires = fence.Mark{}, 0
	if passed {
		out.stamp = fences.Stamp(f.key.Hash)
		out.stamp.T0 = t0 // it does not make the load begin later
	}
}
