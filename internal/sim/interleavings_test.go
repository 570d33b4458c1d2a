package sim

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// interleaving is one that the cache has to survive, and how it is recognised in
// a log.
type interleaving struct {
	name string
	seen func(h *history) bool
}

// retries is what the names of some begin with.
const retries = "retry after a cut reply: "

// interleavings are those that must have happened over the default seeds and the
// scenarios. Where there are two kinds of one, both must have.
var interleavings = append([]interleaving{
	{"Set, Delete, Get while L1 still has entries to take in", setDeleteGet},
	{"Set, Set of a new key", setSet},
	{"invalidation heard before the reply to a read", heardBeforeReply},
	{"lease, origin read, Delete, fill, and its twin executed late", fillAndLateTwin},
	{"joining an old flight after a local Delete", joinAfterLocal},
	{"joining an old flight after a remote Delete whose message was lost", joinAfterLost},
	{"a last message lost", lostLast},
	{"a message lost, followed by one of another key", lostThenOther},
	{"probe's reply overtakes a message", probeOvertakes},
	{"probe executed before, and heard long after, a Delete", probeLongAfter},
	{"probe's reply and message in one instant", probeWithMessage},
	{"Get while lease and fence move", getMeanwhile},
	{"subscribed anew, nothing missed", func(h *history) bool { return h.resubscribed(false) }},
	{"subscribed anew, a number missed", func(h *history) bool { return h.resubscribed(true) }},
	{"an older read lands after a newer one", olderLandsLater},
	{retries + cmdBegin, func(h *history) bool { return h.retried(cmdBegin) }},
	{retries + cmdFill, func(h *history) bool { return h.retried(cmdFill) }},
	{retries + cmdGetOrLease, func(h *history) bool { return h.retried(cmdGetOrLease) }},
	{retries + cmdInvalidate, func(h *history) bool { return h.retried(cmdInvalidate) }},
	{retries + cmdInvalidatePart, func(h *history) bool { return h.retried(cmdInvalidatePart) }},
	{retries + cmdRelease, func(h *history) bool { return h.retried(cmdRelease) }},
	{retries + cmdRenew, func(h *history) bool { return h.retried(cmdRenew) }},
	{"a lease ends, two load", twoLoaders},
	{"FLUSHALL during a load", flushDuringLoad},
	{"the sequence goes back to an equal number", backToEqual},
	{"sunsubscribe", unsubscribedByServer},
	{"frames in pieces", inPieces},
	{"a Delete fails, then a Get", deleteFailsThenGet},
	{"Close during everything", closeDuringAll},
}, slices.Concat(featureInterleavings, askingInterleavings)...)

// often is how many times an interleaving is looked for until it counts as often.
const often = 5

// coverage counts the worlds in which each interleaving has happened, up to often.
var coverage struct {
	mu   sync.Mutex
	seen map[string]int
}

// cover notes which interleavings have happened in a world.
func (w *world) cover() {
	h := newHistory(w)
	coverage.mu.Lock()
	defer coverage.mu.Unlock()
	if coverage.seen == nil {
		coverage.seen = make(map[string]int)
	}
	for _, i := range interleavings {
		if coverage.seen[i.name] < often && i.seen(h) {
			coverage.seen[i.name]++
		}
	}
}

// history is a log with what the detectors ask it for.
type history struct {
	events    []event
	bound     time.Duration
	executed  map[*command]int  // positions
	replied   map[*command]int  //
	published map[[2]uint64]int // by partition and sequence: the first time
	names     map[string][]int  // executed commands by name
	calls     map[*call][2]int  // begin and end
	loads     map[*load][2]int  // begin and end
	stale     map[string]bool   // keys whose values may be served past their lives
	aheads    map[string]bool   // keys whose values are loaded ahead of time, and whose callers do not leave a load
}

