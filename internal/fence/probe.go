package fence

// Outcome is what a probe's answer meant for a partition.
type Outcome int

// Outcomes of [Table.Observe].
const (
	Confirmed Outcome = iota // everything was heard; the lease is renewed
	Behind                   // messages are missing or still under way; see [Table.Settle]
	Rewound                  // the sequence has gone back; everything is void
)

// Observe takes in a probe's answer: the sequence of partition p was seq at a
// moment after t0 (on the table's clock, read before the probe was sent), and
// before was [Table.Last] read before the probe was sent.
//
// An answer below before means that Redis has lost the sequence and counts
// anew: numbers can no longer be compared with those heard so far, so the
// partition starts over under a new generation before the answer is used.
// (An answer below the *present* last means nothing: messages with higher
// numbers arrived while the probe was under way.)
func (t *Table) Observe(p int, before, seq uint64, t0 int64) Outcome {
	if seq > sequenceMask {
		return Behind
	}
	pt := &t.parts[p]
	pt.mu.Lock()
	defer pt.mu.Unlock()
	if seq < before {
		pt.rewind(t.Now(), seq, seq)
		pt.grant(t0)
		return Rewound
	}
	if pt.last.Load() < seq {
		return Behind
	}
	pt.grant(t0)
	return Confirmed
}

// Settle ends the wait for messages that a [Behind] answer began: what has not
// arrived by now counts as lost, and all copies older than seq are void. It
// reports whether that was so.
//
// The floor is raised before the lease is renewed; see [Table.Valid].
func (t *Table) Settle(p int, seq uint64, t0 int64) (lost bool) {
	if seq > sequenceMask {
		return false
	}
	pt := &t.parts[p]
	pt.mu.Lock()
	defer pt.mu.Unlock()
	if lost = pt.last.Load() < seq; lost {
		raise(&pt.floor, seq)
		raise(&pt.last, seq)
	}
	pt.grant(t0)
	return lost
}

// Restart takes in that Redis had lost the sequence of partition p and has
// begun a new one at seq. No lease is granted: whoever created the sequence
// cannot know what the lost one had counted.
//
// The partition starts over under a new generation even where seq is above all
// that was heard: the lost sequence may have handed out higher numbers, to
// copies that the new one would void too late.
func (t *Table) Restart(p int, seq uint64) {
	if seq > sequenceMask {
		return
	}
	pt := &t.parts[p]
	pt.mu.Lock()
	pt.rewind(t.Now(), seq, seq)
	pt.mu.Unlock()
}

// GrantForever gives all partitions a lease that does not end: there is no
// other instance to hear from.
func (t *Table) GrantForever() {
	for i := range t.parts {
		t.parts[i].lease.Store(forever)
	}
}

// grant renews the lease. Leases only move forward: a probe that was overtaken
// by a later one must not shorten what that one confirmed. The caller holds
// p.mu.
func (p *partition) grant(t0 int64) {
	if p.lease.Load() < t0 {
		p.lease.Store(t0)
	}
}
