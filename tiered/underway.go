package tiered

import "sync"

// underway are the flights of one kind that callers can join, by key. It does
// what x/sync's singleflight does, but says at once who leads: whoever asks for
// many keys has to know, before it takes the first step, which of them are its
// own to get.
type underway struct {
	mu      sync.Mutex
	flights map[string]*joint
}

// joint is a flight as those see it who wait for it.
type joint struct {
	landed chan struct{}
	out    *outcome // set before landed is closed
}

func (j *joint) hasLanded() bool {
	select {
	case <-j.landed:
		return true
	default:
		return false
	}
}

// find returns the flight of a key; nil: there is none.
func (u *underway) find(key string) *joint {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.flights[key]
}

// join returns the flight of a key, a new one if there is none. Whoever leads a
// flight has to land it.
func (u *underway) join(key string) (j *joint, leads bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if j := u.flights[key]; j != nil {
		return j, false
	}
	if u.flights == nil {
		u.flights = make(map[string]*joint)
	}
	j = &joint{landed: make(chan struct{})}
	u.flights[key] = j
	return j, true
}

// land ends a flight: those who wait get the outcome.
func (u *underway) land(key string, j *joint, out *outcome) {
	u.mu.Lock()
	if u.flights[key] == j { // it may have been forgotten
		delete(u.flights, key)
	}
	u.mu.Unlock()
	j.out = out
	close(j.landed)
}

// forget makes sure that nobody joins the flight of a key any more.
func (u *underway) forget(key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.flights, key)
}
