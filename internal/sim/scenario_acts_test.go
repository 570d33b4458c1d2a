package sim

import (
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// declareAll makes keys known while the world runs.
func (w *world) declareAll(keys []string) {
	w.oracle.mu.Lock()
	defer w.oracle.mu.Unlock()
	for _, key := range keys {
		w.declare(key)
	}
}

// neighbour is another key of the same partition, with a stripe of its own.
func (w *world) neighbour(key string) string {
	w.oracle.mu.Lock()
	defer w.oracle.mu.Unlock()
	for _, other := range w.keys {
		if other != key && w.oracle.keys[other].partition == w.oracle.keys[key].partition {
			return other
		}
	}
	w.t.Fatalf("%s is alone in its partition", key)
	return ""
}

// sequenceOf is the present sequence of a key's partition in Redis.
func (w *world) sequenceOf(key string) string {
	region, name := split(key)
	return w.net.sequence(keyspace.Hash(region, name))
}

// sequence is that of the partition of a hash.
func (n *network) sequence(hash uint64) string {
	l, err := keyspace.New(prefix, partitions)
	if err != nil {
		return ""
	}
	s, _ := n.redis.Get(l.Sequence(l.Partition(hash)))
	return s
}

// equalNumber: Redis loses everything, its clock goes back to just the time that
// the lost sequence had counted to, and a Delete creates a sequence that has the
// number that was heard last. No probe comes between.
func equalNumber(w *world, s *stage) {
	w.write(s.a, "delete", "r:k1", false)
	s.read(s.a, "r:k1")
	s.read(s.b, "r:k1")
	probe := w.net.holdNext(toServer, commandOf(s.a, cmdProbe, ""))
	others := w.net.holdNext(toServer, commandOf(s.b, cmdProbe, ""))
	third := w.net.holdNext(toServer, commandOf(w.at("c"), cmdProbe, ""))
	s.caught(probe)
	s.caught(others)
	s.caught(third)
	count := parseUint(w.sequenceOf("r:k1"))
	w.flush()
	// The script creates the sequence as the server's time: when it is executed is
	// known to the microsecond, as there is nothing else under way.
	w.net.freeze(time.UnixMicro(int64(count)))
	w.write(s.a, "delete", "r:k1", false)
	s.read(s.a, "r:k1")
	w.net.thaw()
	for _, h := range []*hold{probe, others, third} {
		h.release()
	}
	wait(3 * time.Second)
	s.read(s.a, "r:k1")
	s.read(s.b, "r:k1")
}

// landsAfterRewind: a flight that read a value under the old sequence lands under
// the new one, which is smaller, and met another flight in the air. What is then
// loaded without Redis does not outlive the next Delete.
func landsAfterRewind(w *world, s *stage) {
	w.net.jump(time.Hour)
	w.flush()
	wait(2 * time.Second)
	w.write(s.b, "set", "r:k1", false)
	older := w.net.holdNext(toClient, commandOf(s.a, cmdGet, "r:k1"))
	s.started(func() { w.get(s.a, "get", "r:k1", true, how{}) })
	s.caught(older)
	other := w.net.holdNext(toClient, commandOf(s.a, cmdGet, "r:k1"))
	s.started(func() { s.read(s.a, "r:k1") })
	s.caught(other)
	w.net.jump(-time.Hour)
	w.flush()
	s.rewound()
	older.release()
	other.release()
	wait(10 * time.Millisecond)
	s.loadAloneThenDelete()
}

// confirmedAfterRewind is the same with a Delete's confirmation, or that of its
// retry.
func confirmedAfterRewind(w *world, s *stage, retried bool) {
	w.net.jump(time.Hour)
	w.flush()
	wait(2 * time.Second)
	s.read(s.a, "r:k1")
	if retried {
		w.plan.fates("a", fateCutFirst, 100, cmdInvalidate)
		w.write(s.a, "delete", "r:k1", false)
		w.plan.fates("", fateNone, 0)
	}
	reply := w.net.holdNext(toClient, commandOf(s.a, cmdInvalidate, "r:k1"))
	if !retried {
		s.started(func() { w.write(s.a, "delete", "r:k1", false) })
	}
	s.caught(reply)
	w.net.jump(-time.Hour)
	w.flush()
	s.rewound()
	reply.release()
	wait(10 * time.Millisecond)
	s.loadAloneThenDelete()
}

// rewound waits until node a has probed.
func (s *stage) rewound() {
	p := s.w.net.holdNext(toClient, commandOf(s.a, cmdProbe, ""))
	s.caught(p)
	p.release()
	wait(10 * time.Millisecond)
}

// loadAloneThenDelete loads a key on node a without Redis, and deletes it with
// Redis.
func (s *stage) loadAloneThenDelete() {
	w := s.w
	w.plan.fates("a", fateCutFirst, 100, cmdGet)
	s.read(s.a, "r:k1")
	w.plan.fates("", fateNone, 0)
	wait(300 * time.Millisecond) // the store finds that Redis answers
	w.write(s.a, "delete", "r:k1", false)
	s.read(s.a, "r:k1")
}

// closeDuringEverything closes a node while a load, reads, a Set, a Delete and a
// retry are under way, and asserts that Close returns.
func closeDuringEverything(w *world, s *stage) {
	w.plan.deciding(func(c *command) (fate, bool) {
		return fateCutFirst, c.node == "a" && c.name == cmdInvalidate && c.names("r:k1")
	})
	w.write(s.a, "delete", "r:k1", false) // is queued
	s.started(func() { s.slow(s.a, "q:k1", 20*time.Second) })
	s.started(func() { s.read(s.a, "q:k1") })
	set := w.net.holdNext(toServer, commandOf(s.a, cmdBegin, "r:k2"))
	s.started(func() { w.write(s.a, "set", "r:k2", false) })
	del := w.net.holdNext(toServer, commandOf(s.a, cmdInvalidate, "q:k2"))
	s.started(func() { w.write(s.a, "delete", "q:k2", false) })
	s.caught(set)
	s.caught(del)
	w.replace("a", false)
}
