package redistest

import (
	"time"
)

// kind is what a connection is used for. The proxy learns it from the first
// command that is not part of a handshake.
type kind int

const (
	anyKind    kind = iota // a fault for all; a connection that is not known yet
	dataKind               // ordinary commands
	pubsubKind             // has sent SUBSCRIBE, PSUBSCRIBE or SSUBSCRIBE
	kinds
)

// fault is the state that a Side sets.
type fault struct {
	refuse      bool
	hole        bool // swallow both directions
	holeReplies bool // swallow server→client
	stall       bool // read nothing more from the server
	delay       time.Duration
}

func (f fault) or(g fault) fault {
	return fault{
		refuse:      f.refuse || g.refuse,
		hole:        f.hole || g.hole,
		holeReplies: f.holeReplies || g.holeReplies,
		stall:       f.stall || g.stall,
		delay:       max(f.delay, g.delay),
	}
}

// swallowsReplies reports whether nothing passes from server to client.
func (f fault) swallowsReplies() bool { return f.hole || f.holeReplies }

// Side is one kind of the proxy's connections: those that subscribe
// ([Proxy.PubSub]) or all others ([Proxy.Data]). A connection belongs to
// neither until it has sent a command other than HELLO, AUTH, SELECT, CLIENT,
// READONLY or READWRITE; until then only the proxy's own faults, which apply
// to all connections, reach it. Where a fault of the proxy and one of a side
// meet, both hold; of two delays the longer one.
type Side struct {
	p *Proxy
	k kind
}

// Cut closes this side's connections now. See [Proxy.Cut].
func (s Side) Cut() { s.p.cut(s.k) }

// Refuse closes this side's connections, now and whenever one turns out to be
// of this side, while it is on. See [Proxy.Refuse].
func (s Side) Refuse(on bool) {
	s.p.set(s.k, func(f *fault) { f.refuse = on })
	if on {
		s.p.cut(s.k)
	}
}

// BlackHole swallows this side's bytes in both directions while it is on. See
// [Proxy.BlackHole].
func (s Side) BlackHole(on bool) {
	s.p.set(s.k, func(f *fault) { f.hole = on })
}

// BlackHoleReplies swallows what the server sends to this side while it is on.
// See [Proxy.BlackHoleReplies].
func (s Side) BlackHoleReplies(on bool) {
	s.p.set(s.k, func(f *fault) { f.holeReplies = on })
}

// Stall reads nothing more from the server for this side while it is on. See
// [Proxy.Stall].
func (s Side) Stall(on bool) {
	s.p.set(s.k, func(f *fault) { f.stall = on })
}

// Delay holds back whatever the server sends to this side for d. See
// [Proxy.Delay].
func (s Side) Delay(d time.Duration) { s.p.set(s.k, func(f *fault) { f.delay = d }) }

// Conns returns how many connections of this side are open.
func (s Side) Conns() int { return len(s.p.linksOf(s.k)) }
