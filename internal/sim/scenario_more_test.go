package sim

import (
	"errors"
	"sync"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// having is a plan whose first region has traits.
func having(t traits) func(p *plan) {
	return func(p *plan) { p.settings.traits[0] = t }
}

// retrying lets the client of node a send again what it has no reply to.
func retrying(t traits) func(p *plan) {
	return func(p *plan) {
		having(t)(p)
		p.settings.retries = 3
	}
}

// loads is how often a key was loaded.
func (s *stage) loads(key string) (n int) {
	s.w.oracle.mu.Lock()
	defer s.w.oracle.mu.Unlock()
	for _, l := range s.w.oracle.loads {
		if l.key == key && !l.set {
			n++
		}
	}
	return n
}

// want fails the test unless a call was answered as it must be.
func (s *stage) want(c *call, what string, ok bool) {
	if !ok {
		s.w.t.Errorf("on %s: %s, want %s", c.node, c.line(true), what)
	}
}

// wantLoads fails the test unless a key was loaded that often.
func (s *stage) wantLoads(key string, want int) {
	if n := s.loads(key); n != want {
		s.w.t.Errorf("%s was loaded %d times, want %d", key, n, want)
	}
}

// failing reads a key on a node while the origin is out of order.
func (s *stage) failing(n *node, key string, takes time.Duration) *call {
	return s.w.get(n, "load", key, true, how{takes: takes, early: true, fails: true})
}

// everywhere reads a key on both nodes, now and after the bound.
func (s *stage) everywhere(key string) {
	for range 2 {
		s.read(s.a, key)
		s.read(s.b, key)
		wait(s.w.plan.settings.bound + time.Millisecond)
	}
}

var both = []string{"r:k1", "r:k2"}

var featureScenarios = []scenario{
	{
		name: "a tag is invalidated during a load", shows: []string{"a tag invalidated between a load's begin and its fill"},
		plan: having(traits{tags: true}),
		act: func(w *world, s *stage) {
			s.started(func() { s.slow(s.a, "r:k1", 300*time.Millisecond) })
			w.invalidateTags(s.b, tagEven)
			s.wg.Wait()
			s.everywhere("r:k1")
			// The same by the call's tag, heard by nobody.
			w.plan.telling(none)
			s.started(func() {
				w.get(s.a, "force", "r:k1", true, how{takes: 300 * time.Millisecond, early: true, tagged: true})
			})
			w.invalidateTags(s.b, tagCall)
			s.wg.Wait()
			s.everywhere("r:k1")
		},
	},
	{
		name: "Redis forgets a tag", shows: []string{"a tag asked for that Redis has forgotten"},
		plan: having(traits{tags: true}),
		act: func(w *world, s *stage) {
			s.read(s.a, "r:k1")
			w.plan.telling(none)
			w.invalidateTags(s.a, tagEven)
			w.evictTag(tagEven)
			wait(2*time.Second + time.Millisecond) // b knows by its probes that it has missed something
			s.read(s.b, "r:k1")
			s.read(s.a, "r:k1")
			s.wantLoads("r:k1", 2)
		},
	},
	{
		name: "Clear during a load", shows: []string{"Clear between a load's begin and its fill"},
		plan: having(traits{tags: true}),
		act: func(w *world, s *stage) {
			s.read(s.a, "r:k2")
			s.read(s.b, "r:k2")
			s.started(func() { s.slow(s.a, "r:k1", 300*time.Millisecond) })
			w.clear(s.b, both)
			s.wg.Wait()
			s.everywhere("r:k1")
			s.everywhere("r:k2")
		},
	},
	{
		name: "a load ahead of time, alone in the fleet, and a Delete", shows: []string{"a Delete during a load ahead of time"},
		plan: having(traits{ttl: 4 * time.Second, ahead: 0.3}),
		act: func(w *world, s *stage) {
			nodes := []*node{s.a, s.b, w.at("c")}
			for _, n := range nodes {
				s.read(n, "r:k1")
			}
			wait(2 * time.Second)
			for _, n := range nodes { // each hit is due
				s.want(s.slow(n, "r:k1", 300*time.Millisecond), "a hit", s.loads("r:k1") < 3)
			}
			wait(100 * time.Millisecond)
			s.wantLoads("r:k1", 2)
			w.write(s.b, "delete", "r:k1", false)
			s.everywhere("r:k1")
		},
	},
	{
		name: "a key of a batch is deleted", shows: []string{"a batch loaded, one of its keys invalidated meanwhile"},
		plan: having(traits{many: true}),
		act: func(w *world, s *stage) {
			s.started(func() {
				w.many(s.a, "loadmany", both, how{takes: 300 * time.Millisecond, early: true, batch: true})
			})
			w.write(s.b, "delete", "r:k1", false)
			s.wg.Wait()
			w.many(s.a, "getmany", both, how{})
			s.wantLoads("r:k2", 1)
			s.everywhere("r:k1")
			w.write(s.b, "delete", "r:k2", true)
			wait(time.Millisecond)
			// What a batch leaves out is known to be absent.
			w.many(s.a, "loadmany", both, how{takes: time.Millisecond, batch: true})
			n := s.loads("r:k2")
			c := s.read(s.a, "r:k2")
			s.want(c, "absent", c.absent)
			s.wantLoads("r:k2", n)
		},
	},
	{
		name: "two Mutates of a key", shows: []string{"a second Mutate finds the tombstone of the first", "a load blocked by a tombstone"},
		plan: having(traits{mutates: true, writing: time.Second}),
		act: func(w *world, s *stage) {
			s.started(func() { w.mutate(s.a, both, 400*time.Millisecond, false, false) })
			w.mutate(s.b, both, 100*time.Millisecond, false, false)
			s.read(s.b, "r:k1")
			s.wg.Wait()
			s.everywhere("r:k1")
			wait(2 * time.Second)
			s.read(s.a, "r:k1")
			n := s.loads("r:k1")
			s.read(s.b, "r:k1")
			s.wantLoads("r:k1", n)
		},
	},
	{
		name: "a node dies between a Mutate's commit and its last invalidation", shows: []string{"a node gone between a Mutate's commit and its last invalidation"},
		plan: having(traits{mutates: true, writing: 2 * time.Second}),
		act: func(w *world, s *stage) {
			s.read(s.b, "r:k1")
			s.started(func() { w.mutate(s.a, both, time.Second, false, false) })
			load := w.net.holdNext(toServer, commandOf(s.b, cmdFill, "r:k1"))
			s.started(func() { s.slow(s.b, "r:k1", 100*time.Millisecond) }) // of before the commit
			wait(600 * time.Millisecond)
			w.replace("a", true)
			select {
			case <-load.caught:
				w.t.Error("what is read under a tombstone was to be stored")
			default:
			}
			wait(4*time.Second + w.plan.settings.bound)
			s.read(s.b, "r:k1")
			s.read(w.at("c"), "r:k1")
		},
	},
	{
		name: "a failing load and a Delete", shows: []string{"a Delete during a load that fails where a stale value was at hand"},
		plan: having(traits{ttl: time.Second, stale: time.Minute}),
		act: func(w *world, s *stage) {
			s.read(s.a, "r:k1")
			wait(1100 * time.Millisecond)
			c := s.failing(s.a, "r:k1", time.Millisecond)
			s.want(c, "a stale value", c.stale)
			wait(6 * time.Second) // it is not loaded for a while
			s.started(func() {
				c := s.failing(s.a, "r:k1", 300*time.Millisecond)
				s.want(c, "an error", errors.Is(c.err, errOrigin))
			})
			w.write(s.b, "delete", "r:k1", false)
			s.wg.Wait()
			c = s.failing(s.b, "r:k1", time.Millisecond)
			s.want(c, "an error", errors.Is(c.err, errOrigin))
			s.everywhere("r:k1")
		},
	},
	{
		name: "a soft timeout, then a Delete", shows: []string{"a Delete after a soft timeout, before its load ends"},
		plan: having(traits{ttl: time.Second, stale: time.Minute, soft: 20 * time.Millisecond}),
		act: func(w *world, s *stage) {
			s.read(s.a, "r:k1")
			wait(1100 * time.Millisecond)
			c := s.slow(s.a, "r:k1", time.Second)
			s.want(c, "a stale value", c.stale)
			w.write(s.b, "delete", "r:k1", false)
			wait(10 * time.Millisecond)
			s.read(s.a, "r:k1")
			wait(time.Second)
			s.everywhere("r:k1")
		},
	},
	{
		name: "an Expire while a fill is sent again", shows: []string{"an Expire between a fill and its retry", retries + cmdExpire},
		plan: retrying(traits{ttl: time.Minute, stale: time.Hour}),
		act: func(w *world, s *stage) {
			w.plan.fates("a", fateCut, 1, cmdFill)
			var mu sync.Mutex
			sent := 0
			again := w.net.holdNext(toServer, func(f *frame) bool {
				mu.Lock()
				defer mu.Unlock()
				if commandOf(s.a, cmdFill, "r:k1")(f) {
					sent++
				}
				return sent == 2
			})
			s.started(func() { s.read(s.a, "r:k1") })
			s.caught(again)
			w.plan.fates("b", fateCut, 1, cmdExpire)
			w.write(s.b, "expire", "r:k1", false)
			again.release()
			s.wg.Wait()
			c := w.get(s.a, "get", "r:k1", true, how{})
			s.want(c, "a value that was loaded after the Expire", c.value.id > 0)
			s.everywhere("r:k1")
		},
	},
	{
		name: "an origin that lags behind",
		plan: having(traits{lag: time.Second}),
		act: func(w *world, s *stage) {
			s.read(s.a, "r:k1")
			for _, op := range []string{"delete", "set"} {
				w.write(s.b, op, "r:k1", false)
				wait(time.Millisecond)
				c := s.read(s.a, "r:k1")
				if op == "set" {
					s.want(c, "what was set", c.value.version == w.oracle.current("r:k1"))
				} else {
					s.want(c, "the old version, of the replica", c.value.version+1 == w.oracle.current("r:k1"))
				}
				w.get(s.a, "force", "r:k1", true, how{})
				wait(time.Second)
				c = s.read(s.a, "r:k1")
				s.want(c, "the new version", c.value.version == w.oracle.current("r:k1"))
				s.everywhere("r:k1")
			}
		},
	},
	{
		name: "a value that is read slides to its end, and not beyond", shows: []string{"a touch comes when its value has gone"},
		plan: having(traits{ttl: 20 * time.Second, sliding: 2 * time.Second}),
		act: func(w *world, s *stage) {
			s.read(s.a, "r:k1")
			for range 34 { // all lives are up to a tenth shorter
				wait(500 * time.Millisecond)
				c := w.get(s.a, "load", "r:k1", false, how{})
				s.want(c, "a hit", c.err == nil)
			}
			s.wantLoads("r:k1", 1)
			c := w.get(s.b, "get", "r:k1", true, how{})
			s.want(c, "what L2 still has", c.source == tiered.SourceL2)
			for range 6 {
				wait(500 * time.Millisecond)
				w.get(s.a, "load", "r:k1", false, how{})
			}
			s.wantLoads("r:k1", 2)
			wait(4 * time.Second) // nobody reads it
			s.read(s.a, "r:k1")
			s.wantLoads("r:k1", 3)
			// A touch on its way while the value is deleted.
			wait(600 * time.Millisecond)
			touch := w.net.holdNext(toServer, commandOf(s.a, cmdTouch, "r:k1"))
			s.read(s.a, "r:k1")
			s.caught(touch)
			w.write(s.b, "delete", "r:k1", false)
			touch.release()
			s.everywhere("r:k1")
		},
	},
	{
		name: "errors are remembered here, until a Delete here",
		plan: having(traits{errors: time.Second}),
		act: func(w *world, s *stage) {
			for range 3 {
				s.failing(s.a, "r:k1", time.Millisecond)
			}
			s.wantLoads("r:k1", 1)
			w.write(s.a, "delete", "r:k1", false)
			s.failing(s.a, "r:k1", time.Millisecond)
			s.wantLoads("r:k1", 2)
			wait(time.Second + slack)
			s.read(s.a, "r:k1")
			s.wantLoads("r:k1", 3)
		},
	},
	{
		name:  "every further script again after a cut reply",
		shows: []string{retries + cmdBlock, retries + cmdUnblock, retries + cmdTags, retries + cmdTouch},
		plan:  retrying(traits{tags: true, mutates: true, writing: time.Second, ttl: time.Minute, sliding: 4 * time.Second}),
		act: func(w *world, s *stage) {
			w.plan.fates("a", fateCut, 1, cmdBlock, cmdUnblock, cmdTags, cmdTouch)
			w.mutate(s.a, both, 10*time.Millisecond, false, false)
			for range 4 {
				s.read(s.a, "r:k1")
				s.read(s.b, "r:k1")
				wait(1100 * time.Millisecond)
			}
			w.invalidateTags(s.b, tagOdd)
			s.everywhere("r:k1")
		},
	},
	{
		name: "gathered loads, one of whose keys is deleted",
		plan: having(traits{many: true}),
		act: func(w *world, s *stage) {
			for range 5 {
				for _, key := range both {
					s.wg.Go(func() { w.get(s.a, "bound", key, true, how{}) })
				}
				wait(3 * time.Millisecond)
				w.deleteMany(s.b, both, true)
				s.wg.Wait()
			}
			s.everywhere("r:k1")
		},
	},
}
