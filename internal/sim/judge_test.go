package sim

import (
	"slices"
	"strings"
	"time"
)

// What the oracle asserts of tags, lives and tombstones.

// label gives a value its tags. The caller holds o.mu.
func (o *oracle) label(l *load) {
	if !o.keys[l.key].traits.tags {
		return
	}
	if l.called {
		l.tags = append(l.tags, tagCall)
	}
	if !l.absent {
		l.tags = append(l.tags, tagOf(l.version))
	}
}

// tagsFresh asserts that no tag of the answer was invalidated after its load, or
// its Set, began: on this node at once, elsewhere after the bound.
func (o *oracle) tagsFresh(c *call, l *load) {
	if tag := c.voids(l); tag != "" {
		need := c.tagged[tag]
		o.violate("tags", c.key, "%s answered with load %d (from %s), which began at event %d, with tag %s, must be after %d: %s",
			c.node, l.id, c.source, l.begin, tag, need.born, need.why)
	}
}

// voids is the tag that makes what a load has brought no answer to the call; empty
// if there is none.
func (c *call) voids(l *load) string {
	for _, tag := range l.tags {
		if l.begin < c.tagged[tag].born {
			return tag
		}
	}
	return ""
}

// slack is for what happens within one instant of different clocks.
const slack = 10 * time.Millisecond

// alive asserts that an answer of the tiers is not past its life, or has slid away.
// Where the server's clock was moved nobody knows.
func (o *oracle) alive(c *call, k *known, l *load) {
	used := l.used
	l.used = max(l.used, time.Since(o.log.began))
	if o.moved() || !o.fromTier(c, l) {
		return
	}
	life, what := k.ttl, "TTL"
	if c.stale || !c.info {
		life, what = life+k.traits.stale, "TTL and StaleFor"
	}
	if end := l.since + life + slack; c.at > end {
		o.violate("life", c.key, "%s answered with load %d (from %s), whose %s were over at %v", c.node, l.id, c.source, what, end)
	}
	if idle := k.traits.sliding * 3 / 2; idle > 0 && !c.stale && k.traits.stale == 0 && c.at > used+idle+slack {
		o.violate("life", c.key, "%s answered with load %d (from %s), which nobody had read since %v", c.node, l.id, c.source, used)
	}
}

// slid takes in that a value was read in Redis, and asserts that it was still to be
// there: "from Redis at the latest 1.5 times SlidingTTL after it was read for the
// last time".
func (o *oracle) slid(c *command, l *load, now time.Duration) {
	idle := o.keys[l.key].traits.sliding * 3 / 2
	if idle > 0 && !o.moved() && now > l.used+idle+slack {
		o.violate("life", l.key, "Redis had load %d for %s, which nobody had read since %v", l.id, c.node, l.used)
	}
	l.used = now
}

// touched takes in that the server lets a value stay that was read.
func (o *oracle) touched(c *command, now time.Duration) {
	content, err := o.redis.Get(c.args[3])
	if err != nil {
		return
	}
	if v, ok := valueIn(content); ok {
		o.loads[v.id].used = now
	}
}

// blocked takes in what a script has done to the tombstone of a key.
func (o *oracle) blocked(c *command, k *known, now time.Duration) {
	if c.name != cmdBlock && c.name != cmdUnblock {
		return
	}
	args := c.arguments()
	mine, nobody, life := args[0], args[1], time.Duration(parseUint(args[2]))*time.Millisecond
	others := now < k.tomb.until && k.tomb.token != mine
	switch {
	case c.name == cmdBlock:
		next := grant{mine, max(now+life, k.tomb.until)}
		if others {
			next.token = nobody
		}
		k.tomb = next
	case life > 0:
		next := grant{nobody, now + life}
		if others {
			next.until = max(next.until, k.tomb.until)
		}
		k.tomb = next
	case !others:
		k.tomb = grant{}
	}
}

// unblocked asserts that no lease is given out, and nothing stored, where there is
// a tombstone.
func (o *oracle) unblocked(c *command, k *known, key string, now time.Duration) {
	if now+2*time.Millisecond < k.tomb.until {
		o.violate("Mutate", key, "%s was carried out for %s where there is a tombstone until %v", c.name, c.node, k.tomb.until)
	}
}

// blocks reports whether there is a tombstone of a key.
func (o *oracle) blocks(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return time.Since(o.log.began) <= o.keys[key].tomb.until
}

// committed takes in the commit of a Mutate, and what its tombstone promises if
// nothing more comes of it: once that has ended nothing is read that was loaded
// before the commit.
func (o *oracle) committed(key string, absent bool) (version uint64, position int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	version, position = o.commits(key, absent)
	if k := o.keys[key]; time.Since(o.log.began) < k.tomb.until {
		k.invals = append(k.invals, inval{at: k.tomb.until, before: position, version: version, node: "a tombstone"})
	}
	return version, position
}

// failed judges an error of the origin that a call has ended with: it is one of
// just now, or was remembered for as long as it may be.
func (o *oracle) failed(c *call) {
	v, ok := valueIn(c.err.Error())
	if !ok {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	l, k := o.loads[v.id], o.keys[c.key]
	if end := l.over + k.traits.errors + slack; !l.running && c.at > end {
		o.violate("ErrorTTLFor", c.key, "%s answered with the error of load %d, which was to be forgotten at %v", c.node, l.id, end)
	}
	if l.node != c.node {
		o.violate("ErrorTTLFor", c.key, "%s answered with the error of a load of %s", c.node, l.node)
	}
	if l.begin < c.named {
		o.violate("ErrorTTLFor", c.key, "%s answered with the error of load %d, which began before an invalidation there (event %d)", c.node, l.id, c.named)
	}
}

// of are the keys of a region.
func (w *world) of(region string) []string {
	return slices.DeleteFunc(slices.Clone(w.keys), func(key string) bool { return !strings.HasPrefix(key, region+":") })
}
