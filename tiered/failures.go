package tiered

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
)

const (
	// maxFailures is how many keys' errors a region remembers. Those beyond are not
	// remembered.
	maxFailures = 1 << 14
	// failuresSwept is how long one that stands no longer may be held.
	failuresSwept = time.Minute
)

// failures are the errors of loads that are not to be tried again for a while. An
// error is no value: it is this instance's alone, and voids nothing. It ends with
// its time, with a load that goes well, or when an invalidation is heard that could
// concern the key, here or elsewhere: whoever invalidates wants it to be loaded.
type failures struct {
	ttl func(err error) time.Duration // Config.ErrorTTLFor; nil: none is remembered

	mu    sync.Mutex
	keys  map[string]failure
	swept int64 // when those were looked for last that stand no longer
}

type failure struct {
	err   error
	until int64       // on the fences' clock
	stamp fence.Stamp // of the flight that loaded
}

// standing is the error that the flight is to return instead of loading; nil: it
// is to load.
func (f *flight) standing() error {
	if f.failures.ttl == nil || f.kind.forces() {
		return nil
	}
	e := f.failures.recent(f.key.Name, f.node.fences.Now())
	if e.err == nil {
		return nil
	}
	// It is judged here, not only where it is remembered: an invalidation that comes
	// between the two finds nothing to forget.
	if !f.node.fences.Passes(&e.stamp) {
		f.failures.forget(f.key.Name)
		return nil
	}
	f.counters.errorHits.Add(1)
	return e.err
}

// concluded takes note of how a load of the flight's key has ended.
func (f *flight) concluded(l *loaded) {
	switch {
	case f.failures.ttl == nil:
	case !l.failed():
		f.failures.forget(f.key.Name)
	case errors.Is(l.err, context.Canceled): // says nothing of the origin
	case f.node.fences.Passes(&f.stamp): // otherwise an invalidation has let the key be loaded again
		f.failures.remember(f.key.Name, l.err, f.stamp, f.node.fences.Now())
	}
}

// recent is what is remembered of a key, if its time is not over.
func (f *failures) recent(key string, now int64) failure {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sweep(now, failuresSwept)
	e, ok := f.keys[key]
	if ok && now >= e.until {
		delete(f.keys, key)
		return failure{}
	}
	return e
}

// remember lets an error stand, if it is of a kind that does.
func (f *failures) remember(key string, err error, stamp fence.Stamp, now int64) {
	d := min(f.ttl(err), maxLife) // not under the lock: it is the caller's
	f.mu.Lock()
	defer f.mu.Unlock()
	if d <= 0 {
		delete(f.keys, key)
		return
	}
	if len(f.keys) >= maxFailures {
		f.sweep(now, time.Second)
	}
	if len(f.keys) < maxFailures {
		if f.keys == nil {
			f.keys = make(map[string]failure)
		}
		f.keys[key] = failure{withoutStack(err), now + int64(d), stamp}
	}
}

// withoutStack is the error without what makes it large: thousands may stand.
func withoutStack(err error) error {
	if p, ok := err.(*LoadPanicError); ok { //nolint:errorlint // one of ours is not wrapped
		short := *p
		short.Stack = nil
		return &short
	}
	return err
}

// forget lets the key be loaded.
func (f *failures) forget(key string) {
	if f.ttl == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.keys, key)
}

// sweep lets go of errors that stand no longer, unless it has just been done:
// looking through all of them costs too much to do it each time. The caller holds
// f.mu.
func (f *failures) sweep(now int64, pause time.Duration) {
	if now-f.swept <= int64(pause) {
		return
	}
	f.swept = now
	for key, e := range f.keys {
		if now >= e.until {
			delete(f.keys, key)
		}
	}
}
