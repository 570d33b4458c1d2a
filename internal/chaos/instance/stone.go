package instance

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
	"github.com/doppio-cache/doppio/internal/keyspace"
)

// Where the library keeps its values.
const (
	prefix     = "chaos"
	partitions = 32
)

// stones looks for tombstones in Redis: no part of the library's API tells
// whether a Mutate could place its own, and where it could not it is no more than
// a write and a Delete.
type stones struct {
	client *redis.Client
	layout *keyspace.Layout
}

func newStones(client *redis.Client) (*stones, error) {
	layout, err := keyspace.New(prefix, partitions)
	return &stones{client, layout}, err
}

// of is what protects all of the keys of a region, if each got a tombstone after
// a moment. Nobody else on this instance may place one; that another's took the
// place of one that could not be placed would take a Redis that was out of reach
// in between, which this would be too.
func (s *stones) of(ctx context.Context, region string, names []string, since int64) wire.Tombstone {
	all := wire.Tombstone{Since: since}
	lives, sizes := make([]*redis.DurationCmd, len(names)), make([]*redis.IntCmd, len(names))
	asked := wire.Now()
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, name := range names {
			key := s.layout.Value(s.layout.Partition(keyspace.Hash(region, name)), region, name)
			lives[i], sizes[i] = p.PTTL(ctx, key), p.StrLen(ctx, key)
		}
		return nil
	})
	if err != nil {
		return wire.Tombstone{}
	}
	answered := wire.Now()
	for i := range names {
		left := int64(lives[i].Val())
		sure, ends := asked+left, answered+left+int64(time.Millisecond)
		// One that was there before ends earlier. A value is larger, for its body.
		if sizes[i].Val() == 0 || sizes[i].Val() >= int64(len(body)) || ends < since+int64(wire.TombstoneLife) {
			return wire.Tombstone{}
		}
		if i == 0 || sure < all.Sure {
			all.Sure = sure
		}
		all.Ends = max(all.Ends, ends)
	}
	return all
}
