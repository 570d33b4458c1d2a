package sim

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// network carries frames between nodes and the server.
type network struct {
	log    *log
	redis  *miniredis.Miniredis
	server *server.Server
	hashes map[uint64]string // of keys, for messages
	plan   planner
	taps   taps

	mu       sync.Mutex
	lastAt   time.Time // of a frame's arrival; no two are the same
	wires    map[string]*wires
	holds    []*hold
	nextLink int
	offset   time.Duration // of the server's clock
	moved    bool          // it was ever set
	frozen   time.Time     // if not zero, what it shows
	primary  string        // what the server says that it is; empty: nothing
	aux      sync.WaitGroup
}

// planner decides about single frames.
type planner interface {
	// latency is how long a frame of the node is under way, by direction; negative:
	// it arrives in the instant in which it was sent, like others perhaps.
	latency(node string, toServer bool) time.Duration
	// command decides what becomes of a command.
	command(c *command) fate
	// lateness is after how long a late command is executed.
	lateness() time.Duration
	// message decides how many copies of a message arrive; 0: it is lost.
	message(node string, m *message) int
	// pieces is in how many pieces a frame arrives, and the time between them.
	pieces(node string) (n int, gap time.Duration)
}

// taps are told before a command is executed and when it was; sabotage goes there.
type taps struct {
	before   func(c *command)
	after    func(c *command)
	replied  func(c *command) // its reply is reaching the node
	sabotage saboteur
}

// saboteur breaks what the guarantees stand on.
type saboteur interface {
	before(n *network, c *command)
	after(n *network, c *command, reply []byte) []byte
}

// wires are the state of all connections of one node.
type wires struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced when one of the following changes
	stalled bool          // nothing arrives, nothing is lost
	silent  [2][2]bool    // what is sent is lost, and so is all after it; by direction and sort
	refused bool          // no new connections
	links   map[*link]struct{}
}

// Directions and sorts of connections.
const (
	toServer = 0
	toClient = 1

	sortData   = 0
	sortPubSub = 1
)

func newNetwork(l *log, m *miniredis.Miniredis, p planner) *network {
	c, err := m.Dial() // starts it
	if err == nil {
		_ = c.Close()
	}
	return &network{log: l, redis: m, server: m.Server(), plan: p, wires: make(map[string]*wires), hashes: make(map[uint64]string)}
}

// wiresOf are the wires of a node.
func (n *network) wiresOf(node string) *wires {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := n.wires[node]
	if w == nil {
		w = &wires{changed: make(chan struct{}), links: make(map[*link]struct{})}
		n.wires[node] = w
	}
	return w
}

// set changes the state of a node's wires.
func (n *network) set(node string, f func(w *wires)) {
	w := n.wiresOf(node)
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w)
	close(w.changed)
	w.changed = make(chan struct{})
}

// cut ends a node's connections, of the given sorts.
func (n *network) cut(node string, sorts ...int) {
	w := n.wiresOf(node)
	w.mu.Lock()
	var links []*link
	for l := range w.links {
		if slices.Contains(sorts, l.sort()) {
			links = append(links, l)
		}
	}
	w.mu.Unlock()
	for _, l := range links {
		l.close(io.EOF)
	}
}

// client is a Redis client of a node.
func (n *network) client(node string, retries int, timeout time.Duration) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr:          "sim",
		Dialer:        func(context.Context, string, string) (net.Conn, error) { return n.dial(node) },
		DialerRetries: 1, // it would sleep between attempts, with a lock held
		MaxRetries:    retries,
		ReadTimeout:   timeout,
		// Connections are many here, and what is sent on one is little.
		ReadBufferSize: 4 << 10, WriteBufferSize: 4 << 10,
		PipelineReadBufferSize: 4 << 10, PipelineWriteBufferSize: 4 << 10,
		// Nothing but HELLO on a new connection.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

func (n *network) dial(node string) (net.Conn, error) {
	w := n.wiresOf(node)
	w.mu.Lock()
	refused := w.refused
	w.mu.Unlock()
	if refused {
		return nil, errCut
	}
	n.mu.Lock()
	n.nextLink++
	id := n.nextLink
	n.mu.Unlock()
	l := &link{net: n, node: node, id: id, wires: w, atClient: newPipe(), atServer: newPipe(), done: make(chan struct{})}
	for d := range l.lanes {
		l.lanes[d] = &lane{link: l, dir: d, wake: make(chan struct{}, 1)}
		n.aux.Go(l.lanes[d].run)
	}
	w.mu.Lock()
	w.links[l] = struct{}{}
	w.mu.Unlock()
	n.server.ServeConn(&end{in: l.atServer, out: l.fromServer, close: func() { l.close(io.EOF) }})
	return &end{in: l.atClient, out: l.fromClient, close: func() { l.close(io.EOF) }}, nil
}

