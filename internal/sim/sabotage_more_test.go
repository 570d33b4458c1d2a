package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// have gives the world's regions traits.
func (w *world) have(t traits) {
	w.plan.settings.traits = [2]traits{t, t}
	for _, key := range w.keys {
		w.declare(key)
	}
}

// named are the names in Redis among the arguments of a command.
func (c *command) named(marker string) (names []string) {
	for _, name := range c.args {
		if strings.Contains(name, marker) {
			names = append(names, name)
		}
	}
	return names
}

// amnesia undoes what a command has done to the names with a marker.
type amnesia struct {
	marker, command string

	mu   sync.Mutex
	were map[string]string
}

func (a *amnesia) before(n *network, c *command) {
	if c.name != a.command {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range c.named(a.marker) {
		a.were[name], _ = n.redis.Get(name)
	}
}

func (a *amnesia) after(n *network, c *command, reply []byte) []byte {
	if c.name != a.command {
		return reply
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range c.named(a.marker) {
		if was := a.were[name]; was != "" && a.command != cmdBlock {
			_ = n.redis.Set(name, was)
		} else if a.marker != "}:t:" {
			n.redis.Del(name)
		}
	}
	return reply
}

// eternity lets values live on, by the times that they carry and by those that
// Redis knows, after a command.
type eternity struct{ command string }

func (eternity) before(*network, *command) {}

func (e eternity) after(n *network, c *command, reply []byte) []byte {
	name := valueName(c)
	content, err := n.redis.Get(name)
	if c.name != e.command || err != nil || len(content) < 24 {
		return reply
	}
	envelope := []byte(content)
	end := binary.BigEndian.Uint64(envelope[16:24]) // of its life, in µs
	binary.BigEndian.PutUint64(envelope[16:24], end+uint64(time.Hour.Microseconds()))
	_ = n.redis.Set(name, string(envelope))
	n.redis.SetTTL(name, time.Hour)
	return reply
}

// confusion stores what was filled under the names of other keys, too.
type confusion struct{}

func (confusion) before(*network, *command) {}

func (confusion) after(n *network, c *command, reply []byte) []byte {
	name := valueName(c)
	if content, err := n.redis.Get(name); c.name == cmdFill && err == nil && strings.HasSuffix(name, "r:k1") {
		_ = n.redis.Set(strings.TrimSuffix(name, "1")+"2", content)
	}
	return reply
}

// wrapper is a cache that changes what another one answers.
type wrapper interface {
	cache
	wraps(inner cache) cache
}

// openWith opens nodes whose cache is wrapped; each wraps its own.
func openWith(wrap wrapper) func(ctx context.Context, n *node, s settings) (cache, error) {
	return func(ctx context.Context, n *node, s settings) (cache, error) {
		inner, err := openReal(ctx, n, s)
		if err != nil {
			return nil, err
		}
		return wrap.wraps(inner), nil
	}
}

// indulgence answers with what was answered last where a load fails, as stale as
// it may be.
type indulgence struct {
	cache
	mu   sync.Mutex
	last map[string]string
}

func (*indulgence) wraps(inner cache) cache {
	return &indulgence{cache: inner, last: make(map[string]string)}
}

func (i *indulgence) read(ctx context.Context, region, key string, load func(context.Context, string) (string, error), opts ...tiered.Option) (string, error) {
	text, err := i.cache.read(ctx, region, key, load, opts...)
	i.mu.Lock()
	defer i.mu.Unlock()
	if id := region + ":" + key; err == nil {
		i.last[id] = text
	} else if errors.Is(err, errOrigin) && i.last[id] != "" {
		return i.last[id], nil
	}
	return text, err
}

// grudge answers with an error of a key for three seconds.
type grudge struct {
	cache
	mu    sync.Mutex
	errs  map[string]error
	since map[string]time.Time
}

func (*grudge) wraps(inner cache) cache {
	return &grudge{cache: inner, errs: make(map[string]error), since: make(map[string]time.Time)}
}

func (g *grudge) read(ctx context.Context, region, key string, load func(context.Context, string) (string, error), opts ...tiered.Option) (string, error) {
	text, err := g.cache.read(ctx, region, key, load, opts...)
	g.mu.Lock()
	defer g.mu.Unlock()
	id := region + ":" + key
	if errors.Is(err, errOrigin) && g.errs[id] == nil {
		g.errs[id], g.since[id] = err, time.Now()
	}
	switch {
	case time.Since(g.since[id]) > 3*time.Second:
		delete(g.errs, id)
	case err == nil && load != nil && g.errs[id] != nil:
		return "", g.errs[id]
	}
	return text, err
}
