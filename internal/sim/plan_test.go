package sim

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// plan is what a seed decides.
type plan struct {
	seed     uint64
	began    time.Time
	settings settings
	length   time.Duration
	writes   float64       // share of writes among what clients do
	pause    time.Duration // between what a client does, on average
	rates    rates
	storms   time.Duration // frames come to harm in every other span of this length; 0: always
	actions  []action
	calm     atomic.Bool // from now on nothing happens any more

	// What a scenario decides in place of the seed.
	instant  bool // frames take no time at all
	quiet    bool // all frames take the same time and come to no harm
	decide   func(c *command) (fate, bool)
	messages func(node string, m *message) int
	late     time.Duration // when late commands are executed

	mu      sync.Mutex // guards the streams, and decide and messages
	streams map[string]*rand.Rand
}

// rates are probabilities, for each frame.
type rates struct {
	drop, twinMessage, slow, split float64
	cut, cutFirst, late, twin      float64
}

// action is something that the schedule does at a time.
type action struct {
	at    time.Duration
	what  string
	place string
	lasts time.Duration
	key   int
	sort  int
	dir   int
}

// stream is a source of decisions about one thing. That each thing has its own
// makes the decisions about it the same in every run of a seed, as far as what
// there is to decide comes in the same order.
func (p *plan) stream(name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return rand.New(rand.NewPCG(p.seed, h.Sum64()))
}

// draw draws from a stream, which is made when it is first drawn from.
func (p *plan) draw(name string, f func(r *rand.Rand)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.streams[name]
	if r == nil {
		r = p.stream(name)
		p.streams[name] = r
	}
	f(r)
}

func (p *plan) chance(name string, probability float64) (hit bool) {
	p.draw(name, func(r *rand.Rand) { hit = r.Float64() < probability })
	return hit
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// planOf is the plan of a seed.
func planOf(seed uint64) *plan {
	p := &plan{seed: seed, streams: make(map[string]*rand.Rand)}
	r := p.stream("plan")
	// Time costs nothing here, but what happens in it does: probes, pings and the
	// looks at what is under way, which a longer bound and timeout make fewer.
	bound := pick(r, 2*time.Second, 5*time.Second, 10*time.Second)
	p.settings = settings{
		bound:       bound,
		timeout:     bound / time.Duration(pick(r, 8, 12)),
		readTimeout: pick(r, time.Second, 3*time.Second),
		retries:     pick(r, -1, -1, 3),
		ttl:         pick(r, 5*time.Second, 20*time.Second, 5*time.Minute),
		loadTimeout: pick(r, 4*time.Second, 30*time.Second),
		noL1:        r.IntN(8) == 0,
	}
	p.length = 6 * bound
	p.writes = pick(r, 0.1, 0.25, 0.4)
	p.pause = p.length / 30
	p.storms = pick(r, 0, 3*time.Second, 10*time.Second)
	// Of the things that can go wrong with frames some do, some do not.
	for _, rate := range []*float64{&p.rates.drop, &p.rates.twinMessage, &p.rates.slow, &p.rates.split, &p.rates.cut, &p.rates.cutFirst, &p.rates.late, &p.rates.twin} {
		*rate = pick(r, 0, 0, 0.02, 0.1)
	}
	if r.IntN(6) == 0 {
		p.rates.drop = 1 // pub/sub is lost altogether
	}
	p.schedule(r)
	p.draws()
	return p
}

// whats are the things that a schedule does, often ones more often.
var whats = []string{
	"cut", "cut", "cut-pubsub", "cut-pubsub", "silent", "silent", "stall", "stall", "refuse", "crash", "close",
	"jump", "jump-back", "flush", "flush-back", "evict", "evict", "evict-lease", "unsubscribe", "unknown-scripts",
}

func (p *plan) schedule(r *rand.Rand) {
	kinds := make([]string, 1+r.IntN(5))
	for i := range kinds {
		kinds[i] = pick(r, whats...)
	}
	every := p.length / time.Duration(5+r.IntN(15))
	for at := p.settings.bound; at < p.length-p.settings.bound; at += time.Duration((0.5 + r.Float64()) * float64(every)) {
		p.actions = append(p.actions, action{
			at: at, what: pick(r, kinds...), place: pick(r, "a", "b", "c"),
			lasts: time.Duration(r.Float64() * r.Float64() * float64(4*p.settings.bound)),
			key:   r.IntN(len(keyNames)), sort: r.IntN(2), dir: r.IntN(2),
		})
	}
}

// storming reports whether frames may come to harm now.
func (p *plan) storming() bool {
	if p.calm.Load() || p.quiet {
		return false
	}
	return p.storms == 0 || int(time.Since(p.began)/p.storms)%2 == 1
}

func (p *plan) latency(node string, toServer bool) (d time.Duration) {
	if p.instant {
		return -1
	}
	if p.calm.Load() || p.quiet {
		return 200 * time.Microsecond
	}
	p.draw(fmt.Sprint("latency ", node, toServer), func(r *rand.Rand) {
		d = time.Duration(50+r.IntN(400)) * time.Microsecond
		if far := r.Float64(); p.storming() && far < p.rates.slow {
			d = time.Duration(r.IntN(int(2 * p.settings.timeout)))
		}
	})
	return d
}

func (p *plan) command(c *command) (f fate) {
	p.mu.Lock()
	decide := p.decide
	p.mu.Unlock()
	if decide != nil {
		if f, ok := decide(c); ok {
			return f
		}
	}
	if !p.storming() || c.name == "ping" {
		return fateNone
	}
	p.draw("command "+c.node+c.name, func(r *rand.Rand) {
		x := r.Float64()
		for _, o := range []struct {
			rate float64
			fate fate
		}{{p.rates.cut, fateCut}, {p.rates.cutFirst, fateCutFirst}, {p.rates.late, fateLate}, {p.rates.twin, fateTwin}} {
			if x < o.rate {
				f = o.fate
				return
			}
			x -= o.rate
		}
	})
	return f
}

func (p *plan) lateness() (d time.Duration) {
	if p.late > 0 {
		return p.late
	}
	p.draw("lateness", func(r *rand.Rand) {
		d = time.Duration(r.Float64() * r.Float64() * float64(3*p.settings.bound))
	})
	return d
}

func (p *plan) message(node string, m *message) int {
	p.mu.Lock()
	messages := p.messages
	p.mu.Unlock()
	switch {
	case messages != nil:
		return messages(node, m)
	case !p.storming():
		return 1
	case p.chance("drop "+node, p.rates.drop):
		return 0
	case p.chance("twin message "+node, p.rates.twinMessage):
		return 2
	}
	return 1
}

func (p *plan) pieces(node string) (n int, gap time.Duration) {
	n = 1
	if p.storming() {
		p.draw("pieces "+node, func(r *rand.Rand) {
			if r.Float64() < p.rates.split {
				n, gap = 2+r.IntN(2), time.Duration(r.IntN(30))*time.Millisecond
			}
		})
	}
	return n, gap
}

// think is how long a client waits before it does the next thing.
func (p *plan) think(r *rand.Rand) time.Duration {
	return time.Duration(r.ExpFloat64() * float64(p.pause))
}

// loadTime is how long a load takes.
func (p *plan) loadTime(r *rand.Rand) time.Duration {
	x := r.Float64()
	switch y := r.Float64(); {
	case x < 0.8:
		return time.Duration(y * float64(10*time.Millisecond))
	case x < 0.97: // those who wait for it ask for the lease every 50 ms
		return time.Duration(y * float64(500*time.Millisecond))
	default:
		return time.Duration(y * float64(8*time.Second))
	}
}
