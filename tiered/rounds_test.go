package tiered

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/l2"
)

// Rounds are of at most so many keys, and of so many bytes unless one value alone
// has more; together they are all keys, in order.
func TestRounds(t *testing.T) {
	sizes := func(bytes ...int) func(int) int { return func(i int) int { return bytes[i%len(bytes)] } }
	tests := []struct {
		name string
		n    int
		size func(int) int
		want string
	}{
		{"none", 0, nil, "[]"},
		{"one", 1, nil, "[1]"},
		{"just one round", roundKeys, nil, "[1024]"},
		{"one more", roundKeys + 1, nil, "[1024 1]"},
		{"several", 3*roundKeys - 1, sizes(10), "[1024 1024 1023]"},
		{"large values", 5, sizes(roundBytes / 2), "[2 2 1]"},
		{"values that are too large", 3, sizes(roundBytes + 1), "[1 1 1]"},
		{"a value that is too large among others", 4, sizes(1, 1, roundBytes+1, 1), "[2 1 1]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			next, rounds := 0, []int{}
			inRounds(tt.n, roundKeys, tt.size, func(from, to int) {
				if from != next {
					t.Errorf("a round begins at %d, want %d", from, next)
				}
				next = to
				rounds = append(rounds, to-from)
			})
			if got := fmt.Sprint(rounds); got != tt.want || next != tt.n {
				t.Errorf("rounds of %s keys up to %d, want %s", got, next, tt.want)
			}
		})
	}
}

// rounds notes how many keys each call is for that invalidates some.
type rounds struct {
	sharedTier
	keys []int
}

func (r *rounds) InvalidateAll(ctx context.Context, keys []keyspace.Key) []l2.Invalidated {
	r.keys = append(r.keys, len(keys))
	return r.sharedTier.InvalidateAll(ctx, keys)
}

func (r *rounds) ExpireAll(ctx context.Context, keys []keyspace.Key, keep l2.Keep) []l2.Invalidated {
	r.keys = append(r.keys, len(keys))
	return r.sharedTier.ExpireAll(ctx, keys, keep)
}

func (r *rounds) Block(ctx context.Context, keys []keyspace.Key, token l2.Token, life time.Duration) []l2.Invalidated {
	r.keys = append(r.keys, len(keys))
	return r.sharedTier.Block(ctx, keys, token, life)
}

func (r *rounds) Unblock(ctx context.Context, keys []keyspace.Key, token l2.Token, lag time.Duration) []l2.Invalidated {
	r.keys = append(r.keys, len(keys))
	return r.sharedTier.Unblock(ctx, keys, token, lag)
}

// What is to be invalidated goes in rounds, each of which has L2Timeout for itself. In
// one pipeline of everything the last answer would come too late: a Delete of a hundred
// thousand keys would not be confirmed, though nothing is wrong with Redis, and would
// overflow the queue, which voids whole partitions.
func TestVeryManyKeysAreInvalidatedInRounds(t *testing.T) {
	n, err := Open(t.Context(), Options{
		Redis: redistest.Real(t).Client(t), Prefix: "test", L1MaxBytes: 4 << 20, L2Timeout: 30 * time.Second,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	if err := n.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen := &rounds{sharedTier: n.l2}
	n.l2 = seen
	regions := make(map[string]*Region[int])
	for _, cfg := range []Config[int]{{Name: "plain"}, {Name: "stale", StaleFor: time.Minute}, {Name: "lagging", OriginLag: time.Minute}} {
		if regions[cfg.Name], err = New(n, cfg); err != nil {
			t.Fatal(err)
		}
	}
	const count = 2*roundGone + 1
	keys := make([]string, count)
	refs := make([]Ref, count)
	for i := range keys {
		keys[i] = strconv.Itoa(i)
		refs[i] = regions["plain"].Ref(keys[i])
	}
	each := []int{roundGone, roundGone, 1}
	nothing := func(context.Context) error { return nil }
	for name, tt := range map[string]struct {
		call func() error
		want []int
	}{
		"Region.Delete":  {func() error { return regions["plain"].Delete(t.Context(), keys...) }, each},
		"Node.Delete":    {func() error { return n.Delete(t.Context(), refs...) }, each},
		"OriginLag":      {func() error { return regions["lagging"].Delete(t.Context(), keys...) }, each},
		"Expire":         {func() error { return regions["stale"].Expire(t.Context(), keys...) }, each},
		"InvalidateTags": {func() error { return n.InvalidateTags(t.Context(), keys...) }, each},
		"Mutate":         {func() error { return regions["plain"].Mutate(t.Context(), keys, nothing) }, slices.Concat(each, each)},
	} {
		seen.keys = nil
		if err := tt.call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.Equal(seen.keys, tt.want) {
			t.Errorf("%s: rounds of %d keys, want %d", name, seen.keys, tt.want)
		}
	}
}
