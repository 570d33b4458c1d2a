package sim

import (
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/tiered"
)

// askingShort are traits of a region whose values are soon to be asked about, of an
// origin that has weak validators: version 1 is "unchanged" since version 0.
var askingShort = traits{asks: weak, ttl: 4 * time.Second, keep: time.Minute}

// ask reads a key by LoadIf.
func (s *stage) ask(n *node, key string, takes time.Duration) *call {
	return s.w.get(n, "load", key, true, how{takes: takes, early: true, asks: true})
}

// asked is how often the origin was asked about a value of a key, and how often it
// has said that this is unchanged.
func (s *stage) asked(key string) (times, unchanged int) {
	s.w.oracle.mu.Lock()
	defer s.w.oracle.mu.Unlock()
	for _, l := range s.w.oracle.loads {
		if l.key == key && l.was != nil {
			times++
			if l.unchanged {
				unchanged++
			}
		}
	}
	return times, unchanged
}

// wantAsked fails the test unless the origin was asked that often.
func (s *stage) wantAsked(key string, times, unchanged int) {
	if t, u := s.asked(key); t != times || u != unchanged {
		s.w.t.Errorf("the origin was asked %d times about %s, and has said %d times that it is unchanged; want %d, %d", t, key, u, times, unchanged)
	}
}

// lapsed lets a key be loaded by LoadIf, and its life end.
func (s *stage) lapsed(key string) {
	s.ask(s.a, key, time.Millisecond)
	wait(s.w.plan.settings.of(key).ttl)
}

// wantVersion fails the test unless a call was answered with a version.
func (s *stage) wantVersion(c *call, version uint64) {
	if c.value.version != version || c.err != nil {
		s.w.t.Errorf("on %s: %s, want version %d", c.node, c.line(true), version)
	}
}

