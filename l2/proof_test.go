package l2_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/l2"
)

// commandHook is called around the single commands of one node.
type commandHook func(ctx context.Context, cmd redis.Cmder, next func() error) error

func (h commandHook) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h commandHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return h(ctx, cmd, func() error { return next(ctx, cmd) })
	}
}
func (h commandHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// The first call of all for many partitions of a Cluster waits until it is known of each
// primary that it takes writes. It asks all of them at once: one after the other would
// take the time of as many round trips as there are partitions.
func TestFirstCallOfManyPartitions(t *testing.T) {
	c := startCluster(t, 3)
	keys := manyKeys(300)
	for name, call := range map[string]func(s *l2.Store) []error{
		"Clear": func(s *l2.Store) (errs []error) {
			for _, o := range s.InvalidateRegion(t.Context(), "items") {
				errs = append(errs, o.Err)
			}
			return errs
		},
		"Delete": func(s *l2.Store) (errs []error) {
			for _, o := range s.InvalidateAll(t.Context(), keys) {
				errs = append(errs, o.Err)
			}
			return errs
		},
		"GetMany": func(s *l2.Store) (errs []error) {
			for _, got := range s.GetMany(t.Context(), keys) {
				errs = append(errs, got.Err)
			}
			return errs
		},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			all := make(chan struct{})
			client := c.client(t)
			client.OnNewNode(func(n *redis.Client) {
				n.AddHook(commandHook(func(ctx context.Context, cmd redis.Cmder, next func() error) error {
					if cmd.Name() == "unlink" {
						if asked.Add(1) == int64(layout.Partitions()) {
							close(all)
						}
						select {
						case <-all:
						case <-ctx.Done():
						}
					}
					return next()
				}))
			})
			s := newStore(t, client)
			for _, err := range call(s) {
				if err != nil {
					t.Fatalf("%v, after questions to %d of %d partitions", err, asked.Load(), layout.Partitions())
				}
			}
		})
	}

	// Nor does a primary that is silent keep the others from being asked.
	t.Run("one is silent", func(t *testing.T) {
		client := c.client(t, patientCluster)
		if err := client.ForEachMaster(t.Context(), func(ctx context.Context, n *redis.Client) error { return n.Ping(ctx).Err() }); err != nil {
			t.Fatal(err) // the client has to know who is there
		}
		// It asks any node for the list of commands, once: not the silent one.
		if err := client.Unlink(t.Context(), "none").Err(); err != nil {
			t.Fatal(err)
		}
		s := newStore(t, client, timeout(patience/10))
		dead, its, _ := c.divide(t, keys)
		silent := make(map[int]bool)
		for _, k := range its {
			silent[layout.Partition(k.Hash)] = true
		}
		c.nodes[dead].Pause()
		defer c.nodes[dead].Resume()
		for _, o := range s.InvalidateAll(t.Context(), keys) {
			if (o.Err != nil) != silent[o.Partition] {
				t.Errorf("partition %d, on the silent one: %v, error: %v", o.Partition, silent[o.Partition], o.Err)
			}
		}
	})
}
