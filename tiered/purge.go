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
	if !f.purges(out) {
		return
	}
	passed := f.node.fences.Passes(&out.stamp)
	_, err := f.node.invalidate(ctx, f.name, []keyspace.Key{f.key})
	f.purged(out, passed, err)
}

// purges reports whether a forced load has to be followed by an invalidation.
func (f *flight) purges(out *outcome) bool {
	loaded := out.source == SourceLoad && (out.err == nil || errors.Is(out.err, ErrAbsent))
	keptAlone := f.node.l2 == nil && out.expires != 0 // there are no other instances
	return loaded && !f.replaced && !keptAlone && !f.blocked
}

// purged corrects the outcome after that invalidation. passed says whether its
// stamp did before.
func (f *flight) purged(out *outcome, passed bool, err error) {
	if err != nil {
		f.warnOnce("a forced load could not invalidate what it replaces at once", "key", f.key.Name, "error", err)
	}
	out.mark, out.expires = fence.Mark{}, 0
	if passed {
		t0 := out.stamp.T0
		out.stamp = f.node.fences.Stamp(f.key.Hash)
		out.stamp.T0 = t0 // it does not make the load begin later
	}
}