var askingScenarios = []scenario{
	{
		name: "what is unchanged is renewed, for everybody, and again", shows: []string{retries + cmdRevalidate},
		plan: retrying(traits{asks: strong, ttl: time.Second, keep: time.Minute}),
		act: func(w *world, s *stage) {
			w.plan.fates("a", fateCut, 1, cmdRevalidate)
			s.lapsed("r:k1")
			s.ask(s.a, "r:k1", time.Millisecond)
			wait(500 * time.Millisecond)
			c := s.ask(s.b, "r:k1", time.Millisecond)
			s.want(c, "what L2 has again", c.source == tiered.SourceL2)
			s.wantAsked("r:k1", 1, 1)
			wait(time.Second)
			w.oracle.commit("r:k1", false)
			s.wantVersion(s.ask(s.b, "r:k1", time.Millisecond), 1)
			s.wantAsked("r:k1", 2, 1)
		},
	},
	{
		name: "a Delete while the origin is asked", shows: []string{"a Delete while the origin is asked whether a value is unchanged"},
		plan: having(askingShort),
		act: func(w *world, s *stage) {
			s.lapsed("r:k1")
			s.started(func() { s.ask(s.a, "r:k1", 300*time.Millisecond) })
			w.write(s.b, "delete", "r:k1", false)
			s.wg.Wait()
			s.wantVersion(s.ask(s.a, "r:k1", time.Millisecond), 1)
			s.everywhere("r:k1")
		},
	},
	{
		name: "an Expire while the origin is asked", shows: []string{"an Expire while the origin is asked whether a value is unchanged"},
		plan: having(traits{asks: strong, ttl: time.Minute, stale: time.Hour}),
		act: func(w *world, s *stage) {
			s.ask(s.a, "r:k1", time.Millisecond)
			s.started(func() {
				w.get(s.a, "force", "r:k1", true, how{takes: 300 * time.Millisecond, early: true, asks: true})
			})
			w.write(s.b, "expire", "r:k1", false)
			s.wg.Wait()
			s.everywhere("r:k1")
		},
	},
	{
		name: "a value is gone before the origin is asked about it", shows: []string{"what the origin was asked about is gone"},
		plan: having(askingShort),
		act:  goneBefore,
	},
	{
		name: "another value is there when the origin has answered", shows: []string{"another value is there than the origin was asked about"},
		plan: having(traits{asks: weak, ttl: 4 * time.Second, keep: time.Minute, tags: true}),
		act:  another,
	},
	{
		name: "a tag is invalidated while the origin is asked", shows: []string{"a tag invalidated between a lease and the renewal under it"},
		plan: having(traits{asks: weak, ttl: time.Second, keep: time.Minute, tags: true}),
		act: func(w *world, s *stage) {
			for _, quietly := range []bool{false, true} {
				s.lapsed("r:k1")
				if quietly {
					w.plan.telling(none)
				}
				s.started(func() { s.ask(s.a, "r:k1", 300*time.Millisecond) })
				w.write(s.b, "", "r:k1", false)
				w.invalidateTags(s.b, tagEven, tagOdd)
				s.wg.Wait()
				wait(w.plan.settings.bound / 2)
				s.ask(s.b, "r:k1", time.Millisecond)
				s.everywhere("r:k1")
			}
		},
	},
	{
		name: "an instance that is cut off asks on and on", shows: []string{"an instance without Redis asks about what it has"},
		plan: having(traits{asks: weak, ttl: 500 * time.Millisecond, keep: time.Minute}),
		act: func(w *world, s *stage) {
			s.ask(s.a, "r:k1", time.Millisecond)
			w.net.set("a", func(x *wires) { x.refused = true })
			w.net.cut("a", sortData, sortPubSub)
			w.write(s.b, "delete", "r:k1", false)
			for range 30 {
				s.ask(s.a, "r:k1", time.Millisecond)
				wait(200 * time.Millisecond)
			}
			s.wantVersion(s.ask(s.a, "r:k1", time.Millisecond), 1)
			w.net.set("a", func(x *wires) { x.refused = false })
			wait(4 * time.Second)
			s.everywhere("r:k1")
		},
	},
	{
		name: "a load ahead of time asks while the value is deleted", shows: []string{
			"a load ahead of time is told that a value with a tag is unchanged",
			"a load ahead of time asks about what another instance expires or deletes meanwhile",
		},
		plan: having(traits{asks: weak, ttl: 4 * time.Second, keep: time.Minute, ahead: 0.3, tags: true}),
		act: func(w *world, s *stage) {
			for _, meanwhile := range []bool{false, true} {
				s.ask(s.a, "r:k1", time.Millisecond)
				wait(2 * time.Second)
				s.ask(s.a, "r:k1", 300*time.Millisecond) // hits, and begins a load
				wait(100 * time.Millisecond)
				if meanwhile {
					w.write(s.b, "delete", "r:k1", false)
				}
				wait(time.Second)
				s.everywhere("r:k1")
			}
		},
	},
	{
		name: "what was expired is asked about, and served stale", shows: []string{
			"what was expired is unchanged", "what was expired, with a tag, is asked about",
			"a forced load asks about what was expired", "a value is served stale after it was unchanged",
		},
		plan: having(traits{asks: strong, ttl: time.Minute, stale: time.Hour, tags: true}),
		act: func(w *world, s *stage) {
			s.ask(s.a, "r:k1", time.Millisecond)
			expire := func() {
				w.invalidate(s.b, "expire", "r:k1", w.oracle.current("r:k1"))
				wait(time.Millisecond) // it is heard
			}
			expire()
			s.ask(s.a, "r:k1", time.Millisecond)
			s.wantAsked("r:k1", 1, 1)
			expire()
			w.get(s.b, "force", "r:k1", true, how{takes: time.Millisecond, early: true, asks: true})
			s.wantAsked("r:k1", 2, 2)
			expire()
			c := w.get(s.a, "load", "r:k1", true, how{takes: time.Millisecond, early: true, fails: true, asks: true})
			s.want(c, "what is past its life", c.stale)
			w.write(s.b, "expire", "r:k1", false)
			wait(10 * time.Second)
			s.wantVersion(s.ask(s.a, "r:k1", time.Millisecond), 1)
			s.everywhere("r:k1")
		},
	},
	{
		name: "a value from before a failover is asked about", shows: []string{"a value from before a failover is not renewed"},
		plan: having(traits{asks: weak, ttl: time.Second, keep: time.Minute}),
		act:  beforeFailover,
	},
}

