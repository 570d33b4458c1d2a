package sim

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/doppio-cache/doppio/tiered"
)

// oracle knows everything, and judges every answer.
type oracle struct {
	log   *log
	redis *miniredis.Miniredis
	bound time.Duration
	// landing is how long it may take from the end of a load to that of all calls
	// which wait for it, at most.
	landing time.Duration

	mu         sync.Mutex
	keys       map[string]*known    // and tags, as keys without a region
	moved      func() bool          // the server's clock was: nobody knows how long lives are
	loads      []*load              // by id
	granted    map[string]int       // by token: where in the log a lease was
	renewals   map[string]bool      // by token: a value was given another life under it
	grants     map[nodeKey][]string // tokens of leases whose grant has reached the node and that no load has claimed yet
	violations []violation
}

// known is what the oracle knows of a key.
type known struct {
	partition int
	traits    traits
	ttl       time.Duration
	absent    []bool          // by version: the origin has no such thing. The last is the present one.
	commits   []time.Duration // by version
	invals    []inval
	evicted   int // position in the log when Redis last lost the value other than by an invalidation or the end of its life
	lease     grant
	tomb      grant                  // a tombstone, and until when it stays
	local     map[string]requirement // by node: what a Delete there has promised
	promises  map[string]promise     // by node: when that was changed last
	expired   map[string]requirement // by node: what an Expire there has
	named     map[string]int         // by node: where in the log the last call that invalidated this very key was
	shown     map[string]shown       // by node: the newest that the tiers have answered
	returned  map[string]value       // by node: the newest that any call was answered with
}

type nodeKey struct{ node, key string }

// inval is an invalidation that the server has executed.
type inval struct {
	at      time.Duration
	before  int // position in the log before it was executed
	version uint64
	node    string
	soft    bool // an Expire: what is older may be served as stale
}

// requirement is what an answer has to be: as new as a version, and from a load
// that began after a position in the log.
type requirement struct {
	version uint64
	born    int
	why     string
}

// shown is an answer of the tiers.
type shown struct {
	value value
	begin int // of its load
}

// grant is a lease that the server has given out.
type grant struct {
	token string
	until time.Duration
}

// load is one call of a load function, or the value of a Set.
type load struct {
	id      int
	node    string
	key     string
	begin   int
	version uint64
	set     bool
	absent  bool          // the origin has said that there is no such thing
	tags    []string      // of the value
	called  bool          // the call has given a tag
	asked   bool          // it is that of a Refresh
	forced  bool          // the call has forced it
	batch   int           // not 0: it is one of several of one call of a load function
	over    time.Duration // when it has ended
	stored  bool          // the server has taken it
	since   time.Duration // when it has, or a Set began
	used    time.Duration // when it was last known to be read, or its life in the server prolonged
	running bool
	lease   string // token under which it runs; "" for none
	guessed bool   // it may run without one
	named   bool   // its value comes with a validator

	was       *load         // what it may ask the origin about
	unchanged bool          // it was told that this is unchanged
	asking    int           // loads that ask about its value
	answered  time.Duration // when one of them has ended last
	confirmed int           // where in the log the last one began that was told that it is unchanged
}

// call is one call of a client.
type call struct {
	op     string // see reads; set, delete, clear, tags, expire, mutate
	node   string
	key    string
	begin  int
	at     time.Duration
	own    requirement            // by what was invalidated on this node: G1a
	need   requirement            // by what was invalidated anywhere: G1b
	soft   requirement            // by what was expired, unless the answer is stale
	tagged map[string]requirement // by tag: what was invalidated by it
	newest shown                  // that the tiers of this node had answered when it began
	before value                  // the newest that this node had answered with
	from   int                    // of a Mutate: where in the log its commit is
	named  int                    // where in the log the key was invalidated on this node

	value  value
	absent bool
	source tiered.Source
	info   bool // source is known
	stale  bool // says so
	asks   bool // its load does
	err    error
}

