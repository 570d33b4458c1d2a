package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// validity says whether loads of a region can ask the origin if what there was is
// unchanged, and what its answer is worth.
type validity int

const (
	never  validity = iota
	strong          // each version has a validator of its own
	weak            // of two versions, an even one and the next, both have the same
)

// validator is what the origin calls a version.
func (v validity) validator(version uint64) tiered.Validator {
	if v == weak {
		return tiered.Validator(fmt.Sprint("W/", version/2))
	}
	return tiered.Validator(fmt.Sprint(version))
}

// asking is a load function of a Region.LoadIf.
type asking = func(ctx context.Context, name string, prev tiered.Entry[string]) (string, tiered.Validator, error)

// asks decides whether loads of a region ask. It draws the same numbers whatever
// the region has.
func (p *plan) asks(r *rand.Rand, t *traits) {
	what, ttl := pick(r, never, never, strong, weak), pick(r, p.settings.bound/5, p.settings.bound/2)
	keep := pick(r, 0, 0, -1, 4*p.settings.bound)
	if *t == (traits{}) || what == never {
		return
	}
	t.asks, t.keep, t.ttl = what, keep, ttl // of what is not over nobody asks, as a rule
	if t.sliding > 0 {
		t.sliding = ttl / 2
	}
}

// asking is a load of the origin that asks about what there was.
func (w *world) asking(n *node, key string, h how) asking {
	return func(ctx context.Context, _ string, prev tiered.Entry[string]) (string, tiered.Validator, error) {
		h := h
		h.prev = &prev
		values, errs := w.loadKeys(ctx, n, []string{key}, h)
		v, _ := valueIn(values[key])
		return values[key], w.plan.settings.of(key).asks.validator(v.version), errs[key]
	}
}

// unchanged reports whether a version of a key is what the origin was asked about,
// as far as it can tell.
func (w *world) unchanged(key string, prev *tiered.Entry[string], version uint64) bool {
	return prev.Validator == w.plan.settings.of(key).asks.validator(version)
}

// promise is the last one that a call on a node has made, and what there was before.
type promise struct {
	at  time.Duration
	was requirement
}

// promised is what calls on a node that ended before this instant have promised. Of
// what ends in the instant in which something else begins nobody knows which was
// first.
func (k *known) promised(node string, now time.Duration) requirement {
	if p := k.promises[node]; p.at == now {
		return p.was
	}
	return k.local[node]
}

// handed judges what a load is given to ask about. It has to be a value that came
// with that validator, that would get the same tags, and that was not invalidated:
// not by a call on this node, nor on any more than the bound ago.
//
// With a weak validator all hangs on this, as the origin may say "unchanged" of a
// version from before the last one. The caller holds o.mu.
func (o *oracle) handed(l *load, prev *tiered.Entry[string]) {
	k, now := o.keys[l.key], time.Since(o.log.began)
	v, ok := valueIn(prev.Value)
	if !ok || v.key != l.key {
		o.violate("identity", l.key, "%s hands load %d the value %q", l.node, l.id, prev.Value)
		return
	}
	was := o.loads[v.id]
	l.was = was
	was.asking++
	bad := func(format string, args ...any) {
		o.violate("prev", l.key, "%s hands load %d the value of load %d, which %s", l.node, l.id, was.id, fmt.Sprintf(format, args...))
	}
	if !was.named || prev.Validator != k.traits.asks.validator(v.version) {
		bad("has no validator, or not %q", prev.Validator)
	}
	if k.traits.tags && was.called != l.called {
		bad("has other tags than it would get")
	}
	need := k.last(now-o.bound, false)
	need.raise(k.promised(l.node, now))
	if k.traits.lag > 0 {
		need.version = 0 // a replica's
	}
	if v.version < need.version || was.begin < need.born {
		bad("began at event %d, must be after %d, with version %d: %s", was.begin, need.born, need.version, need.why)
	}
	for _, tag := range was.tags {
		need := o.keys[tag].last(now-o.bound, false)
		need.raise(o.keys[tag].promised(l.node, now))
		if was.begin < need.born {
			bad("began at event %d, with tag %s, must be after %d: %s", was.begin, tag, need.born, need.why)
		}
	}
}

// asked takes in that a load which was given something to ask about has ended.
// The caller holds o.mu.
func (o *oracle) asked(l *load) {
	if l.was != nil {
		l.was.asking--
		l.was.answered = time.Since(o.log.began)
	}
}

// saysUnchanged takes in that a load ends because what there was is unchanged: that
// value has another life.
func (o *oracle) saysUnchanged(l *load, version uint64) {
	o.mu.Lock()
	now, was := time.Since(o.log.began), l.was
	l.unchanged = true
	was.since, was.used, was.confirmed = max(was.since, now), now, max(was.confirmed, l.begin)
	o.mu.Unlock()
	o.loadEnds(l, version, false, fmt.Sprintf(" = version %d, load %d is unchanged", version, was.id))
}

// renewed asserts of a value to which Redis has given another life what stored does
// of one that it has stored: that it was not invalidated, that it is the one which
// the origin was asked about, and that nothing has happened to the key since the
// lease was granted.
func (o *oracle) renewed(c *command, k *known, key string) {
	content, err := o.redis.Get(c.args[3+2]) // the third key, as that of a fill
	if err != nil {
		return // expired at once
	}
	v, ok := valueIn(content)
	if !ok {
		o.violate("identity", key, "something that is no value was renewed for %s", c.node)
		return
	}
	now, was := time.Since(o.log.began), o.loads[v.id]
	if !o.renewals[c.token] { // and not one that was sent again
		o.renewals[c.token] = true
		was.since, was.used = max(was.since, now), max(was.used, now)
		asked := false
		for _, l := range o.loads {
			asked = asked || l.was == was && l.unchanged && l.begin > o.granted[c.token]
		}
		if !asked {
			o.violate("identity", key, "load %d was renewed in Redis for %s, under a lease of event %d, and nobody has asked about it",
				was.id, c.node, o.granted[c.token])
		}
	}
	if last := k.last(now+1, false); last.born > was.begin {
		o.violate("G2", key, "load %d was renewed in Redis after it was invalidated: %s", was.id, last.why)
	}
	if last := k.last(now+1, true); last.born > o.granted[c.token] && !o.moved() {
		o.violate("G2", key, "load %d was renewed in Redis under a lease of event %d, after which it was invalidated or expired: %s",
			was.id, o.granted[c.token], last.why)
	}
}
