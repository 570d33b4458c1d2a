package sim

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

var errCut = errors.New("sim: connection cut")

// pipe is one direction of a connection as its reader sees it: bytes that have
// arrived, without a limit, so that no writer ever waits.
type pipe struct {
	mu       sync.Mutex
	data     []byte
	err      error // after the data
	deadline time.Time
	changed  chan struct{} // closed and replaced when one of the above changes
}

func newPipe() *pipe { return &pipe{changed: make(chan struct{})} }

// change applies f and wakes the reader.
func (p *pipe) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *pipe) write(b []byte) { p.change(func() { p.data = append(p.data, b...) }) }

func (p *pipe) close(err error) {
	p.change(func() {
		if p.err == nil {
			p.err = err
		}
	})
}

func (p *pipe) read(b []byte) (int, error) {
	for {
		p.mu.Lock()
		changed, deadline := p.changed, p.deadline
		if len(p.data) > 0 {
			n := copy(b, p.data)
			if p.data = p.data[n:]; len(p.data) == 0 {
				p.data = nil
			}
			p.mu.Unlock()
			return n, nil
		}
		err := p.err
		p.mu.Unlock()
		switch {
		case err != nil:
			return 0, err
		case deadline.IsZero():
			<-changed
		default:
			left := time.Until(deadline)
			if left <= 0 {
				return 0, os.ErrDeadlineExceeded
			}
			timer := time.NewTimer(left)
			select {
			case <-changed:
			case <-timer.C:
			}
			timer.Stop()
		}
	}
}

// end is one end of a connection.
type end struct {
	in    *pipe
	out   func([]byte) error
	close func()
}

func (e *end) Read(b []byte) (int, error) { return e.in.read(b) }

func (e *end) Write(b []byte) (int, error) {
	if err := e.out(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (e *end) Close() error {
	e.in.close(io.ErrClosedPipe)
	e.close()
	return nil
}

func (e *end) LocalAddr() net.Addr  { return address{} }
func (e *end) RemoteAddr() net.Addr { return address{} }

func (e *end) SetDeadline(t time.Time) error { return e.SetReadDeadline(t) }

func (e *end) SetReadDeadline(t time.Time) error {
	e.in.change(func() { e.in.deadline = t })
	return nil
}

func (e *end) SetWriteDeadline(time.Time) error { return nil } // writes do not wait

type address struct{}

func (address) Network() string { return "sim" }
func (address) String() string  { return "sim" }
