package l2_test

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

// patientCluster makes a client that waits for an answer for ever.
func patientCluster(o *redis.ClusterOptions) {
	o.ReadTimeout, o.WriteTimeout, o.PoolTimeout, o.MaxRedirects, o.PoolSize = -1, -1, never, -1, 100
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
	node, its, others := c.divide(t, keys)

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
				var fail, failed atomic.Bool
				counted := make(chan struct{})
				defer close(counted)
				client := c.client(t, func(o *redis.ClusterOptions) { o.MaxRedirects = -1 })
				client.OnNewNode(func(n *redis.Client) {
					n.AddHook(pipelineHook(func(cmds []redis.Cmder, next func() error) error {
						if !fail.CompareAndSwap(true, false) {
							if failed.Load() {
								<-counted // leases are released, and a success ends the count
							}
							return next()
						}
						failed.Store(true)
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

	// Its caller leaves, and one master never answers. What the others answer,
	// before or after that, is no failure, and their requests, which serve other
	// calls by then, are not looked at.
	t.Run("a call that was given up counts against the silent master only", func(t *testing.T) {
		for name, leavesFirst := range map[string]bool{"its caller leaves before the others answer": true, "afterwards": false} {
			t.Run(name, func(t *testing.T) {
				var hold atomic.Pointer[chan struct{}]
				var held atomic.Int32
				client := c.client(t, patientCluster)
				client.OnNewNode(func(n *redis.Client) {
					silent := n.Options().Addr == c.nodes[node].Addr()
					n.AddHook(pipelineHook(func(_ []redis.Cmder, next func() error) error {
						if release := hold.Load(); release != nil && !silent {
							held.Add(1)
							<-*release
							defer held.Add(-1)
						}
						return next()
					}))
				})
				s := newStore(t, client, timeout(time.Second))
				ready(t, s, keys)
				s.InvalidateAll(t.Context(), keys) // the servers know the script
				c.nodes[node].Pause()
				defer c.nodes[node].Resume()
				release := make(chan struct{})
				hold.Store(&release)
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				done := make(chan struct{})
				go func() {
					defer close(done)
					s.InvalidateAll(ctx, keys)
				}()
				eventually(t, "the others are asked", func() bool { return held.Load() == 2 })
				if leavesFirst {
					leave()
					<-done
				}
				hold.Store(nil)
				close(release)
				eventually(t, "the others have answered", func() bool { return held.Load() == 0 })
				for range 20 {
					c.admin[(node+1)%3].Ping(t.Context()) // time for the call to take the answers
				}
				leave()
				// Nothing here waits for the call in between: that would order its use of the
				// requests before that of the watch, and hide from the race detector that
				// nothing else does.
				eventually(t, "the silent master is found out", func() bool { return s.Stats().Stuck > 0 })
				<-done
				for _, k := range others {
					if n := s.Failures(partition(k)); n != 0 {
						t.Fatalf("partition %d of a master that answers: %d failures", partition(k), n)
					}
				}
				for _, k := range its {
					if n := s.Failures(partition(k)); n != 1 {
						t.Fatalf("partition %d of the silent master: %d failures, want 1", partition(k), n)
					}
				}
			})
		}
	})

	t.Run("as many calls to a silent master as are under way at once hold up no others", func(t *testing.T) {
		s := newStore(t, c.client(t, patientCluster))
		ready(t, s, keys)
		s.InvalidateAll(t.Context(), keys) // the servers know the script
		c.nodes[node].Pause()
		defer c.nodes[node].Resume()
		const calls = 2 * l2.BulkWidth
		var returned atomic.Int32
		var wg sync.WaitGroup
		defer wg.Wait()
		defer c.nodes[node].Resume()
		for range calls {
			wg.Go(func() {
				s.GetMany(t.Context(), its)
				returned.Add(1)
			})
			wg.Go(func() {
				s.InvalidateAll(t.Context(), its)
				returned.Add(1)
			})
		}
		eventually(t, "all wait for the silent master", func() bool { return s.BulkTrips() == 2*l2.BulkWidth })
		for range 3 {
			for i, got := range s.GetMany(t.Context(), others) {
				if got.Err != nil {
					t.Fatalf("%s: %v", others[i].Name, got.Err)
				}
			}
			for _, o := range s.InvalidateAll(t.Context(), others) {
				if o.Err != nil {
					t.Fatalf("partition %d: %v", o.Partition, o.Err)
				}
			}
		}
		if n := returned.Load(); n != 0 {
			t.Errorf("%d calls to the silent master had to return first", n)
		}
	})
}
