package redistest

import (
	"context"
	"maps"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Proxy is a TCP proxy between Redis clients and a server that can break what
// passes through it. It understands the Redis protocol (RESP2 and RESP3), so it
// can choose by command and by message; what it lets pass, it passes byte for
// byte and in order, in whole commands and whole replies.
//
// All methods are safe for concurrent use. A fault that is set before a command
// or message is sent applies to it; to one that is under way, it may or may
// not. Faults can be combined. Functions given to the proxy are called by its
// own goroutines, one at a time, and must neither block nor keep their
// arguments nor call the proxy.
//
// CLIENT REPLY, MONITOR, SYNC and PSYNC make a connection opaque: the faults
// that look at commands, replies or messages do not apply to it from there on.
type Proxy struct {
	listener net.Listener
	ctx      context.Context // ends when the proxy is closed
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu       sync.Mutex
	target   string
	links    map[*link]struct{}
	faults   [kinds]fault
	changed  chan struct{} // closed and replaced when faults change
	dropMsg  func(channel string, payload []byte) bool
	dropped  int
	commands map[string]int
	trips    int

	rules        []*rule // for commands
	messageRules []*rule // for pub/sub messages
}

// dialTimeout bounds the connections that the proxy makes to its target.
const dialTimeout = 5 * time.Second

// NewProxy starts a proxy on a free loopback port in front of target
// ("host:port"), which need not be up. It is closed in tb.Cleanup.
func NewProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("redistest: proxy: %v", err)
	}
	p := &Proxy{
		listener: l,
		target:   target,
		links:    map[*link]struct{}{},
		changed:  make(chan struct{}),
		commands: map[string]int{},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wg.Go(p.accept)
	tb.Cleanup(p.close)
	return p
}

// Addr returns the "host:port" that clients connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Client returns a client that goes through the proxy, closed in tb.Cleanup.
// See [NewClient] for its settings.
func (p *Proxy) Client(tb testing.TB, opts ...func(*redis.Options)) *redis.Client {
	tb.Helper()
	return NewClient(tb, p.Addr(), opts...)
}

// Data confines faults to connections that do not subscribe.
func (p *Proxy) Data() Side { return Side{p, dataKind} }

// PubSub confines faults to connections that have subscribed.
func (p *Proxy) PubSub() Side { return Side{p, pubsubKind} }

func (p *Proxy) all() Side { return Side{p, anyKind} }

// Target makes new connections go to another server, as after a failover. Those
// that are open stay where they are; [Proxy.Cut] them to move the clients.
func (p *Proxy) Target(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = addr
}

// Cut closes all connections now. New ones are accepted as usual. Whether the
// server carries out commands that were under way is not defined.
func (p *Proxy) Cut() { p.all().Cut() }

// Refuse closes all connections and, while it is on, each new one at once.
func (p *Proxy) Refuse(on bool) { p.all().Refuse(on) }

// BlackHole swallows all bytes in both directions while it is on, as a network
// partition does: connections stay open, also if the server closes them or
// dies, and new ones are accepted. When it is turned off, the connections that
// were open meanwhile are closed, as a stream with a hole in it cannot go on.
func (p *Proxy) BlackHole(on bool) { p.all().BlackHole(on) }

// BlackHoleReplies swallows only what the server sends, while it is on: a
// command is executed and its reply never comes. When it is turned off, the
// connections that were open meanwhile are closed.
func (p *Proxy) BlackHoleReplies(on bool) { p.all().BlackHoleReplies(on) }

// Stall reads nothing more from the server while it is on, as a consumer that is
// too slow: the server's output buffers fill, and it may close the connection.
// Nothing is lost on the way: what the server has sent by then arrives, late.
func (p *Proxy) Stall(on bool) { p.all().Stall(on) }

// Delay delivers whatever the server sends d after it came, in order; 0 turns
// that off. It is a latency, not a rate: replies are delayed side by side. A
// change also applies to what is being held back at that moment.
func (p *Proxy) Delay(d time.Duration) { p.all().Delay(d) }

// DropMessages removes the pub/sub messages for which match returns true from
// the streams of subscribers (SUBSCRIBE, PSUBSCRIBE and SSUBSCRIBE, RESP2 and
// RESP3); everything else passes. nil turns it off. [Proxy.Dropped] counts.
func (p *Proxy) DropMessages(match func(channel string, payload []byte) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropMsg = match
}

// Dropped returns how many messages [Proxy.DropMessages] has removed; one that
// two subscribers would have received counts twice.
func (p *Proxy) Dropped() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dropped
}

