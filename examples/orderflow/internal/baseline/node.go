package baseline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/regions"
)

// Options configure a [Node].
type Options struct {
	Redis      redis.UniversalClient
	Prefix     string
	L1MaxBytes int64
	L1TTL      time.Duration // cap on the life in memory; 0: the region's life
	Timeout    time.Duration // of a call to Redis
}

// Node is one process's part of the cache. It is safe for concurrent use.
type Node struct {
	opts   Options
	memory *ristretto.Cache[string, any]
	sub    *redis.PubSub
	done   sync.WaitGroup
	failed atomic.Uint64 // invalidations

	mu       sync.Mutex
	counters map[string]*counters
}

// counters of a region.
type counters struct {
	l1Hits, l1Misses, l2Hits, l2Misses, loads atomic.Uint64
}

// Counts is a snapshot of a region's counters.
type Counts struct {
	L1Hits, L1Misses, L2Hits, L2Misses, Loads uint64
}

// Open makes the memory tier and subscribes to invalidations. Call Close at the
// end.
func Open(ctx context.Context, opts Options) (*Node, error) {
	memory, err := ristretto.NewCache(&ristretto.Config[string, any]{
		NumCounters: 100_000,
		MaxCost:     opts.L1MaxBytes,
		BufferItems: 64,
	})
	if err != nil {
		return nil, fmt.Errorf("baseline: %w", err)
	}
	n := &Node{opts: opts, memory: memory, counters: make(map[string]*counters)}
	n.sub = opts.Redis.Subscribe(ctx, n.channel())
	if _, err := n.sub.Receive(ctx); err != nil {
		memory.Close()
		return nil, errors.Join(fmt.Errorf("baseline: subscribe: %w", err), n.sub.Close())
	}
	messages := n.sub.Channel()
	n.done.Go(func() {
		for m := range messages {
			for key := range strings.SplitSeq(m.Payload, "\n") {
				n.memory.Del(key)
			}
		}
	})
	return n, nil
}

// Close ends the subscription and drops the memory tier.
func (n *Node) Close() error {
	err := n.sub.Close()
	n.done.Wait()
	n.memory.Close()
	return err
}

// Counts returns the counters of all regions.
func (n *Node) Counts() map[string]Counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make(map[string]Counts, len(n.counters))
	for name, c := range n.counters {
		all[name] = Counts{
			L1Hits: c.l1Hits.Load(), L1Misses: c.l1Misses.Load(),
			L2Hits: c.l2Hits.Load(), L2Misses: c.l2Misses.Load(),
			Loads: c.loads.Load(),
		}
	}
	return all
}

// Delete removes values here and in Redis, and tells the other instances.
func (n *Node) Delete(ctx context.Context, entries ...regions.Entry) error {
	keys := make([]string, len(entries))
	for i, e := range entries {
		keys[i] = n.key(e.Region, e.Key)
		n.memory.Del(keys[i])
	}
	// Like Doppio, it does not let a client that hangs up stop it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.opts.Timeout)
	defer cancel()
	_, err := n.opts.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Del(ctx, keys...)
		p.Publish(ctx, n.channel(), strings.Join(keys, "\n"))
		return nil
	})
	// Once more: a read of this instance may have fetched the old value from
	// Redis just before the DEL.
	for _, key := range keys {
		n.memory.Del(key)
	}
	if err != nil {
		n.failed.Add(1)
		return fmt.Errorf("baseline: invalidate: %w", err)
	}
	return nil
}

// Failed is the number of calls of Delete that Redis has not confirmed.
func (n *Node) Failed() uint64 { return n.failed.Load() }

func (n *Node) channel() string { return n.opts.Prefix + ":invalidations" }

func (n *Node) key(region, key string) string { return n.opts.Prefix + ":" + region + ":" + key }

// region returns the counters of a region, which it declares.
func (n *Node) region(name string) *counters {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, ok := n.counters[name]
	if !ok {
		c = new(counters)
		n.counters[name] = c
	}
	return c
}
