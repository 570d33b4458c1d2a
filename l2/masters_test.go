package l2_test

import (
	"context"
	"io"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/l2"
)

// askAll asks for the leases of keys.
func askAll(ctx context.Context, s *l2.Store, keys []l2.Key) []l2.Got {
	asked := make([]l2.Asked, len(keys))
	for i, k := range keys {
		asked[i] = l2.Asked{Key: k, Token: l2.NewToken()}
	}
	return s.GetOrLeaseMany(ctx, asked)
}

// ready waits until keys on all masters can be asked for.
func ready(t *testing.T, s *l2.Store, keys []l2.Key) {
	t.Helper()
	eventually(t, "all keys can be asked for", func() bool {
		for _, got := range s.GetMany(t.Context(), keys) {
			if got.Err != nil {
				return false
			}
		}
		return true
	})
}

// divide tells the keys of one master from all others, and names it.
func (c *cluster) divide(t *testing.T, keys []l2.Key) (node int, its, others []l2.Key) {
	t.Helper()
	node = c.node(t, keys[0])
	for _, k := range keys {
		if c.node(t, k) == node {
			its = append(its, k)
		} else {
			others = append(others, k)
		}
	}
	return node, its, others
}

// pipelineHook is called around the pipelines of one node.
type pipelineHook func(cmds []redis.Cmder, next func() error) error

func (h pipelineHook) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (h pipelineHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (h pipelineHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return h(cmds, func() error { return next(ctx, cmds) })
	}
}

func TestMastersHaveFatesOfTheirOwn(t *testing.T) {
	c := startCluster(t, 3)
	keys := manyKeys(120)
	_, its, _ := c.divide(t, keys)

	// Partitions alternate among the keys of a call. They share a round trip, and
	// each of them is told once that it has failed.
	t.Run("a failed round trip is one failure", func(t *testing.T) {
		for name, call := range map[string]func(*l2.Store) (failed int){
			"leases": func(s *l2.Store) (failed int) {
				for _, got := range askAll(t.Context(), s, its) {
					if got.Err != nil {
						failed++
					}
				}
				return failed
			},
			"begins": func(s *l2.Store) (failed int) {
				for _, got := range s.BeginMany(t.Context(), its, make([]l2.Token, len(its))) {
					if got.Err != nil {
						failed++
					}
				}
				return failed
			},
		} {
			t.Run(name, func(t *testing.T) {
				var fail atomic.Bool
				client := c.client(t, func(o *redis.ClusterOptions) { o.MaxRedirects = -1 })
				client.OnNewNode(func(n *redis.Client) {
					n.AddHook(pipelineHook(func(cmds []redis.Cmder, next func() error) error {
						if !fail.CompareAndSwap(true, false) {
							return next()
						}
						for _, cmd := range cmds {
							cmd.SetErr(io.ErrUnexpectedEOF)
						}
						return io.ErrUnexpectedEOF
					}))
				})
				s := newStore(t, client)
				ready(t, s, keys)
				call(s) // the server knows the script
				fail.Store(true)
				if failed := call(s); failed != len(its) {
					t.Errorf("%d of %d keys failed", failed, len(its))
				}
				for _, k := range its {
					if n := s.Failures(partition(k)); n != 1 {
						t.Fatalf("partition %d: %d failures, want 1", partition(k), n)
					}
				}
				if !s.Up() {
					t.Error("one failed round trip switched partitions off")
				}
			})
		}
	})
}
