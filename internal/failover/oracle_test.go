package failover_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// oracle is the origin, and knows what may be read: a version for each key,
// the Deletes that followed the commits, and every read that was older.
type oracle struct {
	mu       sync.Mutex
	versions map[string]int
	deletes  map[string][]deletion
	stale    []staleRead
	reads    int
	loads    int
	worst    time.Duration // by which a read was behind a Delete, within the guarantee or not
}

// deletion is a Delete that has returned.
type deletion struct {
	version  int // committed before
	instance string
	at       time.Time // after it had returned
	pending  bool      // it returned a PendingError: it binds the instance that called only
}

// staleRead is a read that was older than the guarantee without loss allows.
type staleRead struct {
	instance, key string
	got           int
	after         deletion
	begin, end    time.Time
}

func (s staleRead) String() string {
	return fmt.Sprintf("%s read version %d of %s in a read that began %v after the Delete that followed version %d returned on %s (pending: %v)",
		s.instance, s.got, s.key, s.begin.Sub(s.after.at).Round(time.Millisecond), s.after.version, s.after.instance, s.after.pending)
}

func newOracle() *oracle {
	return &oracle{versions: make(map[string]int), deletes: make(map[string][]deletion)}
}

func (o *oracle) commit(key string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.versions[key]++
	return o.versions[key]
}

func (o *oracle) newest(key string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.versions[key]
}

// load is the load function of all regions.
func (o *oracle) load(_ context.Context, key string) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.loads++
	return o.versions[key], nil
}

func (o *oracle) deleted(key string, d deletion) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.deletes[key] = append(o.deletes[key], d)
}

// saw judges a read. G1a: on the instance that deleted it may not be older once
// the Delete has returned. G1b: on any other not once the bound has passed.
func (o *oracle) saw(instance, key string, got int, begin, end time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reads++
	if got >= o.versions[key] {
		return
	}
	var worst *staleRead
	for _, d := range o.deletes[key] {
		if d.version <= got || d.pending && d.instance != instance {
			continue
		}
		o.worst = max(o.worst, begin.Sub(d.at))
		late := d.at.Add(bound).Before(begin)
		own := d.instance == instance && d.at.Before(begin)
		if (late || own) && (worst == nil || own && worst.after.instance != instance) {
			worst = &staleRead{instance, key, got, d, begin, end}
		}
	}
	if worst != nil {
		o.stale = append(o.stale, *worst)
	}
}

// judge fails the test for each stale read that is not excused, and returns
// those that are.
func (o *oracle) judge(t *testing.T, excused func(staleRead) bool) (allowed []staleRead) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	violations := 0
	for _, s := range o.stale {
		if excused != nil && excused(s) {
			allowed = append(allowed, s)
			continue
		}
		if violations++; violations <= 10 {
			t.Errorf("violation: %v", s)
		}
	}
	t.Logf("%d reads, %d loads, %d violations, %d stale reads within what a failover allows; the worst read was %v behind a Delete",
		o.reads, o.loads, violations, len(allowed), o.worst.Round(time.Millisecond))
	return allowed
}

// loaded is how often the origin was read.
func (o *oracle) loaded() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.loads
}
