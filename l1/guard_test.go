package l1

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// After close has returned nobody is inside, and nobody comes in; and close
// does return, however many are turned back meanwhile.
func TestNobodyIsInsideAClosedGuard(t *testing.T) {
	// Two seconds, because what could go wrong goes wrong seldom.
	for begin := time.Now(); time.Since(begin) < 2*time.Second; {
		g := newGuard()
		var closed atomic.Bool // close has returned
		var entered atomic.Int64
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for {
					cell := g.enter()
					if cell == nil {
						return
					}
					entered.Add(1)
					if closed.Load() {
						t.Error("inside after close has returned")
					}
					cell.leave()
				}
			})
		}
		for entered.Load() < 8 {
			runtime.Gosched()
		}
		g.close()
		closed.Store(true)
		wg.Wait()
		if t.Failed() {
			return
		}
	}
}