func newHistory(w *world) *history {
	h := &history{
		events: w.log.all(), bound: w.plan.settings.bound,
		executed: make(map[*command]int), replied: make(map[*command]int), published: make(map[[2]uint64]int),
		names: make(map[string][]int), calls: make(map[*call][2]int), loads: make(map[*load][2]int), stale: make(map[string]bool), aheads: make(map[string]bool),
	}
	for _, key := range w.keys {
		t := w.plan.settings.of(key)
		h.stale[key], h.aheads[key] = t.stale > 0, t.ahead > 0 && t.soft == 0
	}
	for i, e := range h.events {
		switch e.kind {
		case evExecuted:
			h.executed[e.cmd] = i
			h.names[e.cmd.name] = append(h.names[e.cmd.name], i)
		case evReplied:
			h.replied[e.cmd] = i
		case evPublished:
			if id := e.msg.id(); h.published[id] == 0 {
				h.published[id] = i
			}
		case evCall:
			h.calls[e.call] = [2]int{i, len(h.events)}
		case evReturn:
			h.calls[e.call] = [2]int{h.calls[e.call][0], i}
		case evLoad:
			h.loads[e.load] = [2]int{i, len(h.events)}
		case evLoaded:
			h.loads[e.load] = [2]int{h.loads[e.load][0], i}
		default:
		}
	}
	return h
}

func (m *message) id() [2]uint64 { return [2]uint64{uint64(m.part), m.seq} }

// any reports whether an event between two positions satisfies f.
func (h *history) any(from, to int, f func(i int, e *event) bool) bool {
	for i := max(0, from+1); i < min(to, len(h.events)); i++ {
		if f(i, &h.events[i]) {
			return true
		}
	}
	return false
}

// invalidated reports whether a key was invalidated between two positions.
func (h *history) invalidated(key string, from, to int) bool {
	return h.any(from, to, func(_ int, e *event) bool { return e.kind == evExecuted && e.cmd.invalidates() && e.cmd.names(key) })
}

// call reports whether a call has begun.
func (e *event) begins(node, key string, ops string) bool {
	return e.kind == evCall && e.call.node == node && e.call.key == key && strings.Contains(ops, e.call.op)
}

// done reports whether a call has ended without an error.
func (e *event) done(node, key, op string) bool {
	return e.kind == evReturn && e.call.node == node && e.call.key == key && e.call.op == op && e.call.err == nil
}

const reads = "get load bypass force bound getmany loadmany"

// setDeleteGet: all in one instant, in which L1 takes in other entries too. In a
// bubble its queue is empty whenever time moves on.
func setDeleteGet(h *history) bool {
	for i, e := range h.events {
		if e.kind != evReturn || e.call.op != "set" || e.call.err != nil {
			continue
		}
		end := i
		for end < len(h.events) && h.events[end].at == e.at {
			end++
		}
		others := 0
		for _, o := range h.events[:end] {
			if o.at == e.at && o.kind == evReturn && o.node == e.node && o.call.key != e.call.key && o.call.err == nil {
				others++
			}
		}
		if others >= 10 && h.any(i, end, func(j int, d *event) bool {
			return d.done(e.node, e.call.key, "delete") && h.any(j, end, func(_ int, g *event) bool { return g.begins(e.node, e.call.key, reads) })
		}) {
			return true
		}
	}
	return false
}

func setSet(h *history) bool {
	used := make(map[nodeKey]bool) // L1 has, or had, it
	for i, e := range h.events {
		if e.kind != evReturn {
			continue
		}
		id := nodeKey{e.node, e.call.key}
		if e.call.op == "set" && e.call.err == nil && !used[id] {
			for j := i + 1; j < len(h.events); j++ {
				n := &h.events[j]
				if n.kind != evReturn || n.node != e.node || n.call.key != e.call.key {
					continue
				}
				if n.call.op != "set" || n.call.err != nil {
					break
				}
				if h.any(j, len(h.events), func(_ int, g *event) bool {
					return g.kind == evReturn && g.node == e.node && g.call.source == tiered.SourceL1 && g.call.value == n.call.value
				}) {
					return true
				}
				break
			}
		}
		used[id] = true
	}
	return false
}

func heardBeforeReply(h *history) bool {
	for c, end := range h.replied {
		for key := range c.values {
			if h.any(h.executed[c], end, func(_ int, e *event) bool {
				return e.kind == evHeard && e.node == c.node && e.msg.names(key) && h.published[e.msg.id()] > h.executed[c]
			}) {
				return true
			}
		}
	}
	return false
}

// granted is the position at which a lease was granted to a load, 0 if never.
func (h *history) granted(token string) int {
	for _, i := range h.names[cmdGetOrLease] {
		if c := h.events[i].cmd; c.token == token && c.status() == "granted" {
			return i
		}
	}
	return 0
}

