package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/fleet"
)

// Fault is one way to break something.
type Fault struct {
	Name  string // for tables
	Label string // for charts: short
	Lossy bool   // see [oracle.Phase]
	Late  bool   // see [oracle.Phase]
	// Features says that it is about what a run without features does not use.
	Features bool
	// run breaks, waits for about hold, and mends.
	run func(b *breaker)
}

// breaker is what a fault works with.
type breaker struct {
	context.Context
	*fleet.Fleet
	*rand.Rand
	hold  time.Duration
	facts []string
}

// Apply carries the fault out and returns when everything is mended. random
// chooses the victims, hold is how long the fault lasts. The facts are what is
// to be told about it.
func (f *Fault) Apply(ctx context.Context, on *fleet.Fleet, random *rand.Rand, hold time.Duration) (facts []string) {
	b := &breaker{ctx, on, random, hold, nil}
	f.run(b)
	return b.facts
}

// wait waits for a time, or for the end of the run.
func (b *breaker) wait(d time.Duration) { _ = fleet.Pause(b.Context, d) }

// victim is one of the instances.
func (b *breaker) victim() *fleet.Member { return b.Members[b.IntN(len(b.Members))] }

// every does something again and again while the fault lasts, and returns how
// often.
func (b *breaker) every(d time.Duration, do func()) (times int) {
	for end := time.Now().Add(b.hold); time.Now().Before(end) && b.Err() == nil; times++ {
		do()
		b.wait(d)
	}
	return times
}

// redis sends a command to the server, past the proxies.
func (b *breaker) redis(args ...any) {
	if err := b.Admin.Do(b.Context, args...).Err(); err != nil && b.Err() == nil {
		b.Errorf("chaos: redis %v: %v", args, err)
	}
}

func (b *breaker) check(err error) {
	if err != nil && b.Err() == nil {
		b.Errorf("chaos: %v", err)
	}
}

// tell notes a fact about what has happened.
func (b *breaker) tell(format string, args ...any) {
	b.facts = append(b.facts, fmt.Sprintf(format, args...))
}
