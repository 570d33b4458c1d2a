package invalidation

import (
	"sync/atomic"
	"time"

	"github.com/doppio-cache/doppio/internal/histogram"
)

// Stats is a snapshot of what an instance has heard and done. Counters count
// from Start.
type Stats struct {
	Received    uint64             // messages applied
	Own         uint64             // of these, this instance's own
	Undecodable uint64             // messages that could not be read; the probe made good for them
	Gaps        uint64             // messages before which others were missing; each voids a partition
	Lag         histogram.Snapshot // from Redis's clock when counted to applied; never underestimated

	Probes       uint64        // rounds in which every partition answered
	ProbesFailed uint64        // rounds in which some did not
	Flushes      Flushes       // times a partition's copies were voided
	LeaseAge     time.Duration // for how long the longest unconfirmed partition has been so; -1 if one never was confirmed

	Subscribed      bool   // there is a subscription
	Resubscriptions uint64 // subscriptions after the first
	Recycles        uint64 // subscriptions given up as silent or lossy, or ended by an error

	Pending           int    // keys that wait for a retry
	PendingPartitions int    // whole partitions that do
	Retries           uint64 // batches that Redis confirmed
	RetriesFailed     uint64 // batches that it did not
	Overflows         uint64 // times that a partition's waiting keys were widened to the whole of it
	Replayed          uint64 // acknowledged invalidations sent again to a new primary

	State State
}

// Flushes counts how often the copies of a partition were voided, by cause.
// Gaps are not among them.
type Flushes struct {
	Lost      uint64 // the probe found messages missing
	Failover  uint64 // the partition has another primary, or its sequence was moved up for another reason of that kind
	Rewound   uint64 // the sequence had gone back
	Restarted uint64 // the sequence had been lost
	Overflow  uint64 // too many invalidations waited for a retry
	Layout    uint64 // another layout came into use
	Announced uint64 // a message concerned the whole partition
}

type counter = atomic.Uint64

// counters are the atomic sources of Stats.
type counters struct {
	received, own, undecodable, gaps counter
	lag                              histogram.Histogram

	probes, probesFailed counter
	flushes              struct {
		lost, failover, rewound, restarted, overflow, layout, announced counter
	}
	subscriptions, recycles                     counter
	retries, retriesFailed, overflows, replayed counter

	loggedMalformed, loggedVersion atomic.Bool
}

// Stats takes a snapshot.
func (b *Backplane) Stats() Stats {
	c := &b.counters
	keys, partitions := b.queue.size()
	_, live := b.subscriber.since()
	return Stats{
		Received:     c.received.Load(),
		Own:          c.own.Load(),
		Undecodable:  c.undecodable.Load(),
		Gaps:         c.gaps.Load(),
		Lag:          c.lag.Snapshot(),
		Probes:       c.probes.Load(),
		ProbesFailed: c.probesFailed.Load(),
		Flushes: Flushes{
			Lost:      c.flushes.lost.Load(),
			Failover:  c.flushes.failover.Load(),
			Rewound:   c.flushes.rewound.Load(),
			Restarted: c.flushes.restarted.Load(),
			Overflow:  c.flushes.overflow.Load(),
			Layout:    c.flushes.layout.Load(),
			Announced: c.flushes.announced.Load(),
		},
		LeaseAge:          b.leaseAge(),
		Subscribed:        live,
		Resubscriptions:   max(c.subscriptions.Load(), 1) - 1,
		Recycles:          c.recycles.Load(),
		Pending:           keys,
		PendingPartitions: partitions,
		Retries:           c.retries.Load(),
		RetriesFailed:     c.retriesFailed.Load(),
		Overflows:         c.overflows.Load(),
		Replayed:          c.replayed.Load(),
		State:             b.State(),
	}
}

// leaseAge is the age of the oldest lease, or -1.
func (b *Backplane) leaseAge() time.Duration {
	var age time.Duration
	now := b.fences.Now()
	for p := range b.epochs {
		at, ok := b.fences.Lease(p)
		if !ok {
			return -1
		}
		age = max(age, time.Duration(now-at))
	}
	return age
}
