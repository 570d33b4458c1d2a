package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/rpc"
	"sync"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// Hub is what instances call. Its methods have the form that net/rpc asks for.
type Hub struct{ f *Fleet }

// Load answers with the committed version of a key, and takes a while, on
// both sides of the reading.
func (h *Hub) Load(key uint32, version *uint64) (err error) {
	if err := h.f.latency(); err != nil {
		return err
	}
	if *version, err = h.f.Judge.Version(key); err != nil {
		return err
	}
	return h.f.latency()
}

// Commit makes a new version of a key.
func (h *Hub) Commit(key uint32, version *uint64) (err error) {
	*version, err = h.f.Judge.Commit(key)
	return err
}

// Report takes in what an instance has seen and answers with its orders.
func (h *Hub) Report(b *wire.Batch, orders *wire.Orders) error {
	if b.ID.Instance < 0 || b.ID.Instance >= len(h.f.Members) {
		return fmt.Errorf("fleet: no instance %d", b.ID.Instance)
	}
	if err := h.f.Members[b.ID.Instance].take(b); err != nil {
		return err
	}
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	*orders = h.f.orders
	return nil
}

// latency waits for half the time that a load takes.
func (f *Fleet) latency() error {
	return Pause(f.ctx, f.opts.Latency/4+rand.N(f.opts.Latency/2))
}

// Pause waits, or returns why ctx has ended.
func Pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// listener accepts instances until it is closed.
type listener struct {
	net.Listener
	wg    sync.WaitGroup
	mu    sync.Mutex
	conns []net.Conn
}

func (l *listener) serve(server *rpc.Server) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		l.mu.Lock()
		l.conns = append(l.conns, conn)
		l.mu.Unlock()
		l.wg.Go(func() { server.ServeConn(conn) })
	}
}

// close ends all calls: ServeConn waits for those under way.
func (l *listener) close() {
	_ = l.Close()
	l.mu.Lock()
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.mu.Unlock()
	l.wg.Wait()
}
