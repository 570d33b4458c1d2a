package l2

import (
	"context"
	"time"
)

// ExpireAll ends the lives of keys of any partitions, all under way at once. The
// values stay for keep, or until Redis would have dropped them, with a soft end
// that is over; negative entries do not. Otherwise it is [Store.InvalidateAll]:
// leases are taken away, it is counted and announced. It returns one outcome for
// each partition concerned.
func (s *Store) ExpireAll(ctx context.Context, keys []Key, keep time.Duration) []Invalidated {
	return s.guarded(ctx, keys, expireScript, []any{max(1, keep.Milliseconds())})
}
