package tiered

import "sync"

// airspace counts the flights of each key that are under way at once. There is
// more than one where their kinds differ (a Get beside a GetOrLoad) or where an
// invalidation made a later caller begin a flight of its own.
//
// It is here for the rule that the value of a key never goes back on one
// instance. Flight F1 reads version 1 from Redis and its reply is slow. Another
// instance sets version 2; its message is not here yet. Flight F2, of another
// kind, reads version 2 and its caller returns. Now F1 puts version 1 into L1,
// where nothing voids it until the message arrives, and the next caller goes
// back to version 1. So whoever lands first, while others are in the air,
// raises the fence to the sequence of what it read.
type airspace struct {
	mu      sync.Mutex
	flights map[string]int
}

func (a *airspace) takeOff(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.flights == nil {
		a.flights = make(map[string]int)
	}
	a.flights[key]++
}

// takeOffAlone is takeOff if no flight of the key is in the air.
func (a *airspace) takeOffAlone(key string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.flights[key] > 0 {
		return false
	}
	if a.flights == nil {
		a.flights = make(map[string]int)
	}
	a.flights[key] = 1
	return true
}

// land reports whether other flights of the key are still in the air.
func (a *airspace) land(key string) (others bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.flights[key]--; a.flights[key] > 0 {
		return true
	}
	delete(a.flights, key)
	return false
}
