package l2

import (
	"errors"
	"sync/atomic"
)

// Stats is a snapshot of a store's counters. All but LeasesHeld and Stuck only
// grow.
type Stats struct {
	Unreadable   uint64 // reads that met a value that could not be read
	Timeouts     uint64 // calls that had no answer in time
	Failures     uint64 // calls that Redis, or the way to it, answered with an error
	Refused      uint64 // calls that were not sent because Redis was known to be down
	Downs        uint64 // times that Redis was found to be down
	Scripts      uint64 // scripts that Redis did not know and was sent in full
	LeasesHeld   int    // leases that are being renewed
	LeasesLost   uint64 // leases that a renewal found gone
	LateGrants   uint64 // leases that were granted when their caller had left
	ReleasesLost uint64 // leases left to expire because too many releases waited
	Stuck        int    // round trips that the client has not come back from in time
}

type counters struct {
	unreadable, timeouts, failures, refused, downs, scripts atomic.Uint64
	leasesLost, lateGrants, releasesLost                    atomic.Uint64
}

// Stats returns a snapshot. It is cheap.
func (s *Store) Stats() Stats {
	st := Stats{
		Unreadable:   s.counts.unreadable.Load(),
		Timeouts:     s.counts.timeouts.Load(),
		Failures:     s.counts.failures.Load(),
		Refused:      s.counts.refused.Load(),
		Downs:        s.counts.downs.Load(),
		Scripts:      s.counts.scripts.Load(),
		LeasesHeld:   s.leases.held(),
		LeasesLost:   s.counts.leasesLost.Load(),
		LateGrants:   s.counts.lateGrants.Load(),
		ReleasesLost: s.counts.releasesLost.Load(),
	}
	s.eachLane(func(l *lane) {
		l.mu.Lock()
		st.Stuck += l.stuck
		l.mu.Unlock()
	})
	return st
}

// unreadableKinds are the reasons for which a value cannot be read.
var unreadableKinds = [...]error{ErrForeign, ErrLayout, ErrTruncated, ErrCorrupt}

// sawUnreadable counts a value that could not be read, and logs the first of
// each kind.
func (s *Store) sawUnreadable(err error) {
	s.counts.unreadable.Add(1)
	for i, kind := range unreadableKinds {
		if errors.Is(err, kind) && s.logged[i].CompareAndSwap(false, true) {
			s.log.Warn("a value in redis cannot be read and counts as absent; further ones like it are only counted",
				"reason", err)
		}
	}
}