// goneBefore: a value is found whose life is over; before the lease is granted it is
// invalidated, which its reader does not hear; the origin says that it is unchanged.
// With the lease alone it would be back, as of a sequence that includes the Delete.
func goneBefore(w *world, s *stage) {
	s.lapsed("r:k1")
	w.plan.telling(none)
	lease := w.net.holdNext(toServer, commandOf(s.a, cmdGetOrLease, "r:k1"))
	s.started(func() { s.ask(s.a, "r:k1", time.Millisecond) })
	s.caught(lease)
	w.write(s.b, "delete", "r:k1", false)
	lease.release()
	s.wg.Wait()
	s.wantAsked("r:k1", 1, 1)
	s.wantVersion(s.ask(s.a, "r:k1", time.Millisecond), 1)
	s.everywhere("r:k1")
}

// another: a value is found whose life is over; before the lease is asked for it is
// replaced, and the other one is of no use either, because of its tag. The reader
// has heard of nothing.
func another(w *world, s *stage) {
	s.lapsed("r:k1")
	w.plan.telling(func(_ string, m *message) int {
		if m.names("r:k1") {
			return 0
		}
		return 1
	})
	lease := w.net.holdNext(toServer, commandOf(s.a, cmdGetOrLease, "r:k1"))
	s.started(func() { s.ask(s.a, "r:k1", time.Millisecond) })
	s.caught(lease)
	w.write(s.b, "", "r:k1", false)
	s.read(s.b, "r:k1") // by a load that does not ask
	w.invalidateTags(s.b, tagOdd)
	lease.release()
	s.wg.Wait()
	s.wantAsked("r:k1", 1, 1)
	s.everywhere("r:k1")
}

// beforeFailover: Redis fails over, and with the former primary a Delete is lost
// whose instance dies. One instance has probed the new primary; another, which has
// not, asks about the value and is told that it is unchanged. It may be served for
// as long as any that nobody can vouch for, and no longer.
func beforeFailover(w *world, s *stage) {
	w.failover("first")
	wait(time.Second)
	s.lapsed("r:k1")
	before := w.snapshot("r:k1")
	w.plan.telling(none)
	w.write(s.b, "delete", "r:k1", false)
	w.stop(s.b, true)
	probe := w.net.holdNext(toServer, commandOf(s.a, cmdProbe, ""))
	s.caught(probe)
	// It does not wait for that one for ever, and may ask again before the other does.
	again := w.net.holdNext(toServer, commandOf(s.a, cmdProbe, ""))
	w.restore(before)
	w.failover("second")
	asked := w.net.holdNext(toServer, commandOf(w.at("c"), cmdProbe, ""))
	s.caught(asked)
	known := w.net.holdNext(toClient, commandOf(w.at("c"), cmdProbe, ""))
	asked.release()
	s.caught(known)
	known.release()
	s.ask(s.a, "r:k1", time.Millisecond)
	wait(100 * time.Millisecond)
	probe.release()
	again.release()
	s.b = w.start("b")
	for range 30 {
		s.ask(s.b, "r:k1", time.Millisecond)
		s.ask(s.a, "r:k1", time.Millisecond)
		wait(500 * time.Millisecond)
	}
}

// snapshot is what Redis has of a key, its value and the sequence of its partition.
func (w *world) snapshot(key string) map[string]string {
	l, err := keyspace.New(prefix, partitions)
	if err != nil {
		w.t.Fatal(err)
	}
	region, name := split(key)
	p := l.Partition(keyspace.Hash(region, name))
	content := make(map[string]string)
	for _, name := range []string{l.Value(p, region, name), l.Sequence(p)} {
		if content[name], err = w.redis.Get(name); err != nil {
			w.t.Error(err)
		}
	}
	return content
}

// restore lets Redis have what it had.
func (w *world) restore(content map[string]string) {
	for name, value := range content {
		if err := w.redis.Set(name, value); err != nil {
			w.t.Error(err)
		}
	}
}

// grace is how long what is from before a failover may live on.
const grace = 10 * time.Second

// failover lets another primary answer. What was invalidated on the former one may
// be answered for the grace, and the bound, if nobody sends it again.
func (w *world) failover(primary string) {
	w.net.setPrimary(primary)
	w.oracle.failsOver()
	w.log.add(event{kind: evFailover, text: primary})
}

// failsOver takes that in.
func (o *oracle) failsOver() {
	now := time.Since(o.log.began)
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, k := range o.keys {
		for i := range k.invals {
			k.invals[i].at = max(k.invals[i].at, now+grace)
		}
	}
}
