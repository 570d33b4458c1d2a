package l2

import (
	"context"
	"time"
)

// Block invalidates keys of any partitions and keeps everybody from storing
// anything there for the given life, or until [Store.Unblock] with the same token:
// reads and get-or-leases are answered with [Blocked]. It is for the time in which
// a writer changes the origin. Where two writers meet, what blocks the key becomes
// nobody's, and only the end of its life ends it.
//
// It returns one outcome for each partition concerned, as
// [Store.InvalidateAll] does.
func (s *Store) Block(ctx context.Context, keys []Key, token Token, life time.Duration) []Invalidated {
	ms := max(1, life.Milliseconds())
	return s.guarded(ctx, keys, blockScript, []any{tombstoneOf(token), tombstoneOf(Token{}), ms})
}

// Unblock invalidates keys and ends what [Store.Block] has begun under the token;
// with a lag they stay blocked for that time, in one step.
func (s *Store) Unblock(ctx context.Context, keys []Key, token Token, lag time.Duration) []Invalidated {
	return s.guarded(ctx, keys, unblockScript, []any{tombstoneOf(token), tombstoneOf(Token{}), max(0, lag.Milliseconds())})
}

// guarded runs a script on all keys that takes first before the announcement.
func (s *Store) guarded(ctx context.Context, keys []Key, sc *script, first []any) []Invalidated {
	return s.onAll(ctx, keys, func(p int, keys []Key) job {
		names := make([]string, 1, 1+2*len(keys))
		names[0] = s.layout.Sequence(p)
		hashes := make([]uint64, len(keys))
		for i, k := range keys {
			names = append(names, s.layout.Value(p, k.Region, k.Name), s.layout.Lease(p, k.Region, k.Name))
			hashes[i] = k.Hash
		}
		args := append(sc.args(names, len(first)+4), first...)
		return job{lane: s.primary[p].urgent, script: sc, args: s.announcement(args, p, hashes)}
	})
}

// ofASet is the sequence in the tombstone of a Set. No partition ever counts so low.
const ofASet = 1

// tombstoneOfSet is the tombstone under which the owner of the token may fill.
func tombstoneOfSet(token Token) []byte {
	env, _ := appendEnvelope(make([]byte, 0, headerSize+7), &Value{Kind: Tombstone, Token: token, Seq: ofASet})
	return env
}

// tombstoneOf is the envelope of a tombstone. It has no times: the life of its
// key in Redis is its life.
func tombstoneOf(token Token) []byte {
	// The error is that something is too large, and there is nothing in it.
	env, _ := appendEnvelope(make([]byte, 0, headerSize+7), &Value{Kind: Tombstone, Token: token})
	return env
}