type violation struct {
	guarantee string
	key       string
	text      string
}

func (v violation) String() string { return v.guarantee + " of " + v.key + ": " + v.text }

func (c *call) line(done bool) string {
	s := fmt.Sprintf("%s(%s)", c.op, c.key)
	if c.op == "set" {
		s += " " + c.value.String()
	}
	if !done {
		return s
	}
	switch {
	case c.err != nil:
		s += " = " + c.err.Error()
	case c.op == "set":
		s += " = nil"
	case c.stale:
		s += " = " + c.value.String() + ", stale, from " + c.source.String()
	case c.value.key == "":
		s += " = nil"
	default:
		s += " = " + c.value.String() + " from " + c.source.String()
	}
	return s
}

func newOracle(l *log, m *miniredis.Miniredis, s *settings) *oracle {
	return &oracle{log: l, redis: m, bound: s.bound, landing: 3 * s.timeout, keys: make(map[string]*known), granted: make(map[string]int), renewals: make(map[string]bool), grants: make(map[nodeKey][]string)}
}

func (o *oracle) declare(key string, partition int, s *settings) {
	k := &known{
		partition: partition, absent: []bool{false}, commits: []time.Duration{0},
		local: make(map[string]requirement), promises: make(map[string]promise), expired: make(map[string]requirement), named: make(map[string]int),
		shown: make(map[string]shown), returned: make(map[string]value),
	}
	if !strings.HasPrefix(key, tagPrefix) {
		k.traits, k.ttl = s.of(key), s.config(index(strings.SplitN(key, ":", 2)[0])).TTL
	}
	o.keys[key] = k
}

// commit makes a new version at the origin.
func (o *oracle) commit(key string, absent bool) uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	version, _ := o.commits(key, absent)
	return version
}

// commits also returns where in the log the commit is. The caller holds o.mu.
func (o *oracle) commits(key string, absent bool) (version uint64, position int) {
	k := o.keys[key]
	k.absent = append(k.absent, absent)
	k.commits = append(k.commits, time.Since(o.log.began))
	version = uint64(len(k.absent) - 1)
	text := fmt.Sprintf("version %d", version)
	if absent {
		text += ", absent"
	}
	return version, o.log.add(event{kind: evCommit, key: key, text: text})
}

// current is the version that was committed last.
func (o *oracle) current(key string) uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return uint64(len(o.keys[key].absent) - 1)
}

// read is what a load finds: what was committed last, or, where the origin is a
// replica, had been committed some time ago.
func (o *oracle) read(key string) (version uint64, absent bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.keys[key].visible(time.Since(o.log.began))
}

func (k *known) visible(now time.Duration) (version uint64, absent bool) {
	v := len(k.absent) - 1
	for v > 0 && k.commits[v] > now-k.traits.lag*9/10 {
		v--
	}
	return uint64(v), k.absent[v]
}

func (o *oracle) violate(guarantee, key, format string, args ...any) {
	v := violation{guarantee, key, fmt.Sprintf(format, args...)}
	o.violations = append(o.violations, v)
	o.log.add(event{kind: evViolation, key: key, text: guarantee + ": " + v.text})
}

