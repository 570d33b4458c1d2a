package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/tiered"
)

const (
	prefix     = "sim"
	partitions = 2
)

// errNoSuch is the origin's way to say that there is no such thing.
var errNoSuch = errors.New("sim: no such thing")

// errOrigin is a load that fails.
var errOrigin = errors.New("sim: the origin is out of order")

// world is a server, a network, an origin, an oracle and a fleet of nodes, in one
// bubble.
type world struct {
	t      testing.TB
	log    *log
	redis  *miniredis.Miniredis
	net    *network
	oracle *oracle
	plan   *plan
	keys   []string // "region:key"
	locks  map[string]chan struct{}
	open   func(ctx context.Context, n *node, s settings) (cache, error)

	mu     sync.Mutex
	nodes  map[string]*node // by place: "a", "b", "c"
	births map[string]int
	last   map[nodeKey]string // status of the last get_or_lease

	clients sync.WaitGroup
}

// names of the keys: some share a partition, all share the few stripes that
// there are of one.
var keyNames = []string{"r:k1", "r:k2", "q:k1", "q:k2"}

func newWorld(t testing.TB, p *plan) *world {
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true)
	l := &log{began: time.Now()}
	w := &world{
		t: t, log: l, redis: m, plan: p, keys: keyNames, open: openReal,
		oracle: newOracle(l, m, &p.settings),
		locks:  make(map[string]chan struct{}),
		nodes:  make(map[string]*node), births: make(map[string]int), last: make(map[nodeKey]string),
	}
	w.net = newNetwork(l, m, p)
	p.began = l.began
	for _, key := range append(slices.Clone(w.keys), tagNames...) {
		w.declare(key)
	}
	w.oracle.moved = w.net.clockMoved
	w.net.taps.before = w.oracle.before
	w.net.taps.replied = w.oracle.replied
	w.net.taps.after = func(c *command) {
		if c.name == cmdGetOrLease && len(c.keys) == 1 {
			w.mu.Lock()
			w.last[nodeKey{c.node, c.keys[0]}] = c.status()
			w.mu.Unlock()
		}
		w.oracle.after(c)
	}
	return w
}

// declare makes a key known.
func (w *world) declare(key string) {
	region, name := split(key)
	h := keyspace.Hash(region, name)
	w.net.hashes[h] = key
	w.oracle.declare(key, int(h%partitions), &w.plan.settings)
	w.locks[key] = make(chan struct{}, 1)
}

func split(key string) (region, name string) {
	for i := range key {
		if key[i] == ':' {
			return key[:i], key[i+1:]
		}
	}
	return "", key
}

// start brings a node to life.
func (w *world) start(place string) *node {
	w.mu.Lock()
	w.births[place]++
	name := place
	if n := w.births[place]; n > 1 {
		name = fmt.Sprintf("%s%d", place, n)
	}
	w.mu.Unlock()
	s := w.plan.settings
	n := &node{world: w, name: name, unwell: make(map[string]bool), failed: make(map[string]time.Time), doubts: make(map[string]uint64), running: make(map[string]int)}
	n.client = w.net.client(name, s.retries, s.readTimeout)
	n.ctx, n.cancel = context.WithCancel(context.Background())
	w.log.add(event{kind: evOpen, node: name})
	var err error
	if n.cache, err = w.open(n.ctx, n, s); err != nil {
		w.t.Fatalf("open %s: %v", name, err)
	}
	n.clients.Go(func() {
		if n.cache.ready(n.ctx) == nil {
			n.mu.Lock()
			n.ready = time.Now()
			n.mu.Unlock()
		}
	})
	w.mu.Lock()
	w.nodes[place] = n
	w.mu.Unlock()
	return n
}

// at is the node at a place.
func (w *world) at(place string) *node {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nodes[place]
}

// stop closes a node; crash says that its connections go first, so that nothing
// that it says on leaving is heard.
func (w *world) stop(n *node, crash bool) {
	w.log.add(event{kind: evClose, node: n.name, text: n.underWay()})
	if crash {
		w.net.set(n.name, func(s *wires) { s.refused = true })
		w.net.cut(n.name, sortData, sortPubSub)
	}
	if err := n.cache.close(); err != nil {
		w.t.Errorf("close %s: %v", n.name, err)
	}
	n.cancel()
	n.clients.Wait()
	_ = n.client.Close()
}

// end closes everything.
func (w *world) end() {
	for _, place := range []string{"a", "b", "c"} {
		if n := w.at(place); n != nil {
			w.stop(n, false)
		}
	}
	w.redis.Close()
	for _, wires := range w.net.wires {
		wires.mu.Lock()
		var links []*link
		for l := range wires.links {
			links = append(links, l)
		}
		wires.mu.Unlock()
		for _, l := range links {
			l.close(io.EOF)
		}
	}
	w.net.aux.Wait()
}

