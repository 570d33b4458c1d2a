package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/fleet"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/oracle"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/origin"
)

// canaryID is a product that only the canary reads and changes.
const canaryID = origin.Products + 1

// canary measures how long an invalidation takes: from the answer to a change
// until, on the slowest instance, the last read begins that does not show it.
type canary struct {
	target *Target
	limit  time.Duration // how long one change is watched

	mu     sync.Mutex
	lags   []time.Duration // limit: not seen everywhere until then
	latest time.Time       // at which a change was asked for that was measured
}

// canaryPause is the time between two changes.
const canaryPause = 100 * time.Millisecond

// run changes and watches until stop is closed. One instance after the other
// makes the change.
func (c *canary) run(ctx context.Context, stop <-chan struct{}) {
	instances := c.target.Fleet.Instances
	for n := 0; !stopped(ctx, stop); n++ {
		c.round(ctx, stop, instances[n%len(instances)], int64(1000+n))
		if !pause(ctx, stop, canaryPause) {
			return
		}
	}
}

func (c *canary) round(ctx context.Context, stop <-chan struct{}, writer *fleet.Instance, cents int64) {
	for _, inst := range c.target.Fleet.Instances { // all hold the price before it changes
		if _, err := c.read(ctx, inst); err != nil {
			return
		}
	}
	asked := time.Now()
	change, err := c.target.setPrice(ctx, writer, canaryID, cents)
	if err != nil || change.Pending {
		return // cut off from Redis: there is no promise to measure yet
	}
	var watchers sync.WaitGroup
	lags := make([]time.Duration, len(c.target.Fleet.Instances))
	for i, inst := range c.target.Fleet.Instances {
		watchers.Go(func() { lags[i] = c.watch(ctx, stop, inst, change) })
	}
	watchers.Wait()
	if stopped(ctx, stop) {
		return // before all had the time to see it
	}
	c.record(asked, min(slices.Max(lags), c.limit))
}

// watch reads until the instance shows the change or the limit is over, and
// returns how long after the answer to the change the last read began that did
// not show it. It reads the more seldom the longer it takes, so that the load is
// not the canary's.
func (c *canary) watch(ctx context.Context, stop <-chan struct{}, inst *fleet.Instance, change oracle.Change) (lag time.Duration) {
	for {
		age := time.Since(change.Answered)
		p, err := c.read(ctx, inst)
		if err == nil && p.Version >= change.Version {
			return lag
		}
		lag = age
		wait := max(500*time.Microsecond, age/20)
		if lag >= c.limit || !pause(ctx, stop, wait) {
			return lag
		}
	}
}

func (c *canary) read(ctx context.Context, inst *fleet.Instance) (versioned, error) {
	return c.target.getProduct(ctx, inst, fmt.Sprintf("/products/%d", canaryID))
}

func (c *canary) record(asked time.Time, lag time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lags = append(c.lags, lag)
	c.latest = asked
}

// measuredSince reports whether a change asked for after t has been measured.
func (c *canary) measuredSince(t time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.latest.After(t)
}

// stopped reports whether the run is over.
func stopped(ctx context.Context, stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return ctx.Err() != nil
	}
}

// pause waits, and reports false if the run ended meanwhile.
func pause(ctx context.Context, stop <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stop:
		return false
	case <-ctx.Done():
		return false
	}
}
