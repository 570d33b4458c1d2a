package sim

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// A scenario brings about an interleaving that seeds seldom or never reach, by
// holding frames back. The oracle judges its reads like all others.
type scenario struct {
	name  string
	shows []string // names of the interleavings that must happen
	plan  func(p *plan)
	act   func(w *world, s *stage)
}

// stage is what a scenario works with: two nodes that are ready, and the keys.
type stage struct {
	w    *world
	a, b *node
	wg   sync.WaitGroup
}

// play acts a scenario in a world of its own, and mends what it has broken there.
func (sc *scenario) play(tb testing.TB, sabotage saboteur) *world {
	tb.Helper()
	p := quietPlan()
	if sc.plan != nil {
		sc.plan(p)
	}
	w := newWorld(tb, p)
	w.net.taps.sabotage = sabotage
	w.teachScripts()
	s := &stage{w: w, a: w.start("a"), b: w.start("b")}
	w.start("c")
	wait(200 * time.Millisecond)
	sc.act(w, s)
	s.wg.Wait()
	w.heal()
	return w
}

func TestScenarios(t *testing.T) {
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			var w *world
			synctest.Test(t, func(t *testing.T) {
				w = sc.play(t, nil)
				w.conclude()
				w.end()
				w.explain()
			})
			h := newHistory(w)
			for _, i := range interleavings {
				if slices.Contains(sc.shows, i.name) && !i.seen(h) {
					t.Errorf("has not happened: %s", i.name)
				}
			}
			w.cover()
			if len(w.oracle.violations) > 0 {
				for _, v := range w.oracle.violations {
					t.Error(v)
				}
				t.Logf("\n%s", w.log.trace("", time.Hour))
			}
		})
	}
}

// read reads a key through the cache.
func (s *stage) read(n *node, key string) *call { return s.slow(n, key, time.Millisecond) }

// slow is read with a load that takes some time, and reads the origin first.
func (s *stage) slow(n *node, key string, takes time.Duration) *call {
	return s.w.get(n, "load", key, true, how{takes: takes, early: true})
}

// started runs something beside the scenario, and lets it get under way.
func (s *stage) started(f func()) {
	s.wg.Go(f)
	wait(20 * time.Millisecond)
}

// caught waits until a frame is held.
func (s *stage) caught(h *hold) {
	if err := await("a frame to be held", h.caught); err != nil {
		s.w.t.Fatal(err)
	}
}

// commandOf matches frames of a node's command, or replies to it, about a key.
func commandOf(n *node, name, key string) func(f *frame) bool {
	return func(f *frame) bool {
		return f.node == n.name && f.cmd != nil && f.cmd.name == name && (key == "" || f.cmd.names(key))
	}
}

// messageOf matches messages to a node about a key.
func messageOf(n *node, key string) func(f *frame) bool {
	return func(f *frame) bool { return f.node == n.name && f.msg != nil && f.msg.names(key) }
}

// fates lets the first commands of each name, and of a node, have a fate.
func (p *plan) fates(node string, f fate, times int, names ...string) {
	var mu sync.Mutex
	left := make(map[string]int)
	for _, name := range names {
		left[name] = times
	}
	p.deciding(func(c *command) (fate, bool) {
		mu.Lock()
		defer mu.Unlock()
		if c.node != node || left[c.name] == 0 {
			return fateNone, false
		}
		left[c.name]--
		return f, true
	})
}

