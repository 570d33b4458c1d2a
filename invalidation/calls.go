package invalidation

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// calls runs calls to Redis on goroutines of their own. go-redis honours
// neither a context's deadline (by default) nor its cancellation (ever) while
// it reads, so whoever must not hang does not make the call itself.
type calls struct {
	wg sync.WaitGroup

	mu  sync.Mutex
	out map[string][]time.Time // when the calls that are out were started, by target
}

// Limits on the calls that are out to one target. They are about calls of some
// age, not about all: a call that hangs (a client without time-outs, on a
// connection that is dead without knowing it) may hang for as long as TCP
// takes to give up, and must not stop those that would get a new connection.
var callLimits = []struct {
	younger time.Duration
	calls   int
}{
	{2 * time.Second, 2},
	{time.Minute, 16},
}

// start runs f, unless too many calls to this target are out already.
func (c *calls) start(target string, f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for _, limit := range callLimits {
		n := 0
		for _, at := range c.out[target] {
			if now.Sub(at) < limit.younger {
				n++
			}
		}
		if n >= limit.calls {
			return false
		}
	}
	if c.out == nil {
		c.out = make(map[string][]time.Time)
	}
	c.out[target] = append(c.out[target], now)
	c.wg.Go(func() {
		defer c.end(target, now)
		f()
	})
	return true
}

// run runs f without a limit.
func (c *calls) run(f func()) { c.wg.Go(f) }

func (c *calls) end(target string, started time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.out[target]
	for i, at := range out {
		if at.Equal(started) {
			out[i] = out[len(out)-1]
			c.out[target] = out[:len(out)-1]
			break
		}
	}
	if len(c.out[target]) == 0 {
		delete(c.out, target)
	}
}

// wait waits until all calls have returned, but no longer than limit. None may
// be started any more.
func (c *calls) wait(limit time.Duration) {
	done := make(chan struct{})
	go func() {
		c.wg.Wait()
		close(done)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// backoff is a random time around which the n-th attempt in a row, from 1,
// should wait: it doubles from first to most. Half of it is random, so that
// the instances that were cut off together do not come back together.
func backoff(n int, first, most time.Duration) time.Duration {
	d := first << min(max(n-1, 0), 16)
	return jitter(min(d, most))
}

// jitter is a random time between d/2 and d.
func jitter(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d)/2+1))
}

// pause waits for d, and reports whether ctx is still alive then.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
