package sim

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/invalidation"
	"github.com/doppio-cache/doppio/tiered"
)

// An oracle that never finds anything proves nothing. Here one thing that a
// guarantee stands on is broken at a time, and that guarantee must be found
// violated.
func TestTheOracleNoticesWhatIsBroken(t *testing.T) {
	for _, tt := range []struct {
		name      string
		guarantee string
		prepare   func(w *world)
	}{
		{"messages are lost, and probes answered from memory", "G1b", func(w *world) {
			w.plan.messages = none
			w.net.taps.sabotage = &deafness{answers: make(map[string][]byte)}
		}},
		{"an invalidation leaves the value in Redis", "G1a", func(w *world) {
			w.net.taps.sabotage = &resurrection{values: make(map[string]string)}
		}},
		{"a fill needs no lease", "G2", func(w *world) { w.net.taps.sabotage = permission{} }},
		{"everybody is given the lease", "G4", func(w *world) { w.net.taps.sabotage = generosity{} }},
		{"Redis answers with what it had before", "G3", func(w *world) {
			w.net.taps.sabotage = &nostalgia{first: make(map[string]string)}
		}},
		{"a cache that believes what it hears, and hears most of it", "G1b", func(w *world) {
			w.plan.rates.drop, w.plan.quiet, w.plan.writes = 0.5, false, 0.05
			w.open = openNaive
		}},
		{"an invalidation of a tag leaves no trace", "tags", func(w *world) {
			w.have(traits{tags: true})
			w.net.taps.sabotage = &amnesia{were: make(map[string]string), marker: "}:t:", command: cmdInvalidate}
		}},
		{"a Clear leaves no trace", "G1a", func(w *world) {
			w.have(traits{tags: true})
			w.net.taps.sabotage = &amnesia{were: make(map[string]string), marker: "}:c:", command: cmdInvalidatePart}
		}},
		{"an Expire leaves the value as it was", "Expire", func(w *world) {
			w.have(traits{stale: time.Minute, ttl: time.Minute})
			w.net.taps.sabotage = &amnesia{were: make(map[string]string), marker: "}:v:", command: cmdExpire}
		}},
		{"a Mutate leaves no tombstone", "Mutate", func(w *world) {
			w.have(traits{mutates: true, writing: 2 * time.Second})
			w.net.taps.sabotage = &amnesia{were: make(map[string]string), marker: "}:v:", command: cmdBlock}
		}},
		{"an invalidation leaves no tombstone where the origin lags", "G2", func(w *world) {
			w.have(traits{lag: time.Second})
			w.net.taps.sabotage = &amnesia{were: make(map[string]string), marker: "}:v:", command: cmdBlock}
		}},
		{"a load ahead of time needs no lease", "G4", func(w *world) {
			w.have(traits{ttl: 2 * time.Second, ahead: 0.3})
			w.plan.writes = 0
			w.net.taps.sabotage = generosity{}
		}},
		{"lives are longer than they may be", "life", func(w *world) {
			w.have(traits{ttl: 2 * time.Second})
			w.plan.writes = 0
			w.net.taps.sabotage = eternity{cmdFill}
		}},
		{"what nobody reads stays", "life", func(w *world) {
			w.have(traits{ttl: time.Minute, sliding: 500 * time.Millisecond})
			w.plan.writes, w.plan.pause = 0, 3*time.Second
			w.net.taps.sabotage = eternity{cmdFill}
		}},
		{"values are stored under each other's names", "identity", func(w *world) {
			w.have(traits{many: true})
			w.net.taps.sabotage = confusion{}
		}},
		{"where a load fails, whatever was answered last is", "G1b", func(w *world) {
			w.have(traits{stale: time.Minute, ttl: time.Second})
			w.open = openWith(&indulgence{})
		}},
		{"errors are remembered for too long", "ErrorTTLFor", func(w *world) {
			w.have(traits{errors: 100 * time.Millisecond})
			w.open = openWith(&grudge{})
		}},
		{"the origin is asked about what was answered last", "prev", func(w *world) {
			w.have(traits{asks: weak, ttl: 500 * time.Millisecond})
			w.open = openWith(&obstinacy{})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := quietPlan()
			p.writes, p.pause, p.length = 0.25, 200*time.Millisecond, 12*time.Second
			w := live(t, p, tt.prepare)
			found := make(map[string]int)
			for _, v := range w.oracle.violations {
				found[v.guarantee]++
			}
			if found[tt.guarantee] == 0 {
				t.Errorf("%s was not found violated; found: %v", tt.guarantee, found)
			}
			if len(w.oracle.violations) == 0 {
				return
			}
			if tr := w.log.trace(w.oracle.violations[0].key, time.Second); !strings.Contains(tr, "VIOLATION") {
				t.Errorf("the trace does not show the violation:\n%s", tr)
			}
		})
	}
}