// how is what a load does: it takes some time, reads at its begin or at its end,
// and may fail. With tagged the call gives a tag; batch says that it is one for
// several keys, asked that it is one of a Refresh, asks that it may find what there
// was unchanged, forced that its call has forced it.
type how struct {
	takes         time.Duration
	early, fails  bool
	tagged, batch bool
	asked         bool
	asks          bool                  // by LoadIf
	forced        bool                  // with ForceLoad
	prev          *tiered.Entry[string] // what that has given the load
	number        int                   // of the call of the load function, if for several keys
}

// load is a load of the origin.
func (w *world) load(n *node, key string, h how) func(context.Context, string) (string, error) {
	return func(ctx context.Context, _ string) (string, error) {
		values, errs := w.loadKeys(ctx, n, []string{key}, h)
		return values[key], errs[key]
	}
}

// loadKeys loads keys by one call of a load function. What the origin has not is
// an error, too.
func (w *world) loadKeys(ctx context.Context, n *node, keys []string, h how) (values map[string]string, errs map[string]error) {
	defer n.enter("load")()
	loads := make(map[string]*load)
	versions, absent := make(map[string]uint64), make(map[string]bool)
	doubting := n.doubting(keys[0])
	if len(keys) > 1 {
		h.number = w.log.position() + 1
	}
	for _, key := range keys {
		loads[key] = w.oracle.loadBegins(n.name, key, h, func() bool {
			w.mu.Lock()
			last := w.last[nodeKey{n.name, key}]
			w.mu.Unlock()
			since := time.Millisecond
			if h.batch {
				since = 4 * w.plan.settings.timeout
			}
			return n.excused(key, last, doubting, since)
		})
		versions[key], absent[key] = w.oracle.read(key)
	}
	gaveUp := false
	timer := time.NewTimer(h.takes)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		gaveUp = true
	}
	values, errs = make(map[string]string), make(map[string]error)
	for key, l := range loads {
		if !h.early && !gaveUp {
			versions[key], absent[key] = w.oracle.read(key)
		}
		v := value{key, versions[key], l.id}
		switch {
		case gaveUp:
			w.oracle.loadEnds(l, v.version, false, " gave up")
			errs[key] = ctx.Err()
		case h.fails:
			w.oracle.loadEnds(l, v.version, false, " failed")
			errs[key] = fmt.Errorf("load of %v: %w", v, errOrigin)
		case l.was != nil && !absent[key] && w.unchanged(key, h.prev, v.version):
			w.oracle.saysUnchanged(l, v.version)
			errs[key] = fmt.Errorf("load %d: %w", l.id, tiered.ErrUnchanged)
		case absent[key]:
			w.oracle.loadEnds(l, v.version, true, fmt.Sprintf(" = version %d, absent", v.version))
			errs[key] = fmt.Errorf("load %d: %w", l.id, errNoSuch)
		default:
			w.oracle.loadEnds(l, v.version, false, fmt.Sprintf(" = version %d", v.version))
			values[key] = v.String()
		}
	}
	return values, errs
}

// get reads a key at a node; op is get, load, bypass, force or bound.
func (w *world) get(n *node, op, key string, info bool, h how) *call {
	defer n.enter("read")()
	c := &call{op: op, node: n.name, key: key, info: info, asks: op != "get" && h.asks}
	region, name := split(key)
	var opts []tiered.Option
	var told tiered.Info
	if info {
		opts = append(opts, tiered.WithInfo(&told))
	}
	switch op {
	case "bypass":
		opts = append(opts, tiered.BypassL1())
	case "force":
		opts, h.forced = append(opts, tiered.ForceLoad()), true
	}
	if h.tagged {
		opts = append(opts, tiered.WithTags(tagCall[len(tagPrefix):]))
	}
	var load func(context.Context, string) (string, error)
	if op != "get" {
		load = w.load(n, key, h)
	}
	w.oracle.begins(c)
	var text string
	switch {
	case c.asks:
		text, c.err = n.cache.ask(n.ctx, region, name, w.asking(n, key, h), opts...)
	case op == "bound":
		text, c.err = n.real().bound[region].Get(n.ctx, name, opts...)
	default:
		text, c.err = n.cache.read(n.ctx, region, name, load, opts...)
	}
	c.source, c.stale = told.Source, told.Stale
	w.answer(c, text)
	return c
}

// answer takes in how a read has ended.
func (w *world) answer(c *call, text string) {
	switch v, ok := valueIn(text); {
	case c.err == nil && ok:
		c.value = v
	case c.err == nil:
		w.t.Errorf("%s answered %q for %s", c.node, text, c.key)
	case errors.Is(c.err, tiered.ErrAbsent):
		c.absent = true
	case !mayFail(c.op, c.err):
		w.t.Errorf("%s(%s) on %s: %v", c.op, c.key, c.node, c.err)
	case errors.Is(c.err, errOrigin):
		w.oracle.failed(c)
	}
	w.oracle.answered(c)
}

