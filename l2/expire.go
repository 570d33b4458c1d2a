package l2

import (
	"context"
	"time"
)

// Keep is for how long values stay whose lives [Store.ExpireAll] ends; 0: they do not.
type Keep struct {
	Values    time.Duration // to be served stale
	Validated time.Duration // those with a validator, to be asked about, if that is longer
}

// ExpireAll ends the lives of keys of any partitions, all under way at once. The
// values stay for as long as keep says, or until Redis would have dropped them, with a
// soft end that is over; negative entries do not. Otherwise it is
// [Store.InvalidateAll]: leases are taken away, it is counted and announced. It returns
// one outcome for each partition concerned.
func (s *Store) ExpireAll(ctx context.Context, keys []Key, keep Keep) []Invalidated {
	return s.guarded(ctx, keys, expireScript, []any{wholeMillis(keep.Values), wholeMillis(keep.Validated)})
}

// wholeMillis is d in ms, rounded up.
func wholeMillis(d time.Duration) int64 {
	return max(0, (d + time.Millisecond - 1).Milliseconds())
}
