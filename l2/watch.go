package l2

import (
	"sync/atomic"
	"time"
)

// ticksPerTimeout is how often in a timeout the watch looks at what is under
// way. It settles what would expire before it looks again, so that a call ends
// up to one part in so many early, and never late.
const ticksPerTimeout = 16

// idleTicks is after how many looks at nothing the watch goes to sleep.
const idleTicks = 4 * ticksPerTimeout

// watch lets calls expire. One goroutine that looks at all of them, some times
// per timeout, costs each of them less than a timer of its own, by far when
// there are many.
type watch struct {
	store  *Store
	asleep atomic.Bool
	wake   chan struct{} // one element
}

func (w *watch) init(s *Store) {
	w.store = s
	w.wake = make(chan struct{}, 1)
	w.asleep.Store(true)
}

// stir makes sure that the watch is awake. A request is on its lane before this
// is called, so that either the watch sees it as it goes to sleep, or is seen
// asleep here.
func (w *watch) stir() {
	if w.asleep.Load() && w.asleep.CompareAndSwap(true, false) {
		signal(w.wake)
	}
}

// run is the goroutine of the watch.
func (w *watch) run() {
	s := w.store
	defer s.owned.Done()
	tick := max(s.opts.Timeout/ticksPerTimeout, time.Millisecond)
	timer := time.NewTicker(tick)
	timer.Stop()
	defer timer.Stop()
	idle := 0
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-w.wake:
			timer.Reset(tick)
			idle = 0
		case <-timer.C:
			if w.look(s.now() + tick) {
				idle = 0
				continue
			}
			if idle++; idle < idleTicks {
				continue
			}
			timer.Stop()
			w.asleep.Store(true)
			if w.look(s.now() + tick) {
				w.stir()
			}
		}
	}
}

// look expires what has to, and reports whether anything is under way.
func (w *watch) look(now time.Duration) (busy bool) {
	w.store.eachLane(func(l *lane) {
		if l.busy.Load() > 0 {
			busy = true
			l.expire(now)
		}
	})
	return busy
}
