package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/rpc"
	"sync"
	"sync/atomic"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// Hub is what instances call. Its methods have the form that net/rpc asks for.
type Hub struct{ f *Fleet }

// errDown is what the origin answers while it is broken.
var errDown = errors.New("fleet: the origin is down")

// Load answers with the committed versions of keys, and takes a while, on both
// sides of the reading.
func (h *Hub) Load(keys []uint32, versions *[]uint64) (err error) {
	if err := h.f.latency(); err != nil {
		return err
	}
	if *versions, err = h.f.Judge.Versions(keys); err != nil {
		return err
	}
	if err := h.f.latency(); err != nil {
		return err
	}
	if h.f.origin.down.Load() {
		return errDown
	}
	return nil
}

// Intend announces what [oracle.Judge.Intend] must know before.
func (h *Hub) Intend(keys []uint32, number *uint64) (err error) {
	*number, err = h.f.Judge.Intend(keys)
	return err
}

// Commit makes new versions of keys. It works while loads do not.
func (h *Hub) Commit(c *wire.Commit, versions *[]uint64) (err error) {
	*versions, err = h.f.Judge.Commit(c)
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

// origin is what is wrong with loads.
type origin struct {
	down  atomic.Bool
	extra atomic.Int64 // ns that each load takes longer
}

// OriginDown makes all loads fail, or lets them succeed again.
func (f *Fleet) OriginDown(on bool) { f.origin.down.Store(on) }

// OriginSlow makes all loads take longer by a time.
func (f *Fleet) OriginSlow(extra time.Duration) { f.origin.extra.Store(int64(extra)) }

// latency waits for half the time that a load takes.
func (f *Fleet) latency() error {
	return Pause(f.ctx, f.opts.Latency/4+rand.N(f.opts.Latency/2)+time.Duration(f.origin.extra.Load()/2))
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
