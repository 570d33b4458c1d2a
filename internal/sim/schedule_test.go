package sim

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// run lives the plan: nodes, their clients, and what the schedule does.
func (w *world) run() {
	for _, place := range []string{"a", "b", "c"} {
		w.start(place)
	}
	for _, place := range []string{"a", "b", "c"} {
		for i := range 3 {
			w.clients.Go(func() { w.client(place, i, w.plan.length) })
		}
	}
	var acts sync.WaitGroup
	for _, a := range w.plan.actions {
		if left := a.at - time.Since(w.log.began); left > 0 {
			wait(left)
		}
		acts.Go(func() { w.do(a) })
	}
	acts.Wait()
	w.clients.Wait()
}

// do carries out one action and takes it back.
func (w *world) do(a action) {
	n := w.at(a.place)
	w.log.add(event{kind: evFault, node: n.name, text: fmt.Sprintf("%s for %v (key %s, sort %d, direction %d)", a.what, a.lasts, w.keys[a.key], a.sort, a.dir)})
	switch a.what {
	case "cut":
		w.net.cut(n.name, sortData, sortPubSub)
	case "cut-pubsub":
		w.net.cut(n.name, sortPubSub)
	case "silent":
		w.during(n, a.lasts, func(s *wires, on bool) { s.silent[a.dir][a.sort] = on })
	case "stall":
		w.during(n, a.lasts, func(s *wires, on bool) { s.stalled = on })
	case "refuse":
		w.net.cut(n.name, sortData, sortPubSub)
		w.during(n, a.lasts, func(s *wires, on bool) { s.refused = on })
	case "crash", "close":
		w.replace(a.place, a.what == "crash")
	case "crash-writing":
		if w.writes(n) {
			w.replace(a.place, true)
		}
	case "jump":
		w.jump(a.lasts)
	case "jump-back":
		w.jump(-a.lasts)
	case "flush":
		w.flush()
	case "flush-back":
		w.jump(-a.lasts)
		w.flush()
	case "evict":
		w.evict(a.key, true)
	case "evict-lease":
		w.evict(a.key, false)
	case "evict-tag":
		w.evictTag(tagNames[a.key%len(tagNames)])
	case "unsubscribe":
		w.unsubscribe(n, []string{"unsubscribe", "sunsubscribe"}[a.sort])
	case "unknown-scripts":
		w.forgetScripts()
	}
}

// during changes the state of a node's wires for a time.
func (w *world) during(n *node, d time.Duration, change func(s *wires, on bool)) {
	w.net.set(n.name, func(s *wires) { change(s, true) })
	wait(d)
	w.net.set(n.name, func(s *wires) { change(s, false) })
	w.log.add(event{kind: evFault, node: n.name, text: "over"})
}

// writes waits until a Mutate is under way on a node, if one comes soon.
func (w *world) writes(n *node) bool {
	for range 200 {
		n.mu.Lock()
		running := n.running["mutate"]
		n.mu.Unlock()
		if running > 0 {
			return true
		}
		wait(w.plan.settings.bound / 200)
	}
	return false
}

// replace closes the node at a place and starts a new one. Of two that come
// together the second finds nothing to do.
func (w *world) replace(place string, crash bool) {
	old := w.at(place)
	old.mu.Lock()
	gone := old.running["gone"] > 0
	old.running["gone"]++
	old.mu.Unlock()
	if gone {
		return
	}
	w.start(place) // calls that are still to come go there
	w.stop(old, crash)
}

func (w *world) jump(d time.Duration) {
	w.net.jump(d)
	w.oracle.lost("") // lives end early
}

func (w *world) flush() {
	w.oracle.lost("")
	w.redis.FlushAll()
	w.oracle.lost("")
	w.log.add(event{kind: evFlushed})
}

// evict removes what Redis may evict: keys that have a life.
func (w *world) evict(key int, alsoValue bool) {
	name := w.keys[key]
	region, k := split(name)
	l, err := keyspace.New(prefix, partitions)
	if err != nil {
		w.t.Fatal(err)
	}
	p := l.Partition(keyspace.Hash(region, k))
	if alsoValue && w.oracle.blocks(name) {
		return // tombstones need a Redis that does not evict
	}
	w.oracle.lost(name)
	if alsoValue {
		w.redis.Del(l.Value(p, region, k))
	} else {
		w.redis.Del(l.Lease(p, region, k))
	}
	w.oracle.lost(name)
	w.log.add(event{kind: evEvicted, key: name})
}

// evictTag removes what the server knows of a tag, which has a life too.
func (w *world) evictTag(tag string) {
	l, err := keyspace.New(prefix, partitions)
	if err != nil {
		w.t.Fatal(err)
	}
	name := tag[len(tagPrefix):]
	w.redis.Del(l.Tag(l.Partition(keyspace.HashTag(name)), name))
	w.log.add(event{kind: evEvicted, key: tag})
}

// unsubscribe lets the server end a node's subscriptions.
func (w *world) unsubscribe(n *node, sort string) {
	s := w.net.wiresOf(n.name)
	s.mu.Lock()
	var links []*link
	for l := range s.links {
		if l.pubsub.Load() {
			links = append(links, l)
		}
	}
	s.mu.Unlock()
	for _, l := range links {
		l.unsubscribe(sort, channel())
	}
}

// channel is the one on which invalidations are announced.
func channel() string {
	return fmt.Sprintf("%s:%d.%d:invalidations", prefix, keyspace.Version, partitions)
}

// forgetScripts lets the server forget all scripts.
func (w *world) forgetScripts() { w.tell("SCRIPT", "FLUSH") }

// teachScripts lets it know them from the beginning.
func (w *world) teachScripts() {
	for _, name := range scripts {
		w.tell("SCRIPT", "LOAD", source(name))
	}
}

// tell sends a command to the server, past the network.
func (w *world) tell(args ...string) {
	conn, err := w.redis.Dial()
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	go func() {
		var b strings.Builder
		fmt.Fprintf(&b, "*%d\r\n", len(args))
		for _, a := range args {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
		}
		_, _ = io.WriteString(conn, b.String())
	}()
	if _, err := readFrame(conn); err != nil {
		w.t.Errorf("%v: %v", args[0], err)
	}
}

// heal ends all faults and lets the fleet recover.
func (w *world) heal() {
	w.plan.calm.Store(true)
	for _, place := range []string{"a", "b", "c"} {
		w.net.set(w.at(place).name, func(s *wires) { s.stalled, s.refused, s.silent = false, false, [2][2]bool{} })
	}
	wait(w.plan.settings.bound + 5*time.Second)
}
