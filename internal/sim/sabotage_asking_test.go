package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/tiered"
)

// What must not be left out when a value is renewed: each of these is left out here,
// in a scenario that hangs on it, and must be missed.
func TestTheOracleNoticesWhatARenewalLeavesOut(t *testing.T) {
	for _, tt := range []struct {
		name      string
		guarantee string
		scenario  string
		sabotage  saboteur
	}{
		{"the lease", "G2", "an Expire while the origin is asked", withoutLease},
		{"the token of the value", "identity", "another value is there when the origin has answered", withoutToken},
		{"that there is a value", "G1b", "a value is gone before the origin is asked about it", withoutValue},
		{"the epoch", "G1b", "a value from before a failover is asked about", withoutEpoch},
		{"the tags", "tags", "a tag is invalidated while the origin is asked", oblivion{}},
		{"that it was invalidated", "G2", "a Delete while the origin is asked", &revival{content: make(map[string]string)}},
		{"the end of the life", "life", "what is unchanged is renewed, for everybody, and again", eternity{cmdRevalidate}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var w *world
			for _, sc := range askingScenarios {
				if sc.name != tt.scenario {
					continue
				}
				synctest.Test(t, func(t *testing.T) {
					w = sc.play(unheard{t}, tt.sabotage)
					w.end()
				})
			}
			found := make(map[string]int)
			for _, v := range w.oracle.violations {
				found[v.guarantee]++
			}
			if found[tt.guarantee] == 0 {
				t.Errorf("%s was not found violated; found: %v\n%s", tt.guarantee, found, w.log.trace("r:k1", time.Hour))
			}
		})
	}
}

// unheard is a test whose scenario may miss what it wants: it was broken.
type unheard struct{ testing.TB }

func (unheard) Errorf(string, ...any) {}

// amputation lets the server execute a renewal without a part of it.
type amputation struct{ what, by string }

var (
	withoutLease = amputation{"if get(KEYS[4]) ~= ARGV[1] then return {'refused', decimal(s)} end", ""}
	withoutToken = amputation{"or token(h) ~= ARGV[2]", ""}
	withoutEpoch = amputation{"math.max(clear, since)", "clear"}
	withoutValue = amputation{"return {'gone', decimal(s)}", "redis.call('UNLINK', KEYS[4]) return {'stored', decimal(s), decimal(now()), decimal(now() + tonumber(ARGV[4]))}"}
)

func (a amputation) before(_ *network, c *command) {
	if c.name == cmdRevalidate {
		c.rewrite(a.what, a.by)
	}
}

func (amputation) after(_ *network, _ *command, reply []byte) []byte { return reply }

// revival puts back what is to be renewed, and the lease for it, whatever has become
// of them.
type revival struct {
	mu      sync.Mutex
	content map[string]string // by the token under which it was stored
}

func (r *revival) before(n *network, c *command) {
	if c.name != cmdRevalidate {
		return
	}
	args := c.arguments()
	r.mu.Lock()
	defer r.mu.Unlock()
	if content := r.content[args[1]]; content != "" {
		name := valueName(c)
		_ = n.redis.Set(name, content)
		_ = n.redis.Set(strings.Replace(name, "}:v:", "}:l:", 1), args[0])
	}
}

func (r *revival) after(n *network, c *command, reply []byte) []byte {
	if c.name == cmdFill || c.name == cmdRevalidate {
		content, _ := n.redis.Get(valueName(c))
		r.mu.Lock()
		defer r.mu.Unlock()
		r.content[c.token] = content
	}
	return reply
}

// oblivion lets a value that is renewed be as new as it can be by its tags.
type oblivion struct{}

func (oblivion) before(*network, *command) {}

func (oblivion) after(net *network, c *command, reply []byte) []byte {
	name := valueName(c)
	content, err := net.redis.Get(name)
	if c.name != cmdRevalidate || err != nil || len(content) < 64 {
		return reply
	}
	e := []byte(content)
	at := 64
	at += 1 + int(e[at])
	at += 2 + int(binary.BigEndian.Uint16(e[at:]))
	tags := int(binary.BigEndian.Uint16(e[at:]))
	at += 2
	for range tags {
		n := int(binary.BigEndian.Uint16(e[at:]))
		tag := string(e[at+2 : at+2+n])
		at += 2 + n
		binary.BigEndian.PutUint64(e[at:], parseUint(net.sequence(keyspace.HashTag(tag))))
		at += 8
	}
	binary.BigEndian.PutUint64(e[56:], xxhash.Sum64(e[64:])^uint64(e[3]))
	ttl := net.redis.TTL(name)
	_ = net.redis.Set(name, string(e))
	net.redis.SetTTL(name, ttl)
	return reply
}

// obstinacy asks about what a load has brought last where there is nothing to ask
// about, and takes that for the answer if it is unchanged.
type obstinacy struct {
	cache
	mu   sync.Mutex
	last map[string]tiered.Entry[string]
}

func (*obstinacy) wraps(inner cache) cache {
	return &obstinacy{cache: inner, last: make(map[string]tiered.Entry[string])}
}

func (o *obstinacy) ask(ctx context.Context, region, key string, load asking, opts ...tiered.Option) (string, error) {
	return o.cache.ask(ctx, region, key, func(ctx context.Context, name string, prev tiered.Entry[string]) (string, tiered.Validator, error) {
		o.mu.Lock()
		last := o.last[region+":"+key]
		o.mu.Unlock()
		if prev.Validator != "" {
			return load(ctx, name, prev)
		}
		text, validator, err := load(ctx, name, last)
		if errors.Is(err, tiered.ErrUnchanged) {
			return last.Value, last.Validator, nil
		}
		if err == nil {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.last[region+":"+key] = tiered.Entry[string]{Value: text, Validator: validator}
		}
		return text, validator, err
	}, opts...)
}
