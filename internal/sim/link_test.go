package sim

import (
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/invalidation"
)

// link is one connection between a node and the server.
type link struct {
	net   *network
	node  string
	id    int
	wires *wires
	lanes [2]*lane

	atClient, atServer *pipe
	done               chan struct{} // closed when the connection has ended
	once               sync.Once
	pubsub             atomic.Bool

	fromC, fromS redistest.Splitter // each for the one goroutine that writes at a time
	muC, muS     sync.Mutex

	mu      sync.Mutex
	waiting []*command // delivered to the server, replies due
	ended   bool       // the subscription was, by the server
}

// frame is one frame on its way: a command, a reply to one, or a message.
type frame struct {
	node  string
	raw   []byte
	cmd   *command
	msg   *message
	other bool // something that the server sends of itself
	at    time.Time
}

func (l *link) sort() int {
	if l.pubsub.Load() {
		return sortPubSub
	}
	return sortData
}

// close ends the connection. What is under way is lost.
func (l *link) close(err error) {
	l.once.Do(func() {
		close(l.done)
		l.wires.mu.Lock()
		delete(l.wires.links, l)
		l.wires.mu.Unlock()
		l.atClient.close(err)
		l.atServer.close(io.EOF)
		for _, d := range l.lanes {
			d.lose()
		}
		if l.pubsub.Load() {
			l.net.log.add(event{kind: evLinkDown, node: l.node, link: l.id, text: "subscription"})
		}
	})
}

func (l *link) isDone() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// fromClient takes what the node writes.
func (l *link) fromClient(b []byte) error {
	if l.isDone() {
		return net.ErrClosed
	}
	l.muC.Lock()
	defer l.muC.Unlock()
	l.fromC.Write(b)
	for {
		raw, err := l.fromC.Next()
		if err != nil || raw == nil {
			return err
		}
		c, err := parseCommand(raw)
		if err != nil {
			return err
		}
		c.node, c.link = l.node, l.id
		f := &frame{node: l.node, raw: raw, cmd: c}
		switch c.name {
		case "hello", "client":
			l.lanes[toServer].deliver(f) // at once, see the package's documentation
			continue
		case cmdSubscribe:
			l.pubsub.Store(true)
		default:
			c.fate = l.net.plan.command(c)
		}
		l.lanes[toServer].add(f)
	}
}

// fromServer takes what the server writes.
func (l *link) fromServer(b []byte) error {
	l.muS.Lock()
	defer l.muS.Unlock()
	l.fromS.Write(b)
	for {
		raw, err := l.fromS.Next()
		if err != nil || raw == nil {
			return err
		}
		if m := l.net.messageIn(raw); m != nil {
			l.publish(raw, m)
			continue
		}
		l.mu.Lock()
		var c *command
		if len(l.waiting) > 0 {
			c, l.waiting = l.waiting[0], l.waiting[1:]
		}
		l.mu.Unlock()
		if c == nil {
			continue // the connection has ended meanwhile
		}
		raw = l.net.finish(c, raw)
		f := &frame{node: l.node, raw: raw, cmd: c}
		switch {
		case c.name == "hello" || c.name == "client":
			l.lanes[toClient].deliver(f)
		case c.fate == fateCut:
			l.lanes[toClient].lost(f)
			l.close(io.EOF)
		case l.isDone():
			// One of several commands that came together: the server has executed it
			// all the same.
			l.lanes[toClient].lost(f)
		default:
			l.lanes[toClient].add(f)
		}
	}
}

// publish sends a message, as many times as the plan says.
func (l *link) publish(raw []byte, m *message) {
	l.net.log.add(event{kind: evPublished, node: l.node, link: l.id, msg: m})
	l.mu.Lock()
	ended := l.ended
	l.mu.Unlock()
	copies := 0
	if !ended {
		copies = l.net.plan.message(l.node, m)
	}
	if copies == 0 {
		l.net.log.add(event{kind: evDropped, node: l.node, link: l.id, msg: m})
	}
	for i := range copies {
		if i > 0 {
			twin := *m
			twin.twin = true
			m = &twin
		}
		l.lanes[toClient].add(&frame{node: l.node, raw: raw, msg: m})
	}
}

// messageIn recognises an announcement in what the server sends.
func (n *network) messageIn(raw []byte) *message {
	if raw[0] != '>' && raw[0] != '*' {
		return nil
	}
	parts, err := redistest.Bulks(raw)
	if err != nil || len(parts) != 3 || string(parts[0]) != "message" {
		return nil
	}
	d, err := invalidation.Decode(parts[2])
	if err != nil {
		return &message{part: -1}
	}
	m := &message{part: d.Partition, seq: d.Seq}
	for _, h := range d.Hashes {
		m.keys = append(m.keys, n.hashes[h])
	}
	return m
}

// unsubscribe lets the server end the subscription: nothing more arrives on it.
func (l *link) unsubscribe(sort, channel string) {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.net.log.add(event{kind: evSunsub, node: l.node, link: l.id, text: sort})
	raw := ">3\r\n$" + digits(sort) + "\r\n" + sort + "\r\n$" + digits(channel) + "\r\n" + channel + "\r\n:0\r\n"
	l.lanes[toClient].add(&frame{node: l.node, raw: []byte(raw), other: true})
}

// lane is one direction of a link.
type lane struct {
	link *link
	dir  int
	wake chan struct{}

	mu       sync.Mutex
	queue    []*frame
	poisoned bool // a frame was lost, and so is all that follows
}

