package tiered

import (
	"sync"
	"time"
)

// maxFailures is how many keys' errors a region remembers. Those beyond are not
// remembered.
const maxFailures = 1 << 14

// failures are the errors of loads that are not to be tried again for a while. An
// error is no value: it is this instance's alone, voids nothing and is voided by
// nothing but a load that goes well, or an invalidation of the key here.
type failures struct {
	ttl func(err error) time.Duration // Config.ErrorTTL; nil: none is remembered

	mu     sync.Mutex
	keys   map[string]failure
	expiry int64 // when there was no room last, and it was made
}

type failure struct {
	err   error
	until int64 // on the fences' clock
}

// recent is the error of a load of the key that is not to be tried again yet.
func (f *failures) recent(key string, now int64) error {
	if f.ttl == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.keys[key]
	if ok && now >= e.until {
		delete(f.keys, key)
		return nil
	}
	return e.err
}

// remember takes in how a load of the key has ended.
func (f *failures) remember(key string, err error, now int64) {
	if f.ttl == nil {
		return
	}
	var d time.Duration
	if err != nil {
		d = min(f.ttl(err), maxLife) // not under the lock: it is the caller's
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if d <= 0 {
		delete(f.keys, key)
		return
	}
	if len(f.keys) >= maxFailures && now-f.expiry > int64(time.Second) {
		f.expiry = now // looking through all of them costs too much to do it each time
		f.expire(now)
	}
	if len(f.keys) < maxFailures {
		if f.keys == nil {
			f.keys = make(map[string]failure)
		}
		f.keys[key] = failure{err, now + int64(d)}
	}
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

// expire makes room. The caller holds f.mu.
func (f *failures) expire(now int64) {
	for key, e := range f.keys {
		if now >= e.until {
			delete(f.keys, key)
		}
	}
}