// instant is a time of arrival after d that no other frame has.
func (n *network) instant(d time.Duration) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	if d < 0 {
		return time.Now()
	}
	at := time.Now().Add(d)
	// Latencies are whole microseconds or coarse anyway: one nanosecond more for
	// each frame keeps them apart.
	n.lastAt = n.lastAt.Add(time.Nanosecond)
	if frac := n.lastAt.Nanosecond() % 1000; at.Nanosecond()%1000 != frac {
		at = at.Truncate(time.Microsecond).Add(time.Microsecond + time.Duration(frac))
	}
	return at
}

// jump moves the server's clock.
func (n *network) jump(d time.Duration) {
	n.mu.Lock()
	n.offset += d
	n.moved = true
	n.mu.Unlock()
	n.setClock()
}

// clockMoved reports whether the server's clock was ever set.
func (n *network) clockMoved() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.moved || !n.frozen.IsZero()
}

// setClock lets the server's clock show the present time, moved. A miniredis
// whose clock was ever set stands still otherwise.
func (n *network) setClock() {
	n.mu.Lock()
	offset, moved, frozen := n.offset, n.moved, n.frozen
	n.moved = moved || !frozen.IsZero()
	n.mu.Unlock()
	switch {
	case !frozen.IsZero():
		n.redis.SetTime(frozen)
	case moved:
		n.redis.SetTime(time.Now().Add(offset))
	}
}

// later executes a command at a later time, on a connection of the network's own.
func (n *network) later(c *command, d time.Duration) {
	n.aux.Go(func() {
		wait(time.Until(n.instant(d)))
		n.execute(c)
	})
}

// execute executes a command on a connection of the network's own.
func (n *network) execute(c *command) {
	conn, err := n.redis.Dial()
	if err != nil {
		return // the world has ended
	}
	defer func() { _ = conn.Close() }()
	n.begin(c)
	go func() { _, _ = conn.Write(c.frame) }()
	if frame, err := readFrame(conn); err == nil {
		n.finish(c, frame)
	}
}

// begin is called just before the server executes a command.
func (n *network) begin(c *command) {
	n.setClock()
	n.introduce(c)
	if n.taps.sabotage != nil {
		n.taps.sabotage.before(n, c)
	}
	n.taps.before(c)
}

// introduce lets a probe find the run id of the primary, which a miniredis has not.
func (n *network) introduce(c *command) {
	n.mu.Lock()
	primary := n.primary
	n.mu.Unlock()
	if c.name == cmdProbe && primary != "" {
		c.rewrite("redis.pcall('INFO', 'server')", "'run_id:"+primary+"'")
	}
}

// setPrimary lets another primary answer from now on.
func (n *network) setPrimary(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.primary = name
}

// finish takes in that the server has executed a command.
func (n *network) finish(c *command, reply []byte) []byte {
	if n.taps.sabotage != nil {
		reply = n.taps.sabotage.after(n, c, reply)
	}
	if c.executed(reply) {
		n.log.add(event{kind: evExecuted, node: c.node, link: c.link, cmd: c})
		n.taps.after(c)
	}
	return reply
}

// wait lets time pass in the bubble.
func wait(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // moves the bubble's clock
}

// hold keeps one frame from arriving, and with it all that follow on its
// connection, until it is released.
type hold struct {
	dir      int
	match    func(f *frame) bool
	caught   chan struct{}
	released chan struct{}
}

// holdNext holds the next frame of a direction that matches.
func (n *network) holdNext(dir int, match func(f *frame) bool) *hold {
	h := &hold{dir: dir, match: match, caught: make(chan struct{}), released: make(chan struct{})}
	n.mu.Lock()
	n.holds = append(n.holds, h)
	n.mu.Unlock()
	return h
}

// catches returns the hold that catches a frame.
func (n *network) catches(dir int, f *frame) *hold {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, h := range n.holds {
		if h.dir == dir && h.match(f) {
			n.holds = append(n.holds[:i:i], n.holds[i+1:]...)
			close(h.caught)
			return h
		}
	}
	return nil
}

func (h *hold) release() { close(h.released) }

// await waits until a channel is closed, for a minute at most.
func await(what string, c <-chan struct{}) error {
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	select {
	case <-c:
		return nil
	case <-timer.C:
		return fmt.Errorf("sim: %s has not come", what)
	}
}

// freeze lets the server's clock stand at a time.
func (n *network) freeze(at time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.frozen = at
}

// thaw lets it go on from the bubble's time.
func (n *network) thaw() { n.freeze(time.Time{}) }
