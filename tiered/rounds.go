package tiered

import (
	"context"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l2"
)

// A step of a batch is cut into rounds, one after the other, each of which has
// Options.L2Timeout for itself. In one pipeline of everything the last answer would
// come too late where there are many: then nothing is protected by a lease, nothing
// is stored, and whoever else asks Redis meanwhile waits too.
const (
	roundReads = 8192    // keys of a round that reads; the store cuts it by size
	roundKeys  = 1024    // keys of a round that runs a script for each
	roundGone  = 8192    // keys of a round that invalidates them; the store runs a script for some of a partition
	roundBytes = 4 << 20 // of values to be stored in one, unless it is one value
)

// inRounds calls do for parts of n keys, of most keys each; size is how many bytes one takes, nil:
// hardly any.
func inRounds(n, most int, size func(i int) int, do func(from, to int)) {
	for from := 0; from < n; {
		to, bytes := from, 0
		for to < n && to-from < most {
			if size != nil {
				if bytes += size(to); bytes > roundBytes && to > from {
					break
				}
			}
			to++
		}
		do(from, to)
		from = to
	}
}

// collect is inRounds for questions, with the answers of all rounds.
func collect[R any](n, most int, size func(i int) int, ask func(from, to int) []R) []R {
	if 0 < n && n <= most && size == nil {
		return ask(0, n)
	}
	got := make([]R, 0, n)
	inRounds(n, most, size, func(from, to int) { got = append(got, ask(from, to)...) })
	return got
}

// The steps of a batch, in rounds. What they return is as the store returns it.

func (n *Node) getMany(ctx context.Context, keys []keyspace.Key) []l2.Got {
	return collect(len(keys), roundReads, nil, func(from, to int) []l2.Got { return n.l2.GetMany(ctx, keys[from:to]) })
}

func (n *Node) tagsMany(ctx context.Context, tags []keyspace.Key) []l2.GotTag {
	return collect(len(tags), roundReads, nil, func(from, to int) []l2.GotTag { return n.l2.TagsMany(ctx, tags[from:to]) })
}

func (n *Node) getOrLeaseMany(ctx context.Context, asked []l2.Asked) []l2.Got {
	return collect(len(asked), roundKeys, nil, func(from, to int) []l2.Got { return n.l2.GetOrLeaseMany(ctx, asked[from:to]) })
}

// invalidateMany asks for the invalidation of keys. A partition has an outcome for each
// round that has keys of it.
func invalidateMany(keys []keyspace.Key, ask func([]keyspace.Key) []l2.Invalidated) []l2.Invalidated {
	return collect(len(keys), roundGone, nil, func(from, to int) []l2.Invalidated { return ask(keys[from:to]) })
}

func (n *Node) fillMany(ctx context.Context, fills []l2.Filling) []l2.Outcome {
	size := func(i int) int { return len(fills[i].Fill.Payload) }
	return collect(len(fills), roundKeys, size, func(from, to int) []l2.Outcome { return n.l2.FillMany(ctx, fills[from:to]) })
}

// beginMany makes the values' tags known in the first round, before any of the keys
// is invalidated; those beyond what may be asked for in one are left to the fill.
func (n *Node) beginMany(ctx context.Context, keys []keyspace.Key, tokens []l2.Token, tags []l2.Tag) []l2.Begun {
	tags = tags[:min(len(tags), roundReads)]
	return collect(len(keys), roundKeys, nil, func(from, to int) []l2.Begun {
		if from > 0 {
			tags = nil
		}
		return n.l2.BeginMany(ctx, keys[from:to], tokens[from:to], tags...)
	})
}

func (n *Node) beginLagging(ctx context.Context, keys []keyspace.Key, tokens []l2.Token, lag time.Duration) []l2.Begun {
	return collect(len(keys), roundKeys, nil, func(from, to int) []l2.Begun {
		return n.l2.BeginLagging(ctx, keys[from:to], tokens[from:to], lag)
	})
}
