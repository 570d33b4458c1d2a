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

	mu         sync.Mutex
	keys       map[string]*known
	loads      []*load              // by id
	grants     map[nodeKey][]string // tokens of leases whose grant has reached the node and that no load has claimed yet
	violations []violation
}

// known is what the oracle knows of a key.
type known struct {
	partition int
	absent    []bool // by version: the origin has no such thing. The last is the present one.
	invals    []inval
	evicted   int // position in the log when Redis last lost the value other than by an invalidation or the end of its life
	lease     grant
	local     map[string]requirement // by node: what a Delete there has promised
	shown     map[string]shown       // by node: the newest that the tiers have answered
}

type nodeKey struct{ node, key string }

// inval is an invalidation that the server has executed.
type inval struct {
	at      time.Duration
	before  int // position in the log before it was executed
	version uint64
	node    string
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
	stored  bool // the server has taken it
	running bool
	lease   string // token under which it runs; "" for none
	guessed bool   // it may run without one
}

// call is one call of a client.
type call struct {
	op     string // get, load, bypass, set, delete
	node   string
	key    string
	begin  int
	at     time.Duration
	own    requirement // by what was invalidated on this node: G1a
	need   requirement // by what was invalidated anywhere: G1b
	newest shown       // that the tiers of this node had answered when it began

	value  value
	absent bool
	source tiered.Source
	info   bool // source is known
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
	case c.op == "set" || c.op == "delete":
		s += " = nil"
	default:
		s += " = " + c.value.String() + " from " + c.source.String()
	}
	return s
}

func newOracle(l *log, m *miniredis.Miniredis, bound time.Duration) *oracle {
	return &oracle{log: l, redis: m, bound: bound, keys: make(map[string]*known), grants: make(map[nodeKey][]string)}
}

func (o *oracle) declare(key string, partition int) {
	o.keys[key] = &known{
		partition: partition, absent: []bool{false},
		local: make(map[string]requirement), shown: make(map[string]shown),
	}
}

// commit makes a new version at the origin.
func (o *oracle) commit(key string, absent bool) uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.keys[key]
	k.absent = append(k.absent, absent)
	version := uint64(len(k.absent) - 1)
	text := fmt.Sprintf("version %d", version)
	if absent {
		text += ", absent"
	}
	o.log.add(event{kind: evCommit, key: key, text: text})
	return version
}

// read is what the origin has.
func (o *oracle) read(key string) (version uint64, absent bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.keys[key]
	return uint64(len(k.absent) - 1), k.absent[len(k.absent)-1]
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
	c.own = k.local[c.node]
	c.newest = k.shown[c.node]
	for i := len(k.invals) - 1; i >= 0; i-- {
		inv := &k.invals[i]
		// On any instance, more than D after it was executed, which was before it
		// was confirmed; past L1 at once.
		if c.op != "bypass" && inv.at+o.bound >= c.at {
			continue
		}
		c.need = requirement{inv.version, inv.before, fmt.Sprintf("invalidated by %s at %v", inv.node, inv.at)}
		break
	}
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
	if c.absent {
		return
	}
	l := o.loads[c.value.id]
	if c.value.key != c.key {
		o.violate("identity", c.key, "%s answered with the value of %s", c.node, c.value.key)
	}
	o.neverBack(c, k, l, end)
}

// fresh asserts that an answer is as new as it has to be, by its version (G1), and
// by the begin of its load (G2), which may be too old even where the version has
// not changed.
func (o *oracle) fresh(c *call, k *known, guarantee string, need *requirement) {
	if c.absent {
		// Which load said so is not known: some version that will do must have been
		// absent.
		if int(need.version) >= len(k.absent) || !slices.Contains(k.absent[need.version:], true) {
			o.violate(guarantee, c.key, "%s answered that there is no such thing, which was last so before version %d: %s",
				c.node, need.version, need.why)
		}
		return
	}
	switch l := o.loads[c.value.id]; {
	case c.value.version < need.version:
		o.violate(guarantee, c.key, "%s answered version %d (from %s), must be %d at least: %s",
			c.node, c.value.version, c.source, need.version, need.why)
	case !l.set && l.begin < need.born:
		o.violate("G2", c.key, "%s answered with load %d (from %s), which began at event %d, must be after %d: %s",
			c.node, l.id, c.source, l.begin, need.born, need.why)
	}
}

// neverBack asserts G3 between the answer and those of the tiers of this node
// that were there when its call began.
func (o *oracle) neverBack(c *call, k *known, l *load, end int) {
	fromTier := c.info && c.op != "bypass" && (c.source == tiered.SourceL1 || c.source == tiered.SourceL2)
	if !fromTier {
		return // the guarantee is about reads that the tiers answer, without BypassL1
	}
	older, newer := c.value, c.newest.value
	switch {
	case newer.key == "" || older.version >= newer.version:
	case k.evicted > l.begin:
		// Redis has evicted the older value, by itself or because its clock was
		// moved: the newer one could be stored without an invalidation.
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

// invalidated takes in how a Delete or Set has ended. ours says that it is known
// to this node that it was carried out.
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
			if inv := &k.invals[i]; inv.node == c.node && inv.before >= c.begin {
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
	r := k.local[c.node]
	if need.version >= r.version && need.born >= r.born {
		r = requirement{}
	}
	r.raise(need)
	k.local[c.node] = r
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
		if c.names(name) || c.name == cmdInvalidatePart && slices.Contains(c.parts, k.partition) {
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
		k.invals = append(k.invals, inval{at: now, before: c.before, version: version, node: c.node})
		k.lease = grant{}
	}
	if len(c.keys) != 1 || o.keys[c.keys[0]] == nil {
		return
	}
	key := c.keys[0]
	k := o.keys[key]
	switch c.name {
	case cmdBegin:
		k.lease = grant{token: c.token, until: now + leaseTTL}
	case cmdGetOrLease:
		o.leased(c, k, key, now)
	case cmdFill:
		if c.status() == "stored" {
			k.lease = grant{}
			o.stored(c, k, key)
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
	if k.lease.token != "" && k.lease.token != c.token && now < k.lease.until {
		o.violate("G4", key, "a lease was granted to %s while that with token %x lives", c.node, k.lease.token[:3])
	}
	k.lease = grant{token: c.token, until: now + leaseTTL}
}

// replied takes in that a reply has reached its node.
func (o *oracle) replied(c *command) {
	if c.name == cmdGetOrLease && c.status() == "granted" {
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
	l.stored = true
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
	at := o.log.position()
	o.mu.Lock()
	defer o.mu.Unlock()
	for name, k := range o.keys {
		if key == "" || key == name {
			k.evicted, k.lease = at, grant{}
		}
	}
}

// loadBegins takes in that a load begins, and asserts the other half of G4: a
// load that has no lease of its own must have a reason.
func (o *oracle) loadBegins(node, key string, excused func() bool) *load {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := &load{id: len(o.loads), node: node, key: key, running: true}
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

func (o *oracle) loadEnds(l *load, version uint64, text string) {
	o.mu.Lock()
	l.version, l.running = version, false
	o.mu.Unlock()
	o.log.add(event{kind: evLoaded, node: l.node, load: l, text: text})
}

// setBegins gives the value of a Set its identity.
func (o *oracle) setBegins(node, key string, version uint64) value {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := &load{id: len(o.loads), node: node, key: key, begin: o.log.position(), version: version, set: true}
	o.loads = append(o.loads, l)
	return value{key, version, l.id}
}
