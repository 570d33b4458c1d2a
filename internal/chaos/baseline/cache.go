package baseline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"
)

// Source is where a value came from.
type Source int

// Sources of a value.
const (
	Memory Source = iota
	Redis
	Loaded
)

// Options configure a [Cache].
type Options struct {
	Redis   *redis.Client
	Prefix  string
	TTL     func(key string) time.Duration // in both tiers
	Timeout time.Duration                  // of a call of Redis
}

// Cache is one process's part of the cache, for values of type V.
type Cache[V any] struct {
	opts   Options
	sub    *redis.PubSub
	done   sync.WaitGroup
	group  singleflight.Group
	hits   atomic.Uint64
	misses atomic.Uint64

	mu     sync.RWMutex
	memory map[string]entry[V]
}

type entry[V any] struct {
	value V
	apart bool // Redis was out of use when it was loaded, or did not confirm that it stored it
	ends  time.Time
}

// Answer is a value and where it came from.
type Answer[V any] struct {
	Value  V
	Source Source
	Apart  bool // loaded without Redis, or not confirmed by it
}

// Open subscribes to invalidations. Close ends that.
func Open[V any](ctx context.Context, opts Options) *Cache[V] {
	c := &Cache[V]{opts: opts, memory: make(map[string]entry[V])}
	c.sub = opts.Redis.Subscribe(ctx, c.channel())
	messages := c.sub.Channel()
	c.done.Go(func() {
		for m := range messages {
			c.drop(strings.Split(m.Payload, "\n"))
		}
	})
	return c
}

// Close ends the subscription. It does not close the Redis client.
func (c *Cache[V]) Close() error {
	err := c.sub.Close()
	c.done.Wait()
	return err
}

// Counts returns how many reads the memory has answered, and how many not.
func (c *Cache[V]) Counts() (hits, misses uint64) { return c.hits.Load(), c.misses.Load() }

// GetOrLoad returns the value from memory, from Redis, or from load.
func (c *Cache[V]) GetOrLoad(ctx context.Context, key string, load func(context.Context) (V, error)) (Answer[V], error) {
	full := c.key(key)
	c.mu.RLock()
	e, ok := c.memory[full]
	c.mu.RUnlock()
	if ok && time.Now().Before(e.ends) {
		c.hits.Add(1)
		return Answer[V]{e.value, Memory, e.apart}, nil
	}
	c.misses.Add(1)
	shared := context.WithoutCancel(ctx) // the flight serves others too
	v, err, _ := c.group.Do(full, func() (any, error) { return c.fetch(shared, key, load) })
	if err != nil {
		return Answer[V]{}, err
	}
	return v.(Answer[V]), nil
}

func (c *Cache[V]) fetch(ctx context.Context, key string, load func(context.Context) (V, error)) (Answer[V], error) {
	v, err := c.read(ctx, c.key(key))
	if err == nil {
		c.keep(key, v, false)
		return Answer[V]{v, Redis, false}, nil
	}
	apart := !errors.Is(err, redis.Nil)
	if v, err = load(ctx); err != nil {
		return Answer[V]{}, err
	}
	if !apart {
		apart = c.store(ctx, key, v) != nil
	}
	c.keep(key, v, apart)
	return Answer[V]{v, Loaded, apart}, nil
}

func (c *Cache[V]) read(ctx context.Context, full string) (v V, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	data, err := c.opts.Redis.Get(ctx, full).Bytes()
	if err != nil {
		return v, err
	}
	return v, json.Unmarshal(data, &v)
}

func (c *Cache[V]) store(ctx context.Context, key string, v V) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	return c.opts.Redis.Set(ctx, c.key(key), data, c.opts.TTL(key)).Err()
}

func (c *Cache[V]) keep(key string, v V, apart bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.memory[c.key(key)] = entry[V]{v, apart, time.Now().Add(c.opts.TTL(key))}
}

// Delete removes values here and in Redis, and tells the other instances. An
// error says that Redis has not confirmed; nobody will repeat it.
func (c *Cache[V]) Delete(ctx context.Context, keys ...string) error {
	full := make([]string, len(keys))
	for i, k := range keys {
		full[i] = c.key(k)
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	_, err := c.opts.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Del(ctx, full...)
		p.Publish(ctx, c.channel(), strings.Join(full, "\n"))
		return nil
	})
	c.drop(full)
	if err != nil {
		return fmt.Errorf("baseline: invalidate: %w", err)
	}
	return nil
}

// Set stores a value here and in Redis, and tells the other instances to drop
// theirs. An error says that Redis has not confirmed; nobody will repeat it.
func (c *Cache[V]) Set(ctx context.Context, key string, v V) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	_, err = c.opts.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, c.key(key), data, c.opts.TTL(key))
		p.Publish(ctx, c.channel(), c.key(key))
		return nil
	})
	c.keep(key, v, err != nil)
	if err != nil {
		return fmt.Errorf("baseline: set: %w", err)
	}
	return nil
}

func (c *Cache[V]) drop(full []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range full {
		delete(c.memory, k)
	}
}

func (c *Cache[V]) channel() string { return c.opts.Prefix + ":invalidations" }

func (c *Cache[V]) key(k string) string { return c.opts.Prefix + ":" + k }