func fillAndLateTwin(h *history) bool {
	for _, i := range h.names[cmdFill] {
		c := h.events[i].cmd
		g := h.granted(c.token)
		if c.status() != "refused" || g == 0 || !h.invalidated(c.keys[0], g, i) {
			continue
		}
		for _, j := range h.names[cmdFill] {
			if d := h.events[j].cmd; j > i && bytes.Equal(d.frame, c.frame) && d.status() == "refused" {
				return true
			}
		}
	}
	return false
}

func joinAfterLocal(h *history) bool {
	for l, at := range h.loads {
		if !l.set && h.any(at[0], at[1], func(i int, e *event) bool {
			return e.done(l.node, l.key, "delete") && h.any(i, at[1], func(_ int, r *event) bool { return r.begins(l.node, l.key, reads) })
		}) {
			return true
		}
	}
	return false
}

func joinAfterLost(h *history) bool {
	for l, at := range h.loads {
		if h.any(at[0], at[1], func(i int, e *event) bool {
			return e.kind == evDropped && e.node == l.node && e.msg.names(l.key) && h.published[e.msg.id()] > at[0] &&
				h.any(i, at[1], func(_ int, r *event) bool { return r.begins(l.node, l.key, reads) && r.at > e.at+h.bound })
		}) {
			return true
		}
	}
	return false
}

// afterLost is the event by which a node finds out that a message was lost: a
// probe's reply or another message.
func (h *history) afterLost(found func(lost, by *event) bool) bool {
	for i := range h.events {
		e := &h.events[i]
		if e.kind != evDropped || e.msg.part < 0 {
			continue
		}
		for j := i + 1; j < len(h.events); j++ {
			f := &h.events[j]
			if f.node != e.node {
				continue
			}
			if f.kind == evHeard && f.msg.part == e.msg.part && f.msg.seq > e.msg.seq ||
				f.kind == evReplied && f.cmd.seqs[e.msg.part] >= e.msg.seq {
				if found(e, f) {
					return true
				}
				break
			}
		}
	}
	return false
}

func lostLast(h *history) bool {
	return h.afterLost(func(_, by *event) bool { return by.kind == evReplied })
}

func lostThenOther(h *history) bool {
	return h.afterLost(func(lost, by *event) bool {
		return by.kind == evHeard && by.msg.seq == lost.msg.seq+1 && len(by.msg.keys) == 1 && !lost.msg.names(by.msg.keys[0])
	})
}

// probes calls f for each probe whose reply has arrived.
func (h *history) probes(f func(c *command, executed, replied int) bool) bool {
	for _, i := range h.names[cmdProbe] {
		c := h.events[i].cmd
		if r, ok := h.replied[c]; ok && f(c, i, r) {
			return true
		}
	}
	return false
}

func probeOvertakes(h *history) bool {
	return h.probes(func(c *command, executed, replied int) bool {
		return h.any(replied, len(h.events), func(_ int, e *event) bool {
			at := 0
			if e.kind == evHeard {
				at = h.published[e.msg.id()]
			}
			return at > 0 && at < executed && e.node == c.node && e.msg.seq <= c.seqs[e.msg.part] && !e.msg.twin
		})
	})
}

func probeLongAfter(h *history) bool {
	return h.probes(func(_ *command, executed, replied int) bool {
		return h.any(executed, replied, func(_ int, e *event) bool {
			return e.kind == evExecuted && e.cmd.name == cmdInvalidate && h.events[replied].at-e.at > h.bound/40
		})
	})
}

// together calls f for each message and reply of a probe that covers it which
// have reached a node in one instant.
func (h *history) together(f func(from, to int) bool) bool {
	return h.probes(func(c *command, _, replied int) bool {
		at := h.events[replied].at
		for i := max(0, replied-200); i < min(len(h.events), replied+200); i++ {
			e := &h.events[i]
			if e.at == at && e.kind == evHeard && e.node == c.node && e.msg.seq <= c.seqs[e.msg.part] && f(min(i, replied), max(i, replied)) {
				return true
			}
		}
		return false
	})
}

func probeWithMessage(h *history) bool { return h.together(func(int, int) bool { return true }) }

// getMeanwhile: a read is under way in the instant in which the lease is renewed
// and the fence raised, on the same node.
func getMeanwhile(h *history) bool {
	return h.together(func(from, to int) bool {
		e := h.events[to]
		for c, at := range h.calls {
			if c.node == e.node && at[0] < to && at[1] > from && at[1] < len(h.events) && h.events[at[0]].at == e.at &&
				strings.Contains(reads, c.op) {
				return true
			}
		}
		return false
	})
}

