package sim

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// kind is what has happened.
type kind string

const (
	evExecuted  kind = "executed"  // the server has executed a command
	evReplied   kind = "replied"   // its reply has reached the node
	evReplyLost kind = "replylost" // its reply was lost
	evPublished kind = "published" // a message has left the server for a subscriber
	evHeard     kind = "heard"     // it has reached the node
	evDropped   kind = "dropped"   // it was lost
	evSplit     kind = "split"     // a frame has come in pieces
	evLinkDown  kind = "linkdown"  // a connection has ended
	evSunsub    kind = "sunsub"    // the server has ended a subscription
	evFault     kind = "fault"     // the schedule has done something
	evFlushed   kind = "flushed"   // the server was emptied
	evEvicted   kind = "evicted"   // one key was
	evFailover  kind = "failover"  // another primary answers
	evCommit    kind = "commit"
	evCall      kind = "call"   // a client's call begins
	evReturn    kind = "return" // and ends
	evLoad      kind = "load"   // a load begins
	evLoaded    kind = "loaded" // and ends
	evOpen      kind = "open"
	evClose     kind = "close" // of a node
	evViolation kind = "VIOLATION"
)

// event is one line of the log. Which fields are set depends on the kind.
type event struct {
	at   time.Duration
	kind kind
	node string
	link int
	cmd  *command
	msg  *message
	call *call
	load *load
	key  string
	text string
}

// message is an announcement on its way to one subscriber.
type message struct {
	part int
	seq  uint64
	keys []string // nil: the whole partition
	twin bool
}

// log is what has happened in a world, in order.
type log struct {
	began time.Time

	mu     sync.Mutex
	events []event
}

// add appends an event and returns its position.
func (l *log) add(e event) int {
	e.at = time.Since(l.began)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	return len(l.events) - 1
}

// position is that of the next event.
func (l *log) position() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.events)
}

// all are the events so far.
func (l *log) all() []event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clip(l.events)
}

// trace is the log as text, from some time before the first violation, or the
// end if there is none: what concerns the key, and all that concerns nobody's
// key. Without a key it is everything.
func (l *log) trace(key string, span time.Duration) string {
	events := l.all()
	last := len(events) - 1
	for i, e := range events {
		if e.kind == evViolation {
			last = i
			break
		}
	}
	var b strings.Builder
	for i, e := range events[:last+1] {
		if e.at >= events[last].at-span && (key == "" || e.concerns(key)) {
			fmt.Fprintf(&b, "%6d %12.6fs %-4s %s\n", i, e.at.Seconds(), e.node, e.line())
		}
	}
	return b.String()
}

// concerns reports whether a trace about a key shows the event.
func (e *event) concerns(key string) bool {
	switch {
	case e.call != nil:
		return e.call.key == key || strings.HasPrefix(e.call.key, tagPrefix)
	case e.load != nil:
		return e.load.key == key
	case e.msg != nil:
		return e.kind != evPublished && (e.msg.keys == nil || e.msg.names(key) || e.kind == evDropped)
	case e.cmd != nil && e.cmd.name == cmdProbe:
		return true
	case e.cmd != nil:
		return len(e.cmd.keys) == 0 && e.cmd.name != "ping" || len(e.cmd.tags) > 0 || e.cmd.names(key)
	case e.kind == evCommit || e.kind == evEvicted:
		return e.key == key
	}
	return true
}

func (c *command) names(key string) bool { return slices.Contains(c.keys, key) }
func (m *message) names(key string) bool { return slices.Contains(m.keys, key) }

// line is the event in words.
func (e *event) line() string {
	switch {
	case e.cmd != nil:
		c := e.cmd
		s := fmt.Sprintf("%-9s %s", e.kind, c.name)
		if c.twin {
			s += " (twin)"
		}
		if c.late {
			s += " (late)"
		}
		if names := slices.Concat(c.keys, c.tags, c.regions); len(names) > 0 {
			s += " " + strings.Join(names, ",")
		}
		if c.token != "" {
			s += fmt.Sprintf(" token=%x", c.token[:3])
		}
		if st := c.status(); c.name == cmdGetOrLease || c.name == cmdFill || c.name == cmdRevalidate {
			s += " → " + st
		}
		if c.seq > 0 {
			s += fmt.Sprintf(" s=…%06d", c.seq%1_000_000)
		}
		for p, q := range c.seqs {
			s += fmt.Sprintf(" s[%d]=…%06d", p, q%1_000_000)
		}
		for _, v := range c.values {
			s += " " + v.String()
		}
		if err, ok := c.reply.(error); ok {
			s += " error: " + err.Error()
		}
		return s + fmt.Sprintf(" (connection %d)", e.link)
	case e.msg != nil:
		return fmt.Sprintf("%-9s message %d/…%06d %s (connection %d)", e.kind, e.msg.part, e.msg.seq%1_000_000, strings.Join(e.msg.keys, ","), e.link)
	case e.call != nil:
		return fmt.Sprintf("%-9s %s", e.kind, e.call.line(e.kind == evReturn))
	case e.load != nil:
		return fmt.Sprintf("%-9s %s load %d%s", e.kind, e.load.key, e.load.id, e.text)
	}
	return strings.TrimSpace(fmt.Sprintf("%-9s %s %s", e.kind, e.key, e.text))
}