// mayFail reports whether a read may end with this error. Without Redis a read
// with a load succeeds all the same.
func mayFail(op string, err error) bool {
	allowed := []error{tiered.ErrClosed, context.Canceled}
	if op == "get" || op == "getmany" {
		allowed = append(allowed, tiered.ErrNotFound, tiered.ErrUnavailable)
	} else {
		allowed = append(allowed, errOrigin, tiered.ErrLoadTimeout)
	}
	return slices.ContainsFunc(allowed, func(target error) bool { return errors.Is(err, target) })
}

// write commits a new version of a key and makes it known: by a Delete, a Set,
// or not at all. Writes of a key follow each other, as those of an origin do.
func (w *world) write(n *node, op, key string, absent bool) *call {
	free := w.lock(n, key)
	if free == nil {
		return nil
	}
	defer free()
	version := w.oracle.commit(key, absent)
	if op == "" {
		return nil
	}
	return w.invalidate(n, op, key, version)
}

// lock keeps others from writing keys, until the function is called; it is nil if
// the node ends before.
func (w *world) lock(n *node, keys ...string) (free func()) {
	keys = slices.Sorted(slices.Values(keys))
	var taken []string
	free = func() {
		for _, key := range taken {
			<-w.locks[key]
		}
	}
	for _, key := range keys {
		select {
		case w.locks[key] <- struct{}{}:
			taken = append(taken, key)
		case <-n.ctx.Done():
			free()
			return nil
		}
	}
	return free
}

// invalidate is the second half of a write.
func (w *world) invalidate(n *node, op, key string, version uint64) *call {
	defer n.enter(op)()
	c := &call{op: op, node: n.name, key: key}
	region, name := split(key)
	if op == "set" {
		c.value = w.oracle.setBegins(n.name, key, version)
	}
	w.oracle.begins(c)
	switch op {
	case "set":
		c.err = n.cache.set(n.ctx, region, name, c.value.String())
	case "expire":
		r, name := n.real().region(key)
		c.err = r.Expire(n.ctx, name)
	default:
		c.err = n.cache.delete(n.ctx, region, name)
	}
	w.judge(n, c, version)
	return c
}

// judge takes in how a call that invalidates has ended.
func (w *world) judge(n *node, c *call, version uint64) {
	n.waits()
	var pending *tiered.PendingError
	closed := errors.Is(c.err, tiered.ErrClosed)
	isPending := errors.As(c.err, &pending) && !closed
	// A Set that could not be stored has invalidated: only the second of its two
	// steps has failed.
	half := c.op == "set" && !isPending && !closed && errors.Is(c.err, tiered.ErrUnavailable)
	// A Mutate whose write has failed too: the write may have been carried out.
	half = half || c.op == "mutate" && !isPending && !closed && errors.Is(c.err, errWrite)
	if c.err != nil && !isPending && !half && !closed && !(c.op == "mutate" && errors.Is(c.err, errWrite)) {
		w.t.Errorf("%s of %s on %s: %v", c.op, c.key, c.node, c.err)
	}
	w.oracle.invalidated(c, version, c.err == nil || half, isPending)
}

// client is one client of whatever node is at a place, until the world's time is
// up.
func (w *world) client(place string, number int, until time.Duration) {
	r := w.plan.stream(fmt.Sprintf("client %s%d", place, number))
	for time.Since(w.log.began) < until {
		wait(w.plan.think(r))
		n := w.at(place)
		w.act(n, r)
	}
}

// act does one thing that a client does. It draws the same numbers whatever
// happens.
func (w *world) act(n *node, r *rand.Rand) {
	key := w.keys[r.IntN(len(w.keys))]
	what, h, info, absent := r.Float64(), how{takes: w.plan.loadTime(r), early: r.IntN(2) == 0, fails: r.IntN(20) == 0}, r.IntN(3) > 0, r.IntN(8) == 0
	p := w.plan
	if t := p.settings.of(key); t != (traits{}) {
		w.actMore(n, r, key, what, h, info, absent)
		return
	}
	switch {
	case what < p.writes*0.6:
		w.write(n, "delete", key, absent)
	case what < p.writes*0.85:
		w.write(n, "set", key, false)
		if r.IntN(3) == 0 {
			w.write(n, "set", key, false)
		}
		w.get(n, "get", key, true, how{})
	case what < p.writes*0.9:
		w.write(n, "", key, absent)
	case what < p.writes:
		w.invalidate(n, "delete", key, w.oracle.current(key)) // one too many
	case what < p.writes+0.1:
		w.get(n, "get", key, info, how{})
	case what < p.writes+0.14:
		w.get(n, "bypass", key, info, h)
	default:
		w.get(n, "load", key, info, h)
	}
}