// begins takes in that a call begins, and works out what its answer has to be.
func (o *oracle) begins(c *call) {
	c.begin = o.log.add(event{kind: evCall, node: c.node, call: c})
	c.at = time.Since(o.log.began)
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.keys[c.key]
	c.own, c.soft, c.named = k.local[c.node], k.expired[c.node], k.named[c.node]
	c.newest, c.before = k.shown[c.node], k.returned[c.node]
	past := o.bound
	if c.op == "bypass" || c.op == "force" && !c.asks {
		past = -1 // past L1 at once. (Who forces a load that asks asks about L1's copy, without Redis.)
	}
	// On any instance, more than D after it was executed, which was before it was
	// confirmed.
	c.need = k.last(c.at-past, false)
	c.soft.raise(k.last(c.at-past, true))
	if k.traits.lag > 0 {
		// "A read may return the old value for OriginLag after the Delete (and up to
		// MaxStaleness longer …), because that is what the replica has."
		old := k.last(c.at-o.bound-k.traits.lag, true).version
		c.own.version, c.need.version, c.soft.version = 0, k.last(c.at-o.bound-k.traits.lag, false).version, old
	}
	if k.traits.tags {
		c.tagged = make(map[string]requirement, len(tagNames))
		for _, tag := range tagNames {
			// A tag has a partition of its own, so that a read past L1 of the value
			// is none of the tag.
			need := o.keys[tag].last(c.at-o.bound, false)
			need.raise(o.keys[tag].local[c.node])
			c.tagged[tag] = need
		}
	}
}

// last is the last invalidation before a time.
func (k *known) last(before time.Duration, soft bool) requirement {
	for i := len(k.invals) - 1; i >= 0; i-- {
		if inv := &k.invals[i]; inv.at < before && (soft || !inv.soft) {
			return requirement{inv.version, inv.before, fmt.Sprintf("invalidated by %s at %v", inv.node, inv.at)}
		}
	}
	return requirement{}
}

// raise makes a requirement at least as strict as another.
func (r *requirement) raise(s requirement) {
	if s.version > r.version || s.born > r.born {
		r.why = strings.TrimPrefix(r.why+" and "+s.why, " and ")
	}
	r.version, r.born = max(r.version, s.version), max(r.born, s.born)
}

// answered judges the answer to a read.
func (o *oracle) answered(c *call) {
	end := o.log.add(event{kind: evReturn, node: c.node, call: c})
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.keys[c.key]
	if c.err != nil && !c.absent {
		return // no answer
	}
	o.fresh(c, k, "G1a", &c.own)
	o.fresh(c, k, "G1b", &c.need)
	// (An Expire ends a life by the server's clock, which may be set back.)
	if known := c.info || k.traits.stale == 0; known && !c.stale && !o.moved() {
		o.fresh(c, k, "Expire", c.unconfirmed(o, k))
	}
	if c.stale && (c.absent || k.traits.stale == 0) {
		o.violate("stale", c.key, "%s answered with a stale value, which it must not have", c.node)
	}
	if c.absent {
		return
	}
	l := o.loads[c.value.id]
	if c.value.key != c.key {
		o.violate("identity", c.key, "%s answered with the value of %s", c.node, c.value.key)
	}
	o.tagsFresh(c, l)
	o.alive(c, k, l)
	o.neverBack(c, k, l, end)
}

// fresh asserts that an answer is as new as it has to be, by its version (G1), and
// by the begin of its load (G2), which may be too old even where the version has
// not changed.
func (o *oracle) fresh(c *call, k *known, guarantee string, need *requirement) {
	if c.absent {
		// Which load said so is not known: there must be one that will do.
		if !slices.ContainsFunc(o.loads, func(l *load) bool {
			return l.absent && l.key == c.key && l.version >= need.version && l.begin >= need.born && c.voids(l) == ""
		}) {
			o.violate(guarantee, c.key, "%s answered that there is no such thing, which no load has said of version %d or after event %d: %s",
				c.node, need.version, need.born, need.why)
		}
		return
	}
	switch l := o.loads[c.value.id]; {
	case c.value.version < need.version && k.traits.lag > 0 && !o.fromTier(c, l):
		// A load that was under way when the call began: the replica had no more.
	case c.value.version < need.version:
		o.violate(guarantee, c.key, "%s answered version %d (from %s), must be %d at least: %s",
			c.node, c.value.version, c.source, need.version, need.why)
	case !l.set && l.begin < need.born:
		o.violate("G2", c.key, "%s answered with load %d (from %s), which began at event %d, must be after %d: %s",
			c.node, l.id, c.source, l.begin, need.born, need.why)
	}
}

