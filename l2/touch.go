package l2

import (
	"sync"
	"time"
)

const (
	maxTouches = 1 << 14 // that wait; further ones are left out
	touchBatch = 256
)

// touch is a value that was read and is to stay for it.
type touch struct {
	key        Key
	token      Token
	idle, keep time.Duration
}

// touches sends what waits to be touched, in one goroutine and in few round
// trips.
type touches struct {
	store *Store
	wake  chan struct{} // one element

	mu      sync.Mutex
	waiting []touch
}

func (ts *touches) init(s *Store) {
	ts.store = s
	ts.wake = make(chan struct{}, 1)
}

// Touch lets the value with this fill token stay for idle from now, but no longer
// than until the end of its life and keep. It works in the background and never
// blocks; it is left out while Redis is not there, or cannot keep up.
func (s *Store) Touch(k Key, token Token, idle, keep time.Duration) {
	if s.isClosed() || s.primary[s.layout.Partition(k.Hash)].breaker.isDown() {
		return
	}
	ts := &s.touches
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if len(ts.waiting) >= maxTouches {
		return
	}
	ts.waiting = append(ts.waiting, touch{k, token, idle, keep})
	select {
	case ts.wake <- struct{}{}:
	default:
	}
}

// run is the goroutine of the touches.
func (ts *touches) run() {
	s := ts.store
	defer s.owned.Done()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ts.wake:
		}
		ts.mu.Lock()
		waiting := ts.waiting
		ts.waiting = nil
		ts.mu.Unlock()
		for len(waiting) > 0 && !s.isClosed() {
			n := min(len(waiting), touchBatch)
			ts.send(waiting[:n])
			waiting = waiting[n:]
		}
	}
}

func (ts *touches) send(all []touch) {
	s := ts.store
	c, err := s.begin(s.ctx)
	if err != nil {
		return
	}
	jobs := make([]job, len(all))
	for i, t := range all {
		p := s.layout.Partition(t.key.Hash)
		args := touchScript.args([]string{s.layout.Value(p, t.key.Region, t.key.Name)}, 3)
		args = append(args, t.token.arg(), max(1, t.idle.Milliseconds()), t.keep.Milliseconds())
		jobs[i] = job{lane: s.primary[p].scripts, script: touchScript, args: args}
	}
	c.runAll(jobs) // what fails is touched again by the next read that finds it due
}