// quietPlan is one in which nothing happens by itself.
func quietPlan() *plan {
	p := planOf(1)
	p.quiet, p.actions, p.storms, p.rates = true, nil, 0, rates{}
	p.settings = settings{
		bound: 2 * time.Second, timeout: 250 * time.Millisecond, readTimeout: time.Second, retries: -1,
		ttl: 5 * time.Minute, loadTimeout: 30 * time.Second,
	}
	return p
}

// deafness answers probes as they were answered before the first invalidation.
type deafness struct {
	mu      sync.Mutex
	answers map[string][]byte
}

func (*deafness) before(*network, *command) {}

func (d *deafness) after(n *network, c *command, reply []byte) []byte {
	if c.name != cmdProbe || reply[0] == '-' || time.Since(n.log.began) < 100*time.Millisecond {
		return reply
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.answers[c.node] == nil {
		d.answers[c.node] = reply
	}
	return d.answers[c.node]
}

// valueName is the name of a command's value in Redis.
func valueName(c *command) string {
	for _, name := range c.args {
		if strings.Contains(name, "}:v:") {
			return name
		}
	}
	return ""
}

// resurrection puts back what an invalidation has removed.
type resurrection struct {
	mu     sync.Mutex
	values map[string]string
}

func (r *resurrection) before(n *network, c *command) {
	if name := valueName(c); c.name == cmdInvalidate {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.values[name], _ = n.redis.Get(name)
	}
}

func (r *resurrection) after(n *network, c *command, reply []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if name := valueName(c); c.name == cmdInvalidate && r.values[name] != "" {
		_ = n.redis.Set(name, r.values[name])
	}
	return reply
}

// permission makes the lease that a fill asks for.
type permission struct{}

func (permission) before(n *network, c *command) {
	if c.name == cmdFill {
		_ = n.redis.Set(strings.Replace(valueName(c), "}:v:", "}:l:", 1), c.args[3+4])
	}
}

func (permission) after(_ *network, _ *command, reply []byte) []byte { return reply }

// generosity removes the lease that is in the way of another.
type generosity struct{}

func (generosity) before(n *network, c *command) {
	if c.name == cmdGetOrLease {
		n.redis.Del(strings.Replace(valueName(c), "}:v:", "}:l:", 1))
	}
}

func (generosity) after(_ *network, _ *command, reply []byte) []byte { return reply }

// nostalgia puts back the first value of a key, now and then.
type nostalgia struct {
	mu    sync.Mutex
	first map[string]string
	count int
}

func (s *nostalgia) before(n *network, c *command) {
	if c.name != cmdGet {
		return
	}
	name := valueName(c)
	now, err := n.redis.Get(name)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first[name] == "" {
		s.first[name] = now
	}
	if s.count++; s.count%3 == 0 {
		_ = n.redis.Set(name, s.first[name])
	}
}

func (*nostalgia) after(_ *network, _ *command, reply []byte) []byte { return reply }

// naive is what services write themselves: a map in front of Redis, whose entries
// go when a message says so.
type naive struct {
	cache // in Redis alone, and right
	subs  *redis.PubSub
	done  chan struct{}

	mu      sync.Mutex
	entries map[string]string
	hashes  map[uint64]string
}

func openNaive(ctx context.Context, n *node, s settings) (cache, error) {
	inner, err := openReal(ctx, n, s)
	if err != nil {
		return nil, err
	}
	v := &naive{cache: inner, done: make(chan struct{}), entries: make(map[string]string), hashes: n.world.net.hashes}
	v.subs = n.client.Subscribe(ctx, channel())
	go func() {
		defer close(v.done)
		for {
			got, err := v.subs.Receive(ctx)
			if err != nil {
				return
			}
			if msg, ok := got.(*redis.Message); ok {
				v.forget(msg.Payload)
			}
		}
	}()
	return v, nil
}

func (v *naive) forget(payload string) {
	m, err := invalidation.Decode([]byte(payload))
	if err != nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, h := range m.Hashes {
		delete(v.entries, v.hashes[h])
	}
}

func (v *naive) read(ctx context.Context, region, key string, load func(context.Context, string) (string, error), opts ...tiered.Option) (string, error) {
	id := region + ":" + key
	v.mu.Lock()
	text, ok := v.entries[id]
	v.mu.Unlock()
	if ok {
		return text, nil
	}
	text, err := v.cache.read(ctx, region, key, load, opts...)
	if err == nil {
		v.mu.Lock()
		v.entries[id] = text
		v.mu.Unlock()
	}
	return text, err
}

func (v *naive) delete(ctx context.Context, region, key string) error {
	err := v.cache.delete(ctx, region, key)
	v.mu.Lock()
	delete(v.entries, region+":"+key)
	v.mu.Unlock()
	return err
}

func (v *naive) close() error {
	err := errors.Join(v.subs.Close(), v.cache.close())
	<-v.done
	return err
}
