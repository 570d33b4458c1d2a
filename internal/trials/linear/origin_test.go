package linear_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/doppio-cache/doppio/tiered"
)

// origin is the database: of each key the number of its newest version, and
// whether that is the key's removal.
type origin struct {
	mu   sync.Mutex
	keys map[string]version
}

type version struct {
	number  int
	removed bool
}

func newOrigin() *origin { return &origin{keys: make(map[string]version)} }

// commit makes the next version of a key and returns its number.
func (o *origin) commit(key string, removed bool) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	v := version{o.keys[key].number + 1, removed}
	o.keys[key] = v
	return v.number
}

// load is the load function. Others get a turn before and after it reads.
func (o *origin) load(_ context.Context, key string) (int, error) {
	yield(20)
	o.mu.Lock()
	v := o.keys[key]
	o.mu.Unlock()
	yield(20)
	if v.removed || v.number == 0 {
		return 0, fmt.Errorf("key %s: %w", key, tiered.ErrNotFound)
	}
	return v.number, nil
}

// yield lets other goroutines run, up to n times.
func yield(n int) {
	for range rand.N(n + 1) {
		runtime.Gosched()
	}
}
