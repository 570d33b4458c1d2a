package sim

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// traits are what a region has beyond the two tiers, and what its clients do
// beyond reads and writes of one key. The zero traits are those of a plain region.
type traits struct {
	ttl     time.Duration // in place of that of the settings; 0: not
	tags    bool          // values have tags, and the region is cleared now and then
	many    bool          // calls for several keys
	mutates bool          // writes are Mutates as a rule
	stale   time.Duration // StaleFor
	soft    time.Duration // SoftTimeout
	ahead   float64       // RefreshAhead
	sliding time.Duration // SlidingTTL
	errors  time.Duration // ErrorTTLFor
	lag     time.Duration // OriginLag, and how far behind the origin is
	writing time.Duration // WriteTimeout; 0: the library's
	asks    validity      // loads ask the origin whether what there was is unchanged
	keep    time.Duration // RevalidateFor
}

// Tags. Those of a value are known from it: whether its version is even. That of a
// call is what some calls give besides.
const (
	tagEven = tagPrefix + "even"
	tagOdd  = tagPrefix + "odd"
	tagCall = tagPrefix + "call"
)

var tagNames = []string{tagEven, tagOdd, tagCall}

// tagOf is the tag that is known from a value.
func tagOf(version uint64) string {
	if version%2 == 0 {
		return tagEven
	}
	return tagOdd
}

// tagsOf is the region's Config.Tags.
func tagsOf(_, text string) []string {
	if v, ok := valueIn(text); ok {
		return []string{tagOf(v.version)[len(tagPrefix):]}
	}
	return nil
}

// draws decides what the regions of a seed have. Of four one is plain.
func (p *plan) draws() {
	r := p.stream("traits")
	act := func(what string) {
		at := p.settings.bound + time.Duration(r.Float64()*float64(p.length-2*p.settings.bound))
		p.actions = append(p.actions, action{at: at, what: what, place: pick(r, "a", "b", "c"), key: r.IntN(len(keyNames))})
	}
	asking := p.stream("asking") // of its own: what was decided before it came stays as it was
	for i := range p.settings.traits {
		t := p.traits(r)
		p.asks(asking, &t)
		p.settings.traits[i] = t
		if t.tags {
			act("evict-tag")
		}
		if t.mutates {
			act("crash-writing")
		}
		if t != (traits{}) {
			p.pause += p.length / 1000 // there is more in what they do
		}
	}
	slices.SortStableFunc(p.actions, func(a, b action) int { return cmp.Compare(a.at, b.at) })
}

func (p *plan) traits(r *rand.Rand) (t traits) {
	some := func(n int) bool { return r.IntN(n) == 0 }
	bound := p.settings.bound
	if some(4) {
		return t
	}
	t.many, t.mutates, t.tags = some(2), some(4), some(2)
	if some(2) { // what has to do with lives
		t.ttl = pick(r, bound, 2*bound, 4*bound)
		if some(2) {
			t.stale, t.soft = pick(r, bound/2, 3*bound), pick(r, 0, 20*time.Millisecond, 200*time.Millisecond)
		}
		if some(2) {
			t.ahead = pick(r, 0.3, 0.8)
		}
		if some(2) {
			t.sliding = t.ttl / time.Duration(pick(r, 2, 4))
		}
	}
	if some(4) {
		t.errors = pick(r, bound/10, bound)
	}
	if some(6) {
		t.lag, t.tags = pick(r, 300*time.Millisecond, bound/2), false
	}
	if t.mutates {
		t.writing = pick(r, bound/2, 2*bound)
	}
	return t
}

// config is that of a region of the fleet.
func (s *settings) config(i int) tiered.Config[string] {
	t := s.traits[i]
	ttl := s.ttl
	if t.ttl > 0 {
		ttl = t.ttl
	}
	cfg := tiered.Config[string]{
		Name: regions[i], TTL: ttl, NegativeTTL: ttl / 2, LoadTimeout: s.loadTimeout, NotFound: []error{errNoSuch},
		StaleFor: t.stale, RevalidateFor: t.keep, SoftTimeout: t.soft, RefreshAhead: t.ahead, SlidingTTL: t.sliding, OriginLag: t.lag, WriteTimeout: t.writing,
	}
	if s.noL1 && i == 0 {
		cfg.Mode = tiered.L2Only
	}
	if t.tags {
		cfg.Tags = tagsOf
	}
	if t.errors > 0 {
		cfg.ErrorTTLFor = func(error) time.Duration { return t.errors }
	}
	return cfg
}

// index is that of a region in regions.
func index(region string) int {
	if region == regions[0] {
		return 0
	}
	return 1
}

// of are the traits of a key's region.
func (s *settings) of(key string) traits {
	region, _ := split(key)
	return s.traits[index(region)]
}
