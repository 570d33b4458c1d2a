package tiered

import (
	"time"

	"github.com/doppio-cache/doppio/internal/histogram"
	"github.com/doppio-cache/doppio/invalidation"
)

// Histogram is a snapshot of a distribution of durations: Count of them, their Sum,
// and Buckets, each with an UpperBound and the Count of those up to it that are in no
// bucket before. Mean() and Quantile(q), with q from 0 to 1, are made of these; String()
// is a summary. A quantile is known to within an eighth of itself, from 10 µs to 63 s.
type Histogram = histogram.Snapshot

// Flushes counts how often the copies of a partition were voided, by cause: Lost (a
// probe found messages missing), Failover, Rewound and Restarted (the sequence went
// back, or was lost), Overflow (of the retry queue), Layout, Announced (by a Clear,
// or an overflow elsewhere).
type Flushes = invalidation.Flushes

// Stats is a snapshot of a node. See [Node.Stats].
type Stats struct {
	Regions map[string]RegionStats
	L1      L1Stats

	// Invalidations.
	Sent            uint64    // invalidations of this instance that Redis confirmed at once: one for each partition that a call (a round of it, if it has thousands of keys) concerns, and for each key that is set
	Received        uint64    // messages heard, this instance's own included
	Lag             Histogram // from the server's time of an invalidation to its being applied here
	Gaps            uint64    // messages found missing because a later one came
	Resubscriptions uint64    // subscriptions made anew
	PendingRetries  int       // keys and whole partitions whose invalidation Redis has not confirmed yet
	RetryOverflows  uint64    // times the retry queue was full and partitions were voided instead

	Flushes Flushes

	// Unreadable counts the times that Redis had something at a value's key
	// that is no value of Doppio's: somebody else's, truncated, changed, or of another
	// version's layout. (Foreign, Undecodable and Doubted of [RegionStats] are values of
	// Doppio's.)
	Unreadable uint64

	Degraded       bool   // this instance cannot use Redis, or does not know whether it has heard everything
	DegradedReason string // why; empty if not Degraded
	// LeaseAge is how long ago the partition that was confirmed longest ago
	// was so; -1 if one never was. 0 in a Local node.
	LeaseAge time.Duration
}

// L1Stats describes the memory tier of a node.
type L1Stats struct {
	Entries     int64
	Bytes       int64 // accounted cost of the entries, their overhead included
	MaxBytes    int64 // as given in Options.L1MaxBytes
	PolicyBytes int64 // memory of the admission policy, on top of Bytes
	Evictions   uint64
	Rejected    uint64 // entries that were not kept: not worth the room, too large, too many at once, or older than what is there
}

// RegionStats counts what a region's calls came to.
type RegionStats struct {
	L1Hits        uint64 // reads that L1 answered
	L1Misses      uint64 // reads that L1 was asked for and could not answer
	L2Hits        uint64 // looks into Redis that found what was asked for; calls that share one count once
	L2Misses      uint64 // looks into Redis that found nothing that could be used
	NegativeHits  uint64 // of the hits in either tier, those that said that there is no such thing
	Loads         uint64 // load functions called
	Unchanged     uint64 // of them that were told that the value is what it was, see [Region.LoadIf]
	Refreshes     uint64 // of them begun ahead of time, see Config.RefreshAhead
	ErrorHits     uint64 // loads not called because Config.ErrorTTLFor lets an earlier one's error stand
	LoadErrors    uint64 // of the loads failed; "not found" is no failure
	StaleServed   uint64 // calls answered with a value past its life, see Config.StaleFor
	LeaseWaits    uint64 // loads of another instance that were waited for
	FillsRejected uint64 // loaded or set values that Redis did not take because something newer had come
	Unstored      uint64 // loaded values that are not in Redis, or may not be, because it did not answer in time or was out of use
	Blocked       uint64 // loads whose value was kept nowhere, because a Mutate or Config.OriginLag has left a tombstone
	Touches       uint64 // reads that let a value stay in Redis, see Config.SlidingTTL; calls that share one count once
	Reloads       uint64 // answers discarded because an invalidation came in meanwhile
	Doubted       uint64 // values met in Redis that were not used because nothing says that its primary has not been replaced
	Foreign       uint64 // values of another schema met in Redis
	Undecodable   uint64 // values met in Redis that could not be decoded
	EncodeErrors  uint64 // values that could not be encoded

	L2Latency   Histogram // of calls to Redis
	LoadLatency Histogram // of load functions
}

// Stats is a snapshot of what the node has done since Open. It takes no lock
// that a call waits for, and may be called as often as one likes.
func (n *Node) Stats() Stats {
	if n == nil {
		return Stats{}
	}
	s := Stats{Regions: make(map[string]RegionStats)}
	n.mu.RLock()
	for name, r := range n.regions {
		s.Regions[name] = r.stats()
	}
	n.mu.RUnlock()
	l1 := n.l1.Stats()
	s.L1 = L1Stats{
		Entries: l1.Entries, Bytes: l1.Bytes, MaxBytes: l1.MaxBytes, PolicyBytes: l1.PolicyBytes,
		Evictions: l1.Evictions, Rejected: l1.Refused + l1.Dropped + l1.TooLarge + l1.Outdated,
	}
	if n.backplane == nil {
		return s
	}
	s.Unreadable = n.l2.Stats().Unreadable
	b := n.backplane.Stats()
	s.Sent = n.sent.Load()
	s.Received, s.Lag, s.Gaps, s.Resubscriptions = b.Received, b.Lag, b.Gaps, b.Resubscriptions
	s.PendingRetries, s.RetryOverflows = b.Pending+b.PendingPartitions, b.Overflows
	s.Flushes, s.LeaseAge = b.Flushes, b.LeaseAge
	s.Degraded, s.DegradedReason = b.State.Degraded, b.State.Reason
	if !n.l2.Up() {
		s.Degraded, s.DegradedReason = true, "Redis does not answer"
		if b.State.Reason != "" {
			s.DegradedReason += ": " + b.State.Reason
		}
	}
	return s
}

// Stats is a snapshot of what the region has done since New.
func (r *Region[V]) Stats() RegionStats {
	if r == nil {
		return RegionStats{}
	}
	return r.core.stats()
}

func (r *region) stats() RegionStats {
	c := &r.counters
	l1 := r.l1.Counters()
	return RegionStats{
		L1Hits:        l1.Hits + l1.NegativeHits,
		L1Misses:      l1.Misses,
		L2Hits:        c.l2Hits.Load(),
		L2Misses:      c.l2Misses.Load(),
		NegativeHits:  l1.NegativeHits + c.negativeHits.Load(),
		Loads:         c.loads.Load(),
		LoadErrors:    c.loadErrors.Load(),
		Unchanged:     c.unchanged.Load(),
		Refreshes:     c.refreshes.Load(),
		StaleServed:   c.staleServed.Load(),
		LeaseWaits:    c.leaseWaits.Load(),
		FillsRejected: c.fillsRejected.Load(),
		Unstored:      c.unstored.Load(),
		Blocked:       c.blocked.Load(),
		Touches:       c.touches.Load(),
		Reloads:       c.reloads.Load(),
		Doubted:       c.doubted.Load(),
		ErrorHits:     c.errorHits.Load(),
		Foreign:       c.foreign.Load(),
		Undecodable:   c.undecodable.Load(),
		EncodeErrors:  c.encodeErrors.Load(),
		L2Latency:     c.l2Latency.Snapshot(),
		LoadLatency:   c.loadLatency.Snapshot(),
	}
}
