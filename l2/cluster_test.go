package l2_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/l2"
)

const slots = 16384

// cluster is a Redis Cluster of masters only.
type cluster struct {
	nodes []*redistest.Server
	admin []*redis.Client // of each node alone
}

// startCluster starts a Cluster and shares out the slots evenly, in order.
func startCluster(t *testing.T, masters int) *cluster {
	t.Helper()
	redistest.Require(t)
	c := &cluster{}
	var buses []int
	for range masters {
		// The bus would be at the port plus 10000, which may be none.
		bus := freePort(t)
		n := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus),
			"--cluster-node-timeout", "5000", "--cluster-require-full-coverage", "no")
		c.nodes, c.admin, buses = append(c.nodes, n), append(c.admin, n.Client(t)), append(buses, bus)
	}
	for i, a := range c.admin {
		do(t, a, "CLUSTER", "ADDSLOTSRANGE", i*slots/masters, (i+1)*slots/masters-1)
		do(t, a, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i > 0 {
			do(t, c.admin[0], "CLUSTER", "MEET", "127.0.0.1", c.nodes[i].Port(), buses[i])
		}
	}
	eventually(t, "the cluster is up", func() bool {
		for _, a := range c.admin {
			info := a.ClusterInfo(t.Context()).Val()
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_slots_ok:16384") {
				return false
			}
		}
		return true
	})
	return c
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (c *cluster) client(t *testing.T, change ...func(*redis.ClusterOptions)) *redis.ClusterClient {
	t.Helper()
	o := &redis.ClusterOptions{DisableIdentity: true}
	for _, n := range c.nodes {
		o.Addrs = append(o.Addrs, n.Addr())
	}
	for _, f := range change {
		f(o)
	}
	cc := redis.NewClusterClient(o)
	t.Cleanup(func() { cc.Close() })
	return cc
}

// node is the index of the master that has a key's partition.
func (c *cluster) node(t *testing.T, k l2.Key) int {
	t.Helper()
	slot := c.admin[0].ClusterKeySlot(t.Context(), sequenceName(k)).Val()
	return int(slot) * len(c.nodes) / slots
}

