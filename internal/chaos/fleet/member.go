package fleet

import (
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
	"github.com/doppio-cache/doppio/internal/redistest"
)

// Member is one instance: a process, or a succession of them, and its way to
// Redis.
type Member struct {
	Proxy *redistest.Proxy

	f      *Fleet
	number int

	mu      sync.Mutex
	life    int
	proc    *process // nil: dead
	through int64
	swept   int
	bulked  int
	samples []sample
}

type sample struct {
	life int
	wire.Sample
}

// Born starts a new process for the instance.
func (m *Member) Born() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proc != nil {
		return fmt.Errorf("fleet: instance %d is alive", m.number)
	}
	m.life++
	m.through, m.swept, m.bulked = wire.Now(), 0, 0
	s := m.f.settings()
	s.ID = wire.ID{Instance: m.number, Life: m.life}
	s.Redis = m.Proxy.Addr()
	var err error
	m.proc, err = launch(s, m.f.opts.Output)
	return err
}

// Kill ends the process (SIGKILL). What it has not reported yet is lost, and
// what it may be reporting is refused: see [oracle.Judge.Advance].
func (m *Member) Kill() {
	m.mu.Lock()
	proc := m.proc
	m.proc = nil
	m.mu.Unlock()
	if proc != nil {
		proc.kill()
	}
}

// Stop freezes the process (SIGSTOP).
func (m *Member) Stop() error { return m.signal(syscall.SIGSTOP) }

// Continue lets a stopped process go on (SIGCONT).
func (m *Member) Continue() error { return m.signal(syscall.SIGCONT) }

func (m *Member) signal(s syscall.Signal) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proc == nil {
		return fmt.Errorf("fleet: instance %d is dead", m.number)
	}
	return m.proc.signal(s)
}

// take takes in a batch of the living process.
func (m *Member) take(b *wire.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proc == nil || b.ID.Life != m.life {
		return fmt.Errorf("fleet: instance %d has another life", m.number)
	}
	if err := m.f.Judge.Take(b); err != nil {
		m.f.tb.Errorf("%v", err)
		return err
	}
	m.through, m.swept, m.bulked = b.Through, b.Swept, b.Bulked
	m.samples = append(m.samples, sample{b.ID.Life, b.Sample})
	return nil
}

// state returns a part of what is known, and whether the instance is alive.
func state[T any](m *Member, of func(*Member) T) (T, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return of(m), m.proc != nil
}

// exitTimeout bounds an orderly end.
const exitTimeout = 20 * time.Second

// ended waits for the orderly end that was ordered.
func (m *Member) ended() error {
	m.mu.Lock()
	proc := m.proc
	m.mu.Unlock()
	if proc == nil {
		return nil
	}
	t := time.NewTimer(exitTimeout)
	defer t.Stop()
	select {
	case <-proc.done:
		if proc.err != nil {
			return fmt.Errorf("fleet: instance %d: %w", m.number, proc.err)
		}
		return nil
	case <-t.C:
		return fmt.Errorf("fleet: instance %d does not end", m.number)
	}
}
