package invalidation

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// ErrLayout is what every [LayoutError] is.
var ErrLayout = errors.New("invalidation: another layout is in use")

// LayoutError says that living instances use another layout (another number of
// partitions, or another version of the layout) under the same prefix. The two
// would not hear each other, so the later one must not cache.
type LayoutError struct {
	Key    string // where instances agree on the layout
	Ours   string // version and number of partitions of this instance
	Theirs string // of the others
}

func (e *LayoutError) Error() string {
	return fmt.Sprintf("invalidation: %s is %q in Redis, this instance has %q (version of the layout and number of partitions): "+
		"use the same Partitions and a compatible version in all instances, or another Prefix; "+
		"the layout is free again a minute or ten bounds after the last instance that uses it has gone",
		e.Key, e.Theirs, e.Ours)
}

// Is makes errors.Is(err, ErrLayout) true.
func (e *LayoutError) Is(target error) bool { return target == ErrLayout }

// minLayoutTTL is the least time for which the layout stays taken after the
// last instance that uses it has gone.
const minLayoutTTL = time.Minute

// agreement is what is known about the layout that the living instances use.
// Only the prober changes it.
type agreement struct {
	key, record string // Redis keys: the layout in use, and the last one with the begin of its era
	ours        string
	ttl         time.Duration

	era       string // identifies the time since which our layout is the last that was in use
	confirmed int64  // when the last probe that found our layout in use was sent; unknown until then

	conflict atomic.Pointer[LayoutError]
	mu       sync.Mutex
	signal   chan struct{} // closed and replaced when conflict changes
}

func (a *agreement) init(l *keyspace.Layout, bound time.Duration) {
	a.key = l.AgreementKey()
	// The braces put the second key into the first one's Cluster slot.
	a.record = "{" + a.key + "}:era"
	a.ours = l.Agreement()
	a.ttl = max(minLayoutTTL, 10*bound)
	a.confirmed = unknown
	a.signal = make(chan struct{})
}

// holds reports whether leases may be granted at this moment.
//
// On a Cluster the layout is kept by one of the primaries. While only that one
// does not answer, the other partitions go on for a while: our layout cannot
// have been replaced before its key has expired, which takes at least half of
// its life from the last time that we saw it (the probe renews it when half
// has passed). A quarter leaves room for the leases themselves, each of which
// lasts a tenth at most.
func (a *agreement) holds(now int64) bool {
	return a.conflict.Load() == nil && a.confirmed != unknown && now-a.confirmed <= int64(a.ttl)/4
}

// set changes the conflict, nil for none, and wakes those who wait for it.
func (a *agreement) set(e *LayoutError) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conflict.Store(e)
	close(a.signal)
	a.signal = make(chan struct{})
}

// changed is closed when the conflict changes.
func (a *agreement) changed() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.signal
}

// Err is a [LayoutError] while living instances use another layout, and nil
// otherwise.
//
// It is set before the partitions are voided for it. So whoever takes a fence
// stamp first, and asks Err after that, either sees the error or holds a stamp
// that the conflict voids.
func (b *Backplane) Err() error {
	if e := b.agreed.conflict.Load(); e != nil {
		return e
	}
	return nil
}

// disagree takes in that another layout is in use.
func (b *Backplane) disagree(theirs string) {
	a := &b.agreed
	if e := a.conflict.Load(); e == nil || e.Theirs != theirs {
		a.set(&LayoutError{Key: a.key, Ours: a.ours, Theirs: theirs})
		b.counters.flushes.layout.Add(uint64(len(b.epochs)))
	}
	a.confirmed = unknown
	b.voidAll()
}

// agree takes in that our layout is in use, as found by a probe sent at t0.
func (b *Backplane) agree(era string, t0 int64) {
	a := &b.agreed
	if a.conflict.Load() != nil {
		// What was read meanwhile was read without hearing anything.
		b.voidAll()
		a.set(nil)
	}
	a.era, a.confirmed = era, t0
}

func (b *Backplane) voidAll() {
	for p := range b.epochs {
		b.epochs[p].Store(nil)
		b.fences.VoidPartition(p)
	}
}
