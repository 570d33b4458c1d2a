package redistest

import (
	"net"
	"sync"
	"time"
)

// link is one client connection and the server connection that belongs to it.
//
// Three goroutines serve it: run reads commands from the client and forwards
// them; receive reads from the server, tells replies from messages and decides
// what becomes of each; deliver writes to the client, and is where delay and
// black holes act, so that they also apply to what came before they were set.
type link struct {
	p      *Proxy
	client net.Conn
	kind   kind // guarded by Proxy.mu
	holed  bool // bytes of it may have been swallowed; guarded by Proxy.mu
	doomed bool // it is out of the hole, and about to be closed; guarded by Proxy.mu

	done chan struct{} // closed by close
	out  chan chunk    // from receive (and Held) to deliver

	commands sync.Mutex // serialises forward; guards the next four
	in       splitter
	held     *Held    // a command of this link is being held: forward nothing
	cutting  bool     // a command was met that cuts: forward nothing more
	prelude  [][]byte // HELLO, AUTH and SELECT as sent, for Held

	mu          sync.Mutex
	server      net.Conn // nil: not connected (yet, or never: black hole)
	closed      bool
	pending     []expected    // replies due, in order
	idle        chan struct{} // not nil: to be closed when pending gets empty
	cutWhenIdle bool
	opaque      bool // pass bytes, look at nothing
}

// expected is a reply that the server owes.
type expected struct {
	drop bool  // cut the link instead of passing it
	gate *Held // holds it back
}

// chunk is what deliver writes at once.
type chunk struct {
	data []byte
	at   time.Time // when it came
	gate *Held     // not to be delivered before it is released
	cut  bool      // not bytes: close the link
	eof  bool      // the cut is the server's doing, which a black hole hides
}

// queued bounds what waits for delivery to one client, in chunks; then the
// server is not read any more and notices.
const queued = 4096

func newLink(p *Proxy, client net.Conn) *link {
	return &link{
		p:      p,
		client: client,
		done:   make(chan struct{}),
		out:    make(chan chunk, queued),
		in:     splitter{inline: true},
	}
}

// close ends both connections. It is idempotent; run cleans up.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	close(l.done)
	_ = l.client.Close()
	if l.server != nil {
		_ = l.server.Close()
	}
	l.p.forget(l)
}

// run serves the link until it is closed or the client closes it.
func (l *link) run() {
	defer l.close()
	if f, _ := l.p.state(l); !f.hole {
		if !l.connect() {
			return
		}
		l.p.wg.Go(l.receive)
		l.p.wg.Go(l.deliver)
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := l.client.Read(buf)
		if n > 0 && !l.take(buf[:n]) {
			return
		}
		if err != nil {
			return
		}
	}
}

// connect dials the server. It reports false if that fails or the link was
// closed meanwhile.
func (l *link) connect() bool {
	c, err := l.p.dial(l.p.ctx)
	if err != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = c.Close()
		return false
	}
	l.server = c
	return true
}

// take adds bytes from the client to the stream and forwards what it can.
func (l *link) take(b []byte) bool {
	l.commands.Lock()
	defer l.commands.Unlock()
	l.in.write(b)
	return l.forward()
}

// expect notes that the server owes a reply to a command, before the command is
// sent. The subscribe family is answered by pushes, which are not counted.
func (l *link) expect(name string, e expected) {
	if isPubSubCommand(name) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == 0 && !isHandshake(name) {
		l.p.countTrip(l)
	}
	l.pending = append(l.pending, e)
}

// replied takes the reply that has come from the list of those due. cut says
// that it was the last one before a command that cuts.
func (l *link) replied() (e expected, cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == 0 {
		return expected{}, false // nobody asked: an error at connecting, say
	}
	e, l.pending = l.pending[0], l.pending[1:]
	if len(l.pending) > 0 {
		return e, false
	}
	if l.idle != nil {
		close(l.idle)
		l.idle = nil
	}
	return e, l.cutWhenIdle
}

// whenIdle returns a channel that is closed when no reply is due.
func (l *link) whenIdle() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) > 0 {
		if l.idle == nil {
			l.idle = make(chan struct{})
		}
		return l.idle
	}
	c := make(chan struct{})
	close(c)
	return c
}

// cutAfterReplies closes the link once the replies that are due have been
// delivered.
func (l *link) cutAfterReplies() bool {
	l.mu.Lock()
	l.cutWhenIdle = true
	now := len(l.pending) == 0
	l.mu.Unlock()
	return !now || l.send(chunk{cut: true})
}

func (l *link) isOpaque() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.opaque
}

func (l *link) setOpaque() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opaque = true
}

// resume ends a hold: toServer is sent to the server and toClient to the
// client, and then the commands that came meanwhile have their turn.
func (l *link) resume(toServer, toClient []byte) {
	l.commands.Lock()
	defer l.commands.Unlock()
	l.held = nil
	if !l.toServer(toServer) || !l.send(chunk{data: toClient}) || !l.forward() {
		l.close()
	}
}

// countTrip notes that a client began to wait for the server.
func (p *Proxy) countTrip(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.kind != pubsubKind {
		p.trips++
	}
}

// isPubSub reports whether RESP2 arrays on the link may be messages.
func (p *Proxy) isPubSub(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return l.kind == pubsubKind
}