// unconfirmed is what an Expire asks of an answer. A value that the origin was asked
// about since has a life again. With a weak validator it need not be the last one.
func (c *call) unconfirmed(o *oracle, k *known) *requirement {
	need := c.soft
	if l := o.loads[c.value.id]; !c.absent && l.confirmed > need.born {
		if need.born = 0; k.traits.asks == weak {
			need.version = 0
		}
	}
	return &need
}

// neverBack asserts G3 between the answer and those of the tiers of this node
// that were there when its call began.
func (o *oracle) neverBack(c *call, k *known, l *load, end int) {
	if k.returned[c.node].version < c.value.version {
		k.returned[c.node] = c.value
	}
	// (Of a weak validator: the older one may have been renewed since.)
	if c.stale && c.value.version < c.before.version && k.evicted <= l.begin && (k.traits.asks != weak || l.confirmed == 0) {
		o.violate("stale", c.key, "%s answered with stale version %d, after it had answered %d", c.node, c.value.version, c.before.version)
	}
	if c.op == "bypass" || c.op == "force" || !o.fromTier(c, l) {
		return // the guarantee is about reads that the tiers answer, without BypassL1
	}
	older, newer := c.value, c.newest.value
	switch {
	case newer.key == "" || older.version >= newer.version:
	case k.evicted > l.begin:
		// Redis has evicted the older value, by itself or because its clock was
		// moved: the newer one could be stored without an invalidation.
	case k.traits.lag > 0 && k.evicted > c.newest.begin:
		// What kept the replica's value from being stored after a Set was lost with
		// the value that was set.
	case !o.loads[newer.id].stored:
		// The newer value was loaded while Redis was out of use, and Redis never had
		// it: "G3 ends where Redis does".
	default:
		o.violate("G3", c.key, "%s answered version %d (from %s), after it had answered %d", c.node, older.version, c.source, newer.version)
	}
	if s := k.shown[c.node]; s.value.key == "" || s.value.version < c.value.version {
		k.shown[c.node] = shown{c.value, end}
	}
}

// fromTier reports whether an answer is known to be of L1 or L2.
func (o *oracle) fromTier(c *call, l *load) bool {
	if c.info {
		return c.source == tiered.SourceL1 || c.source == tiered.SourceL2
	}
	// A call for several keys does not say: no load of this one has ended since, or
	// shortly before, it began.
	return !l.set && !l.running && l.asking == 0 && max(l.over, l.answered)+o.landing < c.at
}

// invalidated takes in how a Delete, or what else invalidates, has ended.
// confirmed says that it is known to this node that it was carried out.
func (o *oracle) invalidated(c *call, version uint64, confirmed, pending bool) {
	o.log.add(event{kind: evReturn, node: c.node, call: c})
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.keys[c.key]
	need := requirement{version: version}
	switch {
	case confirmed:
		found := false
		for i := range k.invals {
			// (Of a Mutate the last one counts: values from before the write are void.)
			if inv := &k.invals[i]; inv.node == c.node && inv.before >= max(c.begin, c.from) {
				need.born, found = inv.before, true
				break
			}
		}
		if !found {
			o.violate("confirmation", c.key, "%s(%s) on %s returned nil, and Redis has executed nothing of it", c.op, c.key, c.node)
			return
		}
		need.why = fmt.Sprintf("%s on %s, begun at event %d, confirmed", c.op, c.node, c.begin)
	case pending:
		// "Until then this instance neither serves nor stores the keys' cached values."
		need.born = c.begin
		need.why = fmt.Sprintf("%s on %s, begun at event %d, pending there", c.op, c.node, c.begin)
	default:
		return
	}
	promised := k.local
	if c.op == "expire" && confirmed && k.traits.stale > 0 {
		promised = k.expired
	} else if now := time.Since(o.log.began); k.promises[c.node].at != now {
		k.promises[c.node] = promise{now, k.local[c.node]}
	}
	r := promised[c.node]
	if need.version >= r.version && need.born >= r.born {
		r = requirement{}
	}
	r.raise(need)
	promised[c.node] = r
	if c.op != "clear" {
		k.named[c.node] = max(k.named[c.node], need.born)
	}
}

