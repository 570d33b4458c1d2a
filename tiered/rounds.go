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

// The steps of a batch, in rounds. What they return is as the store returns it.

func (n *Node) getMany(ctx context.Context, keys []keyspace.Key) []l2.Got {
	if len(keys) <= roundReads {
		return n.l2.GetMany(ctx, keys)
	}
	got := make([]l2.Got, 0, len(keys))
	inRounds(len(keys), roundReads, nil, func(from, to int) { got = append(got, n.l2.GetMany(ctx, keys[from:to])...) })
	return got
}

func (n *Node) tagsMany(ctx context.Context, tags []keyspace.Key) []l2.GotTag {
	got := make([]l2.GotTag, 0, len(tags))
	inRounds(len(tags), roundReads, nil, func(from, to int) { got = append(got, n.l2.TagsMany(ctx, tags[from:to])...) })
	return got
}

func (n *Node) getOrLeaseMany(ctx context.Context, asked []l2.Asked) []l2.Got {
	got := make([]l2.Got, 0, len(asked))
	inRounds(len(asked), roundKeys, nil, func(from, to int) { got = append(got, n.l2.GetOrLeaseMany(ctx, asked[from:to])...) })
	return got
}

func (n *Node) fillMany(ctx context.Context, fills []l2.Filling) []l2.Outcome {
	got := make([]l2.Outcome, 0, len(fills))
	size := func(i int) int { return len(fills[i].Fill.Payload) }
	inRounds(len(fills), roundKeys, size, func(from, to int) { got = append(got, n.l2.FillMany(ctx, fills[from:to])...) })
	return got
}

func (n *Node) beginMany(ctx context.Context, keys []keyspace.Key, tokens []l2.Token) []l2.Begun {
	got := make([]l2.Begun, 0, len(keys))
	inRounds(len(keys), roundKeys, nil, func(from, to int) { got = append(got, n.l2.BeginMany(ctx, keys[from:to], tokens[from:to])...) })
	return got
}

func (n *Node) beginLagging(ctx context.Context, keys []keyspace.Key, tokens []l2.Token, lag time.Duration) []l2.Begun {
	got := make([]l2.Begun, 0, len(keys))
	inRounds(len(keys), roundKeys, nil, func(from, to int) {
		got = append(got, n.l2.BeginLagging(ctx, keys[from:to], tokens[from:to], lag)...)
	})
	return got
}
