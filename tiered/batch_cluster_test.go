package tiered_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/tiered"
)

// A master of a Cluster that refuses writes, while leases are taken, while values
// are stored, or at the beginning of a SetMany, concerns its own keys alone.
func TestMasterThatFailsConcernsItsOwnKeysOfABatch(t *testing.T) {
	const masters, prefix, partitions = 3, "test", 32
	addrs := startCluster(t, masters)
	failing := redis.NewClient(&redis.Options{Addr: addrs[0]})
	t.Cleanup(func() { failing.Close() })
	refuse := func(replicas string) {
		if err := failing.ConfigSet(t.Context(), "min-replicas-to-write", replicas).Err(); err != nil {
			t.Fatal(err)
		}
	}
	layout, err := keyspace.New(prefix, partitions)
	if err != nil {
		t.Fatal(err)
	}
	// keys are new ones, and which of them the master has that fails.
	keys := func(phase string) (all, its []string) {
		for _, name := range manyNames(100) {
			k := keyspace.Of("items", phase+name)
			all = append(all, k.Name)
			slot, err := failing.ClusterKeySlot(t.Context(), layout.Sequence(layout.Partition(k.Hash))).Result()
			if err != nil {
				t.Fatal(err)
			}
			if slot < 16384/masters {
				its = append(its, k.Name)
			}
		}
		if len(its) == 0 || len(its) == len(all) {
			t.Fatalf("%d of %d keys are on one master", len(its), len(all))
		}
		return all, its
	}
	node := func() (*tiered.Node, *tiered.Region[string]) {
		c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, DisableIdentity: true, MaxRedirects: -1})
		t.Cleanup(func() { c.Close() })
		n := open(t, tiered.Options{Redis: c, Prefix: prefix, Partitions: partitions, MaxStaleness: time.Minute, L2Timeout: patience})
		ready(t, n)
		return n, region(t, n, tiered.Config[string]{Name: "items", Jitter: -1})
	}
	stored := func(t *testing.T, all, its []string) {
		t.Helper()
		refuse("0")
		_, late := node()
		got, err := late.GetMany(t.Context(), all)
		if err != nil {
			t.Error(err)
		}
		found := slices.Sorted(maps.Keys(got))
		want := slices.DeleteFunc(slices.Sorted(slices.Values(all)), func(k string) bool { return slices.Contains(its, k) })
		if !slices.Equal(found, want) {
			t.Errorf("%d keys are stored, want the %d of the other masters", len(found), len(want))
		}
	}
	for _, step := range []string{"lease", "fill"} {
		t.Run(step, func(t *testing.T) {
			_, r := node()
			all, its := keys(step)
			if step == "lease" {
				refuse("1")
			}
			tb := newTable(all...)
			got, err := r.GetOrLoadMany(t.Context(), all, func(ctx context.Context, keys []string) (map[string]string, error) {
				refuse("1")
				return tb.load(ctx, keys)
			})
			wantMany(t, got, err, all...)
			tb.loaded(t, slices.Sorted(slices.Values(all)))
			if n := r.Stats().Unstored; n != uint64(len(its)) {
				t.Errorf("%d values count as not stored, want %d", n, len(its))
			}
			stored(t, all, its)
		})
	}
	t.Run("begin", func(t *testing.T) {
		_, r := node()
		all, its := keys("begin")
		values := make(map[string]string)
		for _, k := range all {
			values[k] = "v" + k
		}
		refuse("1")
		err := r.SetMany(t.Context(), values)
		var pending *tiered.PendingError
		if got := failures(t, err).Keys(); !slices.Equal(got, slices.Sorted(slices.Values(its))) || !errors.As(err, &pending) {
			t.Errorf("%d keys failed, want the %d of the master: %v", len(got), len(its), err)
		}
		stored(t, all, its)
	})
}