// Conns returns how many connections are open.
func (p *Proxy) Conns() int { return p.all().Conns() }

// Commands returns how many commands clients have sent, by name in upper case,
// including those that were not forwarded and those of the handshake (HELLO).
// A subcommand is no part of the name.
func (p *Proxy) Commands() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.commands)
}

// RoundTrips returns how often clients had to wait for the server: a pipeline
// is one, as long as it fits into one write (32 KiB or more). Handshakes and
// the connections of subscribers do not count.
func (p *Proxy) RoundTrips() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trips
}

// ResetCounts sets what Commands, RoundTrips and Dropped return to zero.
func (p *Proxy) ResetCounts() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.commands)
	p.trips, p.dropped = 0, 0
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			if p.ctx.Err() != nil {
				return
			}
			continue // for example a connection reset before it was accepted
		}
		if l := p.register(c); l != nil && !p.spawn(l.run) {
			l.close()
		}
	}
}

// register makes a link of a new connection, unless connections are refused.
// That is decided under the lock that cut takes, so no connection slips
// through between Refuse's switching and its cutting.
func (p *Proxy) register(c net.Conn) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.faults[anyKind].refuse || p.ctx.Err() != nil {
		_ = c.Close()
		return nil
	}
	l := newLink(p, c)
	l.holed = p.faults[anyKind].swallowsReplies()
	p.links[l] = struct{}{}
	return l
}

func (p *Proxy) forget(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

func (p *Proxy) dial(ctx context.Context) (net.Conn, error) {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var d net.Dialer
	return d.DialContext(ctx, "tcp", target)
}

// set changes the faults of a kind, wakes those who wait for a change, and
// closes the links that come out of a black hole. Those are marked in the same
// step, as otherwise bytes could pass between the end of the hole and the end
// of the link.
func (p *Proxy) set(k kind, change func(*fault)) {
	p.mu.Lock()
	change(&p.faults[k])
	var out []*link
	for l := range p.links {
		if p.faultsOf(l).swallowsReplies() {
			l.holed = true
		} else if l.holed {
			l.doomed = true
			out = append(out, l)
		}
	}
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	for _, l := range out {
		l.close()
	}
}

// faultsOf is called with p.mu held.
func (p *Proxy) faultsOf(l *link) fault {
	f := p.faults[anyKind]
	if l.kind != anyKind {
		f = f.or(p.faults[l.kind])
	}
	f.hole = f.hole || l.doomed
	return f
}

// state returns the faults that apply to a link, and a channel that is closed
// when they may have changed.
func (p *Proxy) state(l *link) (fault, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faultsOf(l), p.changed
}

func (p *Proxy) linksOf(k kind) []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*link
	for l := range p.links {
		if k == anyKind || l.kind == k {
			out = append(out, l)
		}
	}
	return out
}

func (p *Proxy) cut(k kind) {
	for _, l := range p.linksOf(k) {
		l.close()
	}
}

// spawn runs f as a goroutine of the proxy, unless that is closed.
func (p *Proxy) spawn(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return false
	}
	p.wg.Go(f)
	return true
}

// close ends the proxy and waits for its goroutines.
func (p *Proxy) close() {
	p.mu.Lock()
	p.cancel()
	p.mu.Unlock()
	_ = p.listener.Close()
	p.cut(anyKind)
	p.wg.Wait()
}

// arrived notes a command, learns from it what the connection is for, and
// returns what is to be done with it.
func (p *Proxy) arrived(l *link, name string, args [][]byte) (fault, *rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commands[name]++
	switch {
	case isPubSubCommand(name):
		l.kind = pubsubKind
	case l.kind == anyKind && !isHandshake(name):
		l.kind = dataKind
	}
	f := p.faultsOf(l)
	l.holed = l.holed || f.swallowsReplies()
	if f.refuse || f.hole {
		return f, nil
	}
	for i, r := range p.rules {
		if r.match(args) {
			if r.left--; r.left == 0 {
				p.rules = append(p.rules[:i:i], p.rules[i+1:]...)
			}
			return f, r
		}
	}
	return f, nil
}

// messageFate decides about a pub/sub message: to drop it, to hold it back, or
// neither.
func (p *Proxy) messageFate(channel string, payload []byte) (drop bool, gate *Held) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dropMsg != nil && p.dropMsg(channel, payload) {
		p.dropped++
		return true, nil
	}
	for i, r := range p.messageRules {
		if r.matchMessage(channel, payload) {
			p.messageRules = append(p.messageRules[:i:i], p.messageRules[i+1:]...)
			return false, r.held
		}
	}
	return false, nil
}