// add sends a frame.
func (d *lane) add(f *frame) {
	f.at = d.link.net.instant(d.link.net.plan.latency(d.link.node, d.dir == toServer))
	d.mu.Lock()
	d.queue = append(d.queue, f)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// run delivers frames in order until the link ends.
func (d *lane) run() {
	for {
		d.mu.Lock()
		var f *frame
		if len(d.queue) > 0 {
			f = d.queue[0]
		}
		d.mu.Unlock()
		if f == nil {
			select {
			case <-d.wake:
				continue
			case <-d.link.done:
				return
			}
		}
		if !d.due(f.at) || !d.passes(f) {
			return
		}
		d.mu.Lock()
		if len(d.queue) == 0 {
			d.mu.Unlock()
			continue // the link has ended
		}
		d.queue = d.queue[1:]
		d.mu.Unlock()
		if d.swallowed() {
			d.lost(f)
			continue
		}
		d.deliver(f)
	}
}

// due waits for a time. It reports false if the link ends before.
func (d *lane) due(at time.Time) bool {
	left := time.Until(at)
	if left <= 0 {
		return !d.link.isDone()
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-d.link.done:
		return false
	}
}

// passes waits while the node's wires are stalled or the frame is held. It
// reports false if the link ends before.
func (d *lane) passes(f *frame) bool {
	waited := false
	if h := d.link.net.catches(d.dir, f); h != nil {
		select {
		case <-h.released:
		case <-d.link.done:
			return false
		}
	}
	for {
		w := d.link.wires
		w.mu.Lock()
		stalled, changed := w.stalled, w.changed
		w.mu.Unlock()
		if !stalled {
			// What was stalled does not arrive all in one instant.
			return !waited || d.due(d.link.net.instant(0))
		}
		waited = true
		select {
		case <-changed:
		case <-d.link.done:
			return false
		}
	}
}

// swallowed reports whether nothing gets through any more. A stream with a hole
// in it is worth nothing, so that it stays so when the silence ends.
func (d *lane) swallowed() bool {
	w := d.link.wires
	w.mu.Lock()
	silent := w.silent[d.dir][d.link.sort()]
	w.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.poisoned = d.poisoned || silent
	return d.poisoned
}

// lose loses what is under way.
func (d *lane) lose() {
	d.mu.Lock()
	queue := d.queue
	d.queue = nil
	d.mu.Unlock()
	for _, f := range queue {
		d.lost(f)
	}
}

// lost notes that a frame has not arrived.
func (d *lane) lost(f *frame) {
	l := d.link
	switch {
	case f.msg != nil:
		l.net.log.add(event{kind: evDropped, node: l.node, link: l.id, msg: f.msg})
	case d.dir == toClient && f.cmd != nil:
		l.net.log.add(event{kind: evReplyLost, node: l.node, link: l.id, cmd: f.cmd})
	}
}

// deliver hands a frame to whom it is for.
func (d *lane) deliver(f *frame) {
	if d.dir == toServer {
		d.link.deliverCommand(f)
		return
	}
	l := d.link
	switch {
	case f.msg != nil:
		l.net.log.add(event{kind: evHeard, node: l.node, link: l.id, msg: f.msg})
	case f.cmd != nil && f.cmd.name != "hello" && f.cmd.name != "ping":
		l.net.log.add(event{kind: evReplied, node: l.node, link: l.id, cmd: f.cmd})
		l.net.taps.replied(f.cmd)
	}
	n, gap := 1, time.Duration(0)
	if f.cmd == nil || f.cmd.name != "hello" {
		n, gap = l.net.plan.pieces(l.node)
	}
	for ; n > 1 && len(f.raw) > n; n-- {
		l.net.log.add(event{kind: evSplit, node: l.node, link: l.id, msg: f.msg, cmd: f.cmd})
		at := len(f.raw) / n
		l.atClient.write(f.raw[:at])
		f.raw = f.raw[at:]
		if !d.due(l.net.instant(gap)) {
			return
		}
	}
	l.atClient.write(f.raw)
}

// deliverCommand lets the server execute a command.
func (l *link) deliverCommand(f *frame) {
	c := f.cmd
	switch c.fate {
	case fateCutFirst:
		l.close(io.EOF)
		return
	case fateLate:
		c.late = true
		l.net.later(c, l.net.plan.lateness())
		if l.id%2 == 0 {
			l.close(io.EOF)
			return
		}
		// The other half of them learn nothing, until they have waited too long.
		l.lanes[toServer].mu.Lock()
		l.lanes[toServer].poisoned = true
		l.lanes[toServer].mu.Unlock()
		return
	case fateTwin:
		twin, err := parseCommand(c.frame)
		if err == nil {
			twin.node, twin.link, twin.twin = c.node, c.link, true
			l.net.later(twin, l.net.plan.lateness())
		}
	case fateNone, fateCut:
	}
	l.net.begin(c)
	l.mu.Lock()
	l.waiting = append(l.waiting, c)
	l.mu.Unlock()
	l.atServer.write(c.frame) // which sabotage may have changed
}

// readFrame reads one frame.
func readFrame(r io.Reader) ([]byte, error) {
	var s redistest.Splitter
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		s.Write(buf[:n])
		if raw, bad := s.Next(); raw != nil || bad != nil {
			return raw, bad
		}
		if err != nil {
			return nil, err
		}
	}
}

// digits is the length of a string, as RESP writes it.
func digits(s string) string { return strconv.Itoa(len(s)) }