// deciding lets f decide what becomes of commands, from now on.
func (p *plan) deciding(f func(c *command) (fate, bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.decide = f
}

// telling lets f decide how many copies of a message arrive, from now on.
func (p *plan) telling(f func(node string, m *message) int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages = f
}

// none is for telling: all messages are lost.
func none(string, *message) int { return 0 }

var scenarios = append([]scenario{
	{
		name: "Set, Delete, Get in one instant", shows: []string{"Set, Delete, Get while L1 still has entries to take in"},
		plan: func(p *plan) { p.instant = true },
		act: func(w *world, s *stage) {
			for round := range 5 {
				var keys []string
				for i := range 30 {
					keys = append(keys, fmt.Sprintf("r:x%d-%d", round, i))
				}
				w.declareAll(keys)
				for _, key := range keys {
					s.wg.Go(func() { w.write(s.a, "set", key, false) })
				}
				w.write(s.a, "set", "r:k1", false)
				w.write(s.a, "delete", "r:k1", false)
				w.get(s.a, "get", "r:k1", true, how{})
				s.read(s.a, "r:k1")
				s.wg.Wait()
			}
		},
	},
	{
		name: "Set, Set of a new key", shows: []string{"Set, Set of a new key"},
		act: func(w *world, s *stage) {
			w.write(s.a, "set", "r:k1", false)
			w.write(s.a, "set", "r:k1", false)
			wait(time.Millisecond)
			s.read(s.a, "r:k1")
		},
	},
	{
		name: "fill and its twin after a Delete", shows: []string{"lease, origin read, Delete, fill, and its twin executed late", "joining an old flight after a local Delete"},
		plan: func(p *plan) {
			p.fates("a", fateTwin, 2, cmdFill)
			p.late = 700 * time.Millisecond
		},
		act: func(w *world, s *stage) {
			s.started(func() { s.slow(s.a, "r:k1", 300*time.Millisecond) })
			w.write(s.a, "delete", "r:k1", false)
			s.read(s.a, "r:k1")
			wait(time.Second)
			s.read(s.a, "r:k1")
			s.read(s.b, "r:k1")
		},
	},
	{
		name: "fill after a Delete, executed late", shows: []string{"lease, origin read, Delete, fill, and its twin executed late"},
		plan: func(p *plan) {
			p.settings.retries = 3
			p.fates("a", fateLate, 1, cmdFill)
			p.late = 700 * time.Millisecond
		},
		act: func(w *world, s *stage) {
			s.started(func() { s.slow(s.a, "r:k1", 100*time.Millisecond) })
			w.write(s.b, "delete", "r:k1", false)
			wait(time.Second)
			s.read(s.a, "r:k1")
			s.read(s.b, "r:k1")
		},
	},
	{
		name: "joining a flight after its invalidation was lost", shows: []string{"joining an old flight after a remote Delete whose message was lost"},
		plan: func(p *plan) {
			p.messages = func(node string, _ *message) int {
				if node == "a" {
					return 0
				}
				return 1
			}
		},
		act: func(w *world, s *stage) {
			s.started(func() { s.slow(s.a, "r:k1", 4*time.Second) })
			w.write(s.b, "delete", "r:k1", false)
			wait(2*time.Second + 10*time.Millisecond)
			s.slow(s.a, "r:k1", time.Millisecond)
		},
	},
	{
		name: "the last message is lost, then one before another key's", shows: []string{"a last message lost", "a message lost, followed by one of another key"},
		act: func(w *world, s *stage) {
			w.plan.telling(func(node string, m *message) int {
				if node == "a" && m.names("r:k1") {
					return 0
				}
				return 1
			})
			twin := w.neighbour("r:k1")
			for _, followed := range []bool{false, true} {
				s.read(s.a, "r:k1")
				w.write(s.b, "delete", "r:k1", false)
				if followed {
					w.write(s.b, "delete", twin, false)
				}
				wait(time.Millisecond)
				s.read(s.a, "r:k1")
				wait(2*time.Second + time.Millisecond)
				s.read(s.a, "r:k1")
			}
		},
	},
	{
		name: "a probe's reply and a message in one instant, while clients read", shows: []string{"probe's reply and message in one instant", "Get while lease and fence move"},
		act: func(w *world, s *stage) {
			for range 10 {
				s.read(s.a, "r:k1")
				m := w.net.holdNext(toClient, messageOf(s.a, "r:k1"))
				w.write(s.b, "delete", "r:k1", false)
				s.caught(m)
				p := w.net.holdNext(toClient, commandOf(s.a, cmdProbe, ""))
				s.caught(p)
				// The copy is void from now on by the bound alone.
				for range 4 {
					s.wg.Go(func() {
						for range 25 {
							s.slow(s.a, "r:k1", 0)
						}
					})
				}
				m.release()
				p.release()
				s.wg.Wait()
			}
		},
	},
	{
		name: "a probe's reply overtakes a message", shows: []string{"probe's reply overtakes a message"},
		act: func(w *world, s *stage) {
			s.read(s.a, "r:k1")
			m := w.net.holdNext(toClient, messageOf(s.a, "r:k1"))
			w.write(s.b, "delete", "r:k1", false)
			s.caught(m)
			wait(700 * time.Millisecond) // not so long that the subscription is given up
			s.read(s.a, "r:k1")
			m.release()
			wait(time.Millisecond)
			s.read(s.a, "r:k1")
		},
	},
	{
		name: "a probe's reply comes long after a Delete that it does not know of", shows: []string{"probe executed before, and heard long after, a Delete"},
		act: func(w *world, s *stage) {
			s.read(s.a, "r:k1")
			p := w.net.holdNext(toClient, commandOf(s.a, cmdProbe, ""))
			w.plan.telling(none)
			s.caught(p)
			w.write(s.b, "delete", "r:k1", false)
			wait(150 * time.Millisecond)
			p.release()
			for range 25 {
				wait(100 * time.Millisecond)
				s.read(s.a, "r:k1")
			}
		},
	},
	{
		name: "subscribed anew, without and with a number missed", shows: []string{"subscribed anew, nothing missed", "subscribed anew, a number missed"},
		act: func(w *world, s *stage) {
			s.read(s.a, "r:k1")
			w.net.cut("a", sortPubSub)
			wait(time.Second)
			s.read(s.a, "r:k1")
			w.net.set("a", func(x *wires) { x.refused = true })
			w.net.cut("a", sortPubSub)
			wait(100 * time.Millisecond)
			w.write(s.b, "delete", "r:k1", false)
			w.net.set("a", func(x *wires) { x.refused = false })
			wait(2 * time.Second)
			s.read(s.a, "r:k1")
		},
	},
	{
		name: "an older read lands after a newer one", shows: []string{"an older read lands after a newer one", "invalidation heard before the reply to a read"},
		act: func(w *world, s *stage) {
			w.write(s.b, "set", "r:k1", false)
			older := w.net.holdNext(toClient, commandOf(s.a, cmdGet, "r:k1"))
			s.started(func() { w.get(s.a, "get", "r:k1", true, how{}) })
			s.caught(older)
			message := w.net.holdNext(toClient, messageOf(s.a, "r:k1"))
			w.write(s.b, "set", "r:k1", false)
			s.read(s.a, "r:k1") // another kind of flight: it reads for itself
			older.release()
			wait(time.Millisecond)
			s.read(s.a, "r:k1")
			w.get(s.a, "get", "r:k1", true, how{})
			message.release()
			wait(time.Millisecond)

			again := w.net.holdNext(toClient, commandOf(s.b, cmdGet, "q:k1"))
			w.write(s.a, "set", "q:k1", false)
			s.started(func() { s.read(s.b, "q:k1") })
			s.caught(again)
			w.write(s.a, "delete", "q:k1", false)
			wait(time.Millisecond)
			again.release()
			wait(time.Millisecond)
			s.read(s.b, "q:k1")
		},
	},
	{
		name:  "every script again after a cut reply",
		shows: []string{retries + cmdBegin, retries + cmdFill, retries + cmdGetOrLease, retries + cmdInvalidate, retries + cmdRelease, retries + cmdRenew},
		plan: func(p *plan) {
			p.settings.retries = 3
			p.fates("a", fateCut, 1, cmdBegin, cmdFill, cmdGetOrLease, cmdInvalidate, cmdRelease, cmdRenew)
		},
		act: func(w *world, s *stage) {
			w.write(s.a, "set", "r:k1", false)
			s.read(s.b, "r:k1")
			w.write(s.a, "delete", "r:k1", false)
			s.read(s.a, "r:k1")
			w.get(s.a, "load", "q:k1", true, how{takes: 4 * time.Second, early: true, fails: true}) // renews, fails, releases
			wait(2 * time.Second)
			s.read(s.b, "q:k1")
			s.read(s.a, "q:k1")
		},
	},
	{
		name: "the queue overflows, and whole partitions are invalidated twice", shows: []string{retries + cmdInvalidatePart, "a Delete fails, then a Get"},
		plan: func(p *plan) { p.settings.retries = 3 },
		act: func(w *world, s *stage) {
			s.read(s.a, "r:k1")
			s.read(s.b, "r:k1")
			w.net.set("a", func(x *wires) { x.refused = true })
			w.net.cut("a", sortData, sortPubSub)
			w.write(s.a, "delete", "r:k1", false)
			s.read(s.a, "r:k1")
			refs := make([]tiered.Ref, 66_000)
			t := s.a.real().node
			for i := range refs {
				refs[i] = t.Ref("r", fmt.Sprint("many", i))
			}
			if err := t.Delete(context.Background(), refs...); err == nil {
				w.t.Error("the Delete of many keys was confirmed without Redis")
			}
			s.read(s.a, "r:k1")
			w.plan.fates("a", fateCut, 2, cmdInvalidatePart)
			w.net.set("a", func(x *wires) { x.refused = false })
			wait(4 * time.Second)
			s.read(s.a, "r:k1")
			s.read(s.b, "r:k1")
		},
	},
	{
		name: "a lease ends while its load goes on", shows: []string{"a lease ends, two load"},
		act: func(w *world, s *stage) {
			s.started(func() { s.slow(s.a, "r:k1", 9*time.Second) })
			w.net.set("a", func(x *wires) { x.stalled = true })
			w.oracle.commit("r:k1", false)
			wait(6 * time.Second)
			s.started(func() { s.slow(s.b, "r:k1", 4*time.Second) })
			w.net.set("a", func(x *wires) { x.stalled = false })
			s.wg.Wait()
			s.read(s.a, "r:k1")
			s.read(s.b, "r:k1")
		},
	},
	{
		name: "FLUSHALL during a load", shows: []string{"FLUSHALL during a load"},
		act: func(w *world, s *stage) {
			s.started(func() { s.slow(s.a, "r:k1", 300*time.Millisecond) })
			w.flush()
			w.write(s.b, "delete", "r:k1", false)
			s.read(s.b, "r:k1")
			s.wg.Wait()
			s.read(s.a, "r:k1")
		},
	},
	{
		name: "the sequence goes back to an equal number", shows: []string{"the sequence goes back to an equal number"},
		act: equalNumber,
	},
	{
		name: "a flight lands after the sequence has gone back",
		plan: func(p *plan) { p.settings.timeout = time.Second },
		act:  landsAfterRewind,
	},
	{
		name: "a confirmation arrives after the sequence has gone back",
		plan: func(p *plan) { p.settings.timeout = time.Second },
		act:  func(w *world, s *stage) { confirmedAfterRewind(w, s, false) },
	},
	{
		name: "the confirmation of a retry arrives after the sequence has gone back",
		plan: func(p *plan) { p.settings.timeout = time.Second },
		act:  func(w *world, s *stage) { confirmedAfterRewind(w, s, true) },
	},
	{
		name: "the server ends the subscription", shows: []string{"sunsubscribe"},
		act: func(w *world, s *stage) {
			s.read(s.a, "r:k1")
			w.unsubscribe(s.a, "sunsubscribe")
			w.write(s.b, "delete", "r:k1", false)
			wait(2*time.Second + time.Millisecond)
			s.read(s.a, "r:k1")
			w.unsubscribe(s.a, "unsubscribe")
			w.write(s.b, "delete", "r:k1", false)
			wait(2*time.Second + time.Millisecond)
			s.read(s.a, "r:k1")
		},
	},
	{
		name: "frames in pieces", shows: []string{"frames in pieces"},
		plan: func(p *plan) {
			p.quiet, p.rates.split = false, 1
		},
		act: func(w *world, s *stage) {
			for range 5 {
				s.read(s.a, "r:k1")
				s.read(s.b, "r:k1")
				w.write(s.b, "delete", "r:k1", false)
				wait(100 * time.Millisecond)
			}
		},
	},
	{
		name: "Close during everything", shows: []string{"Close during everything"},
		act: closeDuringEverything,
	},
}, slices.Concat(featureScenarios, askingScenarios)...)
