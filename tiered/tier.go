package tiered

import (
	"context"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/invalidation"
	"github.com/doppio-cache/doppio/l2"
)

// sharedTier is what a node needs of L2. *l2.Store is the real one. (L1 is used
// as its concrete type: a call through an interface would cost a hit more than
// all its checks.)
type sharedTier interface {
	Get(ctx context.Context, k keyspace.Key) (l2.Reply, error)
	GetOrLease(ctx context.Context, k keyspace.Key, token, refuse l2.Token) (l2.Reply, error)
	Fill(ctx context.Context, lease l2.Lease, f l2.Fill) (l2.Filled, error)
	Revalidate(ctx context.Context, lease l2.Lease, r l2.Revalidation) (l2.Filled, error)
	Release(lease l2.Lease)
	Begin(ctx context.Context, k keyspace.Key, token l2.Token, tags ...l2.Tag) (l2.Lease, error)
	TagsMany(ctx context.Context, tags []keyspace.Key) []l2.GotTag
	GetMany(ctx context.Context, keys []keyspace.Key) []l2.Got
	GetOrLeaseMany(ctx context.Context, asked []l2.Asked) []l2.Got
	FillMany(ctx context.Context, fills []l2.Filling) []l2.Outcome
	BeginMany(ctx context.Context, keys []keyspace.Key, tokens []l2.Token, tags ...l2.Tag) []l2.Begun
	BeginLagging(ctx context.Context, keys []keyspace.Key, tokens []l2.Token, lag time.Duration) []l2.Begun
	InvalidateAll(ctx context.Context, keys []keyspace.Key) []l2.Invalidated
	ExpireAll(ctx context.Context, keys []keyspace.Key, keep l2.Keep) []l2.Invalidated
	Touch(k keyspace.Key, token l2.Token, idle, keep time.Duration)
	Block(ctx context.Context, keys []keyspace.Key, token l2.Token, life time.Duration) []l2.Invalidated
	Unblock(ctx context.Context, keys []keyspace.Key, token l2.Token, lag time.Duration) []l2.Invalidated
	InvalidateRegion(ctx context.Context, region string) []l2.Invalidated
	Tags(ctx context.Context, tags []keyspace.Key) ([]l2.TagState, error)
	Up() bool
	Stats() l2.Stats
	Close() error
}

// backplane is what a node needs to hear of, and to make certain of,
// invalidations. *invalidation.Backplane is the real one.
type backplane interface {
	Ready(ctx context.Context) error
	Err() error
	ServerAt(now int64) (micros int64, ok bool)
	ProbeNow()
	Epoch(p int) (seq uint64, at int64, ok bool)
	Enqueue(keys []keyspace.Key)
	EnqueuePartition(p int, regions []string)
	Pending(hash uint64) bool
	Acknowledged(p int, keys []keyspace.Key)
	AcknowledgedPartition(p int, regions []string)
	Drain(ctx context.Context) error
	Stats() invalidation.Stats
	Close() error
}

var (
	_ sharedTier = (*l2.Store)(nil)
	_ backplane  = (*invalidation.Backplane)(nil)
)
