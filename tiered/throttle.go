package tiered

import (
	"sync"
	"time"
)

// throttleKeys is how many keys a throttle remembers at least, before it forgets
// the ones that came first.
const throttleKeys = 1 << 15

// throttle remembers for which keys something is not to be done again for a
// while. Keys are known by their hashes: two that share one share their fate. It
// forgets, when there are too many: then the thing is done once more. Its zero
// value holds nothing. It is not asked on a hit in L1 that is no more than that.
type throttle struct {
	mu          sync.RWMutex
	young, aged map[uint64]int64 // hash → time on the fences' clock
}

// holds reports whether it is too early.
func (t *throttle) holds(hash uint64, now int64) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.early(hash, now)
}

func (t *throttle) early(hash uint64, now int64) bool {
	until, ok := t.young[hash]
	if !ok {
		until = t.aged[hash]
	}
	return now < until
}

// hold makes it too early until d from now.
func (t *throttle) hold(hash uint64, now int64, d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set(hash, now+int64(d))
}

// claim holds the key for d and reports true, unless it is held already. Of
// several who claim at once one succeeds.
func (t *throttle) claim(hash uint64, now int64, d time.Duration) bool {
	if t.holds(hash, now) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.early(hash, now) {
		return false
	}
	t.set(hash, now+int64(d))
	return true
}

// release lets go of a key.
func (t *throttle) release(hash uint64) {
	if !t.holds(hash, 0) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.young, hash)
	delete(t.aged, hash)
}

func (t *throttle) set(hash uint64, until int64) {
	if t.young == nil || len(t.young) >= throttleKeys {
		t.young, t.aged = make(map[uint64]int64), t.young
	}
	t.young[hash] = until
}