func TestCluster(t *testing.T) {
	c := startCluster(t, 3)
	keys := manyKeys(64)
	used := make(map[int]bool)
	for _, k := range keys {
		used[c.node(t, k)] = true
	}
	if len(used) != 3 {
		t.Fatalf("the partitions are on %d masters, the test needs all", len(used))
	}

	t.Run("values, leases and invalidations", func(t *testing.T) {
		s := newStore(t, c.client(t))
		for _, k := range keys {
			put(t, s, k, k.Name)
		}
		for _, k := range keys {
			wantHit(t, s, k, k.Name)
		}
		for _, o := range s.InvalidateAll(t.Context(), keys) {
			if o.Err != nil {
				t.Errorf("partition %d: %v", o.Partition, o.Err)
			}
		}
		for _, k := range keys {
			wantMiss(t, s, k)
			l, err := s.Begin(t.Context(), k, l2.NewToken())
			if err != nil {
				t.Fatal(err)
			}
			fill(t, s, l, "set")
			wantHit(t, s, k, "set")
		}
		for p := range partitions {
			if _, err := s.InvalidatePartition(t.Context(), p, []string{"products"}); err != nil {
				t.Error(err)
			}
		}
		for _, k := range keys {
			wantMiss(t, s, k)
		}
	})

	t.Run("many readers at once", func(t *testing.T) {
		s := newStore(t, c.client(t))
		for _, k := range keys {
			put(t, s, k, k.Name)
		}
		done := make(chan error, 8*len(keys))
		for range 8 {
			for _, k := range keys {
				go func() {
					r, err := s.Get(t.Context(), k)
					if err == nil && string(r.Value.Payload) != k.Name {
						err = fmt.Errorf("%s: got %v %q", k.Name, r.Status, r.Value.Payload)
					}
					done <- err
				}()
			}
		}
		for range cap(done) {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})

	t.Run("a script unknown to one master", func(t *testing.T) {
		s := newStore(t, c.client(t))
		for _, a := range c.admin {
			do(t, a, "SCRIPT", "FLUSH")
			for _, o := range s.InvalidateAll(t.Context(), keys) {
				if o.Err != nil {
					t.Errorf("partition %d: %v", o.Partition, o.Err)
				}
			}
		}
		if n := s.Stats().Scripts; n == 0 {
			t.Error("no script was sent in full")
		}
	})

	t.Run("a script unknown to all but a master that hangs", func(t *testing.T) {
		s := newStore(t, c.client(t, func(o *redis.ClusterOptions) { o.ReadTimeout = -1 }))
		for _, o := range s.InvalidateAll(t.Context(), keys) { // connections are made
			if o.Err != nil {
				t.Fatal(o.Err)
			}
		}
		hangs := c.node(t, apple)
		before := make(map[string]*redis.Client) // what the others have counted, and who
		for _, k := range keys {
			if n := c.node(t, k); n != hangs {
				before[sequenceName(k)+" "+c.admin[n].Get(t.Context(), sequenceName(k)).Val()] = c.admin[n]
			}
		}
		for i, a := range c.admin {
			if i != hangs {
				do(t, a, "SCRIPT", "FLUSH")
			}
		}
		c.nodes[hangs].Pause()
		defer c.nodes[hangs].Resume()
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.InvalidateAll(t.Context(), keys)
		}()
		eventually(t, "the others have invalidated their keys, though one hangs", func() bool {
			for was, a := range before {
				name, count, _ := strings.Cut(was, " ")
				if a.Get(t.Context(), name).Val() == count {
					return false
				}
			}
			return true
		})
		select {
		case <-done:
			t.Error("the call did not wait for the master that hangs")
		default:
		}
		c.nodes[hangs].Resume()
		<-done
	})

	t.Run("announcements reach every node", func(t *testing.T) {
		s := newStore(t, c.client(t))
		for i, a := range c.admin {
			sub := a.Subscribe(t.Context(), layout.Channel())
			if _, err := sub.Receive(t.Context()); err != nil {
				t.Fatal(err)
			}
			var seqs []uint64
			for _, k := range keys[:8] {
				seqs = append(seqs, invalidate(t, s, k))
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			for len(seqs) > 0 { // earlier ones may still come from other nodes
				m, err := sub.ReceiveMessage(ctx)
				if err != nil {
					t.Fatalf("node %d has not announced %d: %v", i, seqs, err)
				}
				seq := announced(t, m.Payload).seq
				seqs = slices.DeleteFunc(seqs, func(want uint64) bool { return want == seq })
			}
			cancel()
			sub.Close()
		}
	})

	t.Run("a slot that moves", func(t *testing.T) {
		s := newStore(t, c.client(t))
		put(t, s, apple, "x")
		from := c.node(t, apple)
		to := (from + 1) % 3
		move(t, c, sequenceName(apple), from, to)
		invalidate(t, s, apple)
		put(t, s, apple, "y")
		wantHit(t, s, apple, "y")
		move(t, c, sequenceName(apple), to, from)
		wantHit(t, s, apple, "y")
	})

	t.Run("a dead master does not switch off the others", func(t *testing.T) {
		s := newStore(t, c.client(t, func(o *redis.ClusterOptions) {
			o.ReadTimeout, o.WriteTimeout, o.DialTimeout, o.MaxRedirects = 500*time.Millisecond, 500*time.Millisecond, 500*time.Millisecond, -1
		}), timeout(300*time.Millisecond))
		for _, k := range keys {
			putPatiently(t, s, k, k.Name)
		}
		dead := c.node(t, apple)
		c.nodes[dead].Pause()
		eventually(t, "its partitions are known to be down", func() bool {
			down := true
			for _, k := range keys {
				if _, err := s.Get(t.Context(), k); c.node(t, k) == dead {
					down = down && errors.Is(err, l2.ErrUnavailable)
				}
			}
			return down && !s.Up()
		})
		for _, k := range keys {
			if c.node(t, k) != dead {
				eventually(t, "another master answers", func() bool {
					r, err := s.Get(t.Context(), k)
					return err == nil && r.Status == l2.Hit
				})
			}
		}
		c.nodes[dead].Resume()
		eventually(t, "all is up again", s.Up)
		eventually(t, "everything is there", func() bool {
			for _, k := range keys {
				if r, err := s.Get(t.Context(), k); err != nil || r.Status != l2.Hit {
					return false
				}
			}
			return true
		})
	})
}

// move gives the slot of a key to another master, with all that is in it.
func move(t *testing.T, c *cluster, key string, from, to int) {
	t.Helper()
	slot := c.admin[0].ClusterKeySlot(t.Context(), key).Val()
	id := func(i int) string { return c.admin[i].Do(t.Context(), "CLUSTER", "MYID").Val().(string) }
	do(t, c.admin[to], "CLUSTER", "SETSLOT", slot, "IMPORTING", id(from))
	do(t, c.admin[from], "CLUSTER", "SETSLOT", slot, "MIGRATING", id(to))
	for _, k := range c.admin[from].ClusterGetKeysInSlot(t.Context(), int(slot), 1000).Val() {
		do(t, c.admin[from], "MIGRATE", "127.0.0.1", c.nodes[to].Port(), k, 0, 5000)
	}
	for i := range c.admin {
		do(t, c.admin[i], "CLUSTER", "SETSLOT", slot, "NODE", id(to))
	}
}
