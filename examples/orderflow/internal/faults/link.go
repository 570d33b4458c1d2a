package faults

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// Dialer opens a connection to the server.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// Link is the network between one client and its server. It is safe for
// concurrent use.
type Link struct {
	dial     Dialer
	dropping atomic.Bool
	dropped  atomic.Uint64
	done     chan struct{} // closed by Close
	pumps    sync.WaitGroup

	mu     sync.Mutex
	open   chan struct{} // closed while the link passes bytes
	conns  map[io.Closer]struct{}
	closed bool
}

// NewLink returns a healthy link over dial.
func NewLink(dial Dialer) *Link {
	open := make(chan struct{})
	close(open)
	return &Link{dial: dial, done: make(chan struct{}), open: open, conns: make(map[io.Closer]struct{})}
}

// Cut stops all bytes until Heal. It may be called twice.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.open:
		l.open = make(chan struct{})
	default: // cut already
	}
}

// Heal ends a Cut. It may be called twice.
func (l *Link) Heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.open:
	default:
		close(l.open)
	}
}

// DropMessages makes pub/sub messages vanish, or pass again.
func (l *Link) DropMessages(drop bool) { l.dropping.Store(drop) }

// Dropped is the number of messages that have vanished.
func (l *Link) Dropped() uint64 { return l.dropped.Load() }

// Close closes all connections and waits until their goroutines have ended.
func (l *Link) Close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.done)
	}
	var errs []error
	for c := range l.conns {
		errs = append(errs, c.Close())
	}
	l.mu.Unlock()
	l.pumps.Wait()
	return errors.Join(errs...)
}

// pass waits until the link passes bytes. It returns false if it was closed.
func (l *Link) pass(ctx context.Context) error {
	for {
		l.mu.Lock()
		open := l.open
		l.mu.Unlock()
		select {
		case <-l.done:
			return net.ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		case <-open:
		}
		// A cut that came while we waited has put another channel in place.
		l.mu.Lock()
		same := l.open == open
		l.mu.Unlock()
		if same {
			return nil
		}
	}
}

// Dial connects to the server. While the link is cut it waits, as the first
// packet of a connection would.
func (l *Link) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := l.pass(ctx); err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	server, err := l.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	client, inner := net.Pipe()
	both := &pair{a: server, b: inner}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errors.Join(net.ErrClosed, both.Close(), client.Close())
	}
	l.conns[both] = struct{}{}
	c := &conn{link: l, server: server, inner: inner}
	l.pumps.Go(func() {
		defer l.forget(both)
		var pumps sync.WaitGroup
		pumps.Go(func() { defer both.Close(); c.toServer() })
		pumps.Go(func() { defer both.Close(); c.toClient() })
		pumps.Wait()
	})
	return client, nil
}

func (l *Link) forget(c io.Closer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// pair closes two connections as one, once.
type pair struct {
	a, b net.Conn
	once sync.Once
	err  error
}

func (p *pair) Close() error {
	p.once.Do(func() { p.err = errors.Join(p.a.Close(), p.b.Close()) })
	return p.err
}

// conn is one connection: bytes go from inner (whose other end the client has)
// to server and back.
type conn struct {
	link       *Link
	server     net.Conn
	inner      net.Conn
	subscribed atomic.Bool // the client has sent a SUBSCRIBE
}

// chunk is as much as is under way at once in one direction.
const chunk = 32 << 10

// toServer passes what the client sends. What it has read from the client is
// sent sooner or later, even if the client has closed its end meanwhile.
func (c *conn) toServer() {
	buf := make([]byte, chunk)
	for {
		n, err := c.inner.Read(buf)
		if n > 0 {
			if bytes.Contains(bytes.ToLower(buf[:n]), []byte("subscribe\r\n")) {
				c.subscribed.Store(true) // before the server can answer it
			}
			if c.link.pass(context.Background()) != nil {
				return
			}
			if _, werr := c.server.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// toClient passes what the server sends. A connection on which the client has
// subscribed is read frame by frame from there on: the client sends a SUBSCRIBE
// only when it has got all earlier answers, so the next byte begins a frame.
func (c *conn) toClient() {
	buf := make([]byte, chunk)
	for {
		n, err := c.server.Read(buf)
		if n > 0 && c.subscribed.Load() {
			c.messages(io.MultiReader(bytes.NewReader(buf[:n]), c.server))
			return
		}
		if n > 0 && !c.deliver(buf[:n]) {
			return
		}
		if err != nil {
			return
		}
	}
}

// messages passes the frames of a connection with subscriptions.
func (c *conn) messages(from io.Reader) {
	r := bufio.NewReader(from)
	var frame []byte
	for {
		var err error
		if frame, err = readFrame(r, frame[:0]); err != nil {
			return
		}
		if c.link.dropping.Load() && isMessage(frame) {
			c.link.dropped.Add(1)
			continue
		}
		if !c.deliver(frame) {
			return
		}
	}
}

// deliver hands bytes to the client, after the cut if there is one.
func (c *conn) deliver(b []byte) bool {
	if c.link.pass(context.Background()) != nil {
		return false
	}
	_, err := c.inner.Write(b)
	return err == nil
}
