package tiered

import (
	"context"
	"sync"
)

// gate counts what is running and can be shut. (A sync.WaitGroup must not be
// added to while somebody waits for it to reach zero, which is just what
// happens when a call comes in during Close.)
type gate struct {
	mu      sync.Mutex
	shut    bool
	running int
	idle    chan struct{} // closed when shut and nothing is running
}

func newGate() *gate { return &gate{idle: make(chan struct{})} }

// enter counts one more; false: the gate is shut.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return false
	}
	g.running++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	if g.shut && g.running == 0 {
		close(g.idle)
	}
}

// close shuts the gate; idle is closed as soon as nothing is running.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return
	}
	g.shut = true
	if g.running == 0 {
		close(g.idle)
	}
}

// drain shuts the gate and waits until nothing is running, or until done. The error
// is ctx's, if that has ended while something was.
func (g *gate) drain(ctx context.Context, done <-chan struct{}) error {
	g.close()
	select {
	case <-g.idle: // first: where ctx has ended too, a select of both would choose at random
		return nil
	default:
	}
	select {
	case <-g.idle:
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