// before notes what the origin has just before the server executes a command.
func (o *oracle) before(c *command) {
	c.before = o.log.position()
	if !c.invalidates() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	c.version = make(map[string]uint64)
	for name, k := range o.keys {
		if c.concerns(name, k.partition) {
			c.version[name] = uint64(len(k.absent) - 1)
		}
	}
}

// after takes in what the server has executed.
func (o *oracle) after(c *command) {
	now := time.Since(o.log.began)
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, version := range c.version {
		k := o.keys[key]
		k.invals = append(k.invals, inval{at: now, before: c.before, version: version, node: c.node, soft: c.name == cmdExpire})
		if c.name != cmdInvalidatePart {
			k.lease = grant{}
		}
		o.blocked(c, k, now)
	}
	for _, v := range c.values {
		o.slid(c, o.loads[v.id], now)
	}
	if len(c.keys) != 1 || o.keys[c.keys[0]] == nil {
		return
	}
	key := c.keys[0]
	k := o.keys[key]
	switch c.name {
	case cmdBegin:
		// Under the tombstone of another writer there is no lease; the reply does not
		// say.
		if k.traits.lag == 0 && !k.traits.mutates {
			k.lease = grant{token: c.token, until: now + leaseTTL}
		}
	case cmdGetOrLease:
		o.leased(c, k, key, now)
	case cmdFill:
		if c.status() == "stored" {
			k.lease = grant{}
			o.stored(c, k, key)
			o.unblocked(c, k, key, now)
		}
	case cmdRevalidate:
		if c.status() == "stored" {
			k.lease = grant{}
			o.renewed(c, k, key)
			o.unblocked(c, k, key, now)
		}
	case cmdTouch:
		if c.status() == "1" {
			o.touched(c, now)
		}
	case cmdRenew:
		if k.lease.token == c.token && c.status() == "1" {
			k.lease.until = now + leaseTTL
		}
	case cmdRelease:
		// One that no load has claimed by now was given back at once.
		id := nodeKey{c.node, key}
		o.grants[id] = slices.DeleteFunc(o.grants[id], func(token string) bool { return token == c.token })
		if k.lease.token == c.token {
			k.lease = grant{}
		}
	}
}

// leaseTTL is l2's default, which tiered does not change.
const leaseTTL = 5 * time.Second

// leased asserts the half of G4 that is Redis's: no lease is given out while
// another one lives.
func (o *oracle) leased(c *command, k *known, key string, now time.Duration) {
	if c.status() != "granted" {
		return
	}
	o.unblocked(c, k, key, now)
	if o.granted[c.token] == 0 {
		o.granted[c.token] = c.before
	}
	if k.lease.token != "" && k.lease.token != c.token && now < k.lease.until {
		o.violate("G4", key, "a lease was granted to %s while that with token %x lives", c.node, k.lease.token[:3])
	}
	k.lease = grant{token: c.token, until: now + leaseTTL}
}

// replied takes in that a reply has reached its node.
func (o *oracle) replied(c *command) {
	// (Where what was asked about is gone the lease stays, for another load.)
	if c.name == cmdGetOrLease && c.status() == "granted" || c.name == cmdRevalidate && c.status() == "gone" {
		o.mu.Lock()
		defer o.mu.Unlock()
		id := nodeKey{c.node, c.keys[0]}
		o.grants[id] = append(o.grants[id], c.token)
	}
}