func (h *history) resubscribed(missed bool) bool {
	for i := range h.events {
		e := &h.events[i]
		if e.kind != evLinkDown {
			continue
		}
		for j := i + 1; j < len(h.events); j++ {
			if f := &h.events[j]; f.kind == evReplied && f.node == e.node && f.cmd.name == cmdSubscribe {
				if missed == h.any(i, h.executed[f.cmd], func(_ int, x *event) bool { return x.kind == evExecuted && x.cmd.invalidates() }) {
					return true
				}
				break
			}
		}
	}
	return false
}

func olderLandsLater(h *history) bool {
	for c, end := range h.replied {
		for key, v := range c.values {
			for d, earlier := range h.replied {
				if newer, ok := d.values[key]; ok && d.node == c.node && h.executed[d] > h.executed[c] && earlier < end && newer.version > v.version {
					return true
				}
			}
		}
	}
	return false
}

// retried: executed, the reply lost, and the same executed again.
func (h *history) retried(name string) bool {
	for _, i := range h.names[name] {
		c := h.events[i].cmd
		if !h.any(i, len(h.events), func(_ int, e *event) bool { return e.kind == evReplyLost && e.cmd == c }) {
			continue
		}
		for _, j := range h.names[name] {
			if j > i && bytes.Equal(h.events[j].cmd.frame, c.frame) {
				return true
			}
		}
	}
	return false
}

func twoLoaders(h *history) bool {
	for a, first := range h.loads {
		for b, second := range h.loads {
			if a.key != b.key || a.node == b.node || a.lease == "" || b.lease == "" || second[0] < first[0] || second[0] > first[1] {
				continue
			}
			gone := func(_ int, e *event) bool {
				return e.kind == evFlushed || e.kind == evEvicted && e.key == a.key
			}
			from, to := h.granted(a.lease), h.granted(b.lease)
			if !h.invalidated(a.key, from, to) && !h.any(from, to, gone) {
				return true
			}
		}
	}
	return false
}

func flushDuringLoad(h *history) bool {
	for l, at := range h.loads {
		if l.lease == "" || !h.any(at[0], at[1], func(_ int, e *event) bool { return e.kind == evFlushed }) {
			continue
		}
		for _, i := range h.names[cmdFill] {
			if c := h.events[i].cmd; c.token == l.lease && c.status() == "refused" {
				return true
			}
		}
	}
	return false
}

func backToEqual(h *history) bool {
	heard := make(map[[2]uint64]int)
	for i, e := range h.events {
		switch {
		case e.kind == evHeard:
			heard[e.msg.id()] = i
		case e.kind == evExecuted && e.cmd.invalidates() && len(e.cmd.parts) > 0:
			at, ok := heard[[2]uint64{uint64(e.cmd.parts[0]), e.cmd.seq}]
			if ok && h.any(at, i, func(_ int, f *event) bool { return f.kind == evFlushed }) {
				return true
			}
		}
	}
	return false
}

func unsubscribedByServer(h *history) bool {
	for i, e := range h.events {
		if e.kind == evSunsub && e.text == "sunsubscribe" && h.any(i, len(h.events), func(_ int, f *event) bool {
			return f.kind == evReplied && f.node == e.node && f.cmd.name == cmdSubscribe
		}) {
			return true
		}
	}
	return false
}

func inPieces(h *history) bool {
	message, reply := false, false
	for _, e := range h.events {
		message = message || e.kind == evSplit && e.msg != nil
		reply = reply || e.kind == evSplit && e.cmd != nil && e.cmd.name == cmdGet
	}
	return message && reply
}

func deleteFailsThenGet(h *history) bool {
	for i, e := range h.events {
		var pending *tiered.PendingError
		if e.kind != evReturn || e.call.op != "delete" || !errors.As(e.call.err, &pending) {
			continue
		}
		if h.any(i, len(h.events), func(j int, r *event) bool {
			return r.begins(e.node, e.call.key, reads) && !h.invalidated(e.call.key, i, j)
		}) {
			return true
		}
	}
	return false
}

func closeDuringAll(h *history) bool {
	for _, e := range h.events {
		if e.kind == evClose && e.text == "read load set delete retry " {
			return true
		}
	}
	return false
}