// stored asserts the half of G2 that is Redis's: what a fill has left there was
// loaded after the last invalidation.
func (o *oracle) stored(c *command, k *known, key string) {
	content, err := o.redis.Get(c.args[3+2]) // behind EVALSHA, digest, number of keys: the third key
	if err != nil {
		return // expired at once
	}
	v, ok := valueIn(content)
	if !ok {
		return // negative
	}
	l := o.loads[v.id]
	if !l.stored { // and not a fill that was sent again
		l.stored, l.since = true, time.Since(o.log.began)
		l.used = l.since
	}
	if len(k.invals) == 0 {
		return
	}
	last := k.invals[len(k.invals)-1]
	switch {
	case v.version < last.version:
		o.violate("G2", key, "version %d was stored in Redis after version %d was invalidated (by %s at %v)", v.version, last.version, last.node, last.at)
	case !l.set && l.begin < last.before:
		o.violate("G2", key, "load %d was stored in Redis after an invalidation (by %s at %v) that is later than its begin", l.id, last.node, last.at)
	}
}

// lost takes in that Redis has lost a value, or all of them, and their leases
// perhaps.
func (o *oracle) lost(key string) {
	at, now := o.log.position(), time.Since(o.log.began)
	o.mu.Lock()
	defer o.mu.Unlock()
	for name, k := range o.keys {
		if key == "" || key == name {
			k.evicted, k.lease, k.tomb = at, grant{}, grant{}
			// What its tombstone had promised.
			k.invals = slices.DeleteFunc(k.invals, func(i inval) bool { return i.at > now })
			if k.traits.lag > 0 {
				// Nothing keeps what the replica has now from being stored.
				old, _ := k.visible(now)
				for i := range k.invals {
					k.invals[i].version = min(k.invals[i].version, old)
				}
			}
		}
	}
}

// loadBegins takes in that a load begins, and asserts the other half of G4: a
// load that has no lease of its own must have a reason.
func (o *oracle) loadBegins(node, key string, h how, excused func() bool) *load {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := &load{id: len(o.loads), node: node, key: key, running: true, called: h.tagged, asked: h.asked, forced: h.forced, batch: h.number, named: h.prev != nil}
	o.loads = append(o.loads, l)
	text := " without a lease"
	if id := (nodeKey{node, key}); len(o.grants[id]) > 0 {
		l.lease, o.grants[id] = o.grants[id][0], o.grants[id][1:]
		text = fmt.Sprintf(" under token %x", l.lease[:3])
	}
	l.begin = o.log.add(event{kind: evLoad, node: node, load: l, text: text})
	if l.guessed = excused(); l.lease == "" && !l.guessed && !o.claims(l) {
		o.violate("G4", key, "%s loads without a lease and has no reason to", node)
	}
	if l.named && h.prev.Validator != "" {
		o.handed(l, h.prev)
	}
	return l
}

// claims lets a load have the lease of another one of its node and key that may
// have run without: of two flights at once it is not known whose lease it is.
func (o *oracle) claims(l *load) bool {
	for _, other := range o.loads {
		if other.guessed && other.lease != "" && other.node == l.node && other.key == l.key {
			l.lease, other.lease = other.lease, ""
			return true
		}
	}
	return false
}

// loadEnds takes in that a load ends, with what it has found.
func (o *oracle) loadEnds(l *load, version uint64, absent bool, text string) {
	o.mu.Lock()
	l.version, l.absent, l.running, l.over = version, absent, false, time.Since(o.log.began)
	l.since, l.used = l.over, l.over
	o.label(l)
	o.asked(l)
	o.mu.Unlock()
	o.log.add(event{kind: evLoaded, node: l.node, load: l, text: text})
}

// setBegins gives the value of a Set its identity.
func (o *oracle) setBegins(node, key string, version uint64) value {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := &load{id: len(o.loads), node: node, key: key, begin: o.log.position(), version: version, set: true}
	l.over = time.Since(o.log.began)
	l.since, l.used = l.over, l.over
	o.label(l)
	o.loads = append(o.loads, l)
	return value{key, version, l.id}
}
