package invalidation

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// replayWindow is how far back, before the last probe that the old primary
// answered, acknowledged invalidations may be missing on a new one.
const replayWindow = 10 * time.Second

// minAcks is the least number of invalidations that are remembered of one
// partition.
const minAcks = 64

// ackLog remembers the invalidations that Redis has lately confirmed to this
// instance, so that they can be sent again to a primary that may have lost
// them. It is bounded: where too many were confirmed lately, only their
// regions are remembered, and the whole partition is invalidated for them.
type ackLog struct {
	parts []acked
	limit int // keys per partition
}

type acked struct {
	mu      sync.Mutex
	from    int64            // what was confirmed before this is of no interest
	keys    []ackedKey       // oldest first
	regions map[string]int64 // regions whose keys were too many, and when last
}

type ackedKey struct {
	key keyspace.Key
	at  int64 // on the fences' clock
}

func (l *ackLog) init(partitions, limit int) {
	l.parts = make([]acked, partitions)
	l.limit = max(minAcks, limit/partitions)
	for i := range l.parts {
		l.parts[i].from = unknown
	}
}

// confirmed notes that the partition's primary answered a probe sent at t0.
func (l *ackLog) confirmed(p int, t0 int64) {
	a := &l.parts[p]
	a.mu.Lock()
	a.from = t0 - int64(replayWindow)
	a.mu.Unlock()
}

func (l *ackLog) add(p int, keys []keyspace.Key, now int64) {
	a := &l.parts[p]
	a.mu.Lock()
	defer a.mu.Unlock()
	a.prune()
	if len(a.keys)+len(keys) > l.limit {
		for _, k := range a.keys {
			a.forget(k.key.Region, k.at)
		}
		for _, k := range keys {
			a.forget(k.Region, now)
		}
		a.keys = nil
		return
	}
	for _, k := range keys {
		a.keys = append(a.keys, ackedKey{k, now})
	}
}

func (l *ackLog) addRegions(p int, regions []string, now int64) {
	a := &l.parts[p]
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range regions {
		a.forget(r, now)
	}
}

// take removes and returns what may be missing on a new primary.
func (l *ackLog) take(p int) (keys []keyspace.Key, regions []string) {
	a := &l.parts[p]
	a.mu.Lock()
	defer a.mu.Unlock()
	a.prune()
	for _, k := range a.keys {
		keys = append(keys, k.key)
	}
	regions = slices.Sorted(maps.Keys(a.regions))
	a.keys, a.regions = nil, nil
	return keys, regions
}

// prune drops what is old enough to have reached every replica. The caller
// holds a.mu.
func (a *acked) prune() {
	n := 0
	for n < len(a.keys) && a.keys[n].at < a.from {
		n++
	}
	clear(a.keys[:n]) // let go of the strings
	a.keys = a.keys[n:]
	for r, at := range a.regions {
		if at < a.from {
			delete(a.regions, r)
		}
	}
}

// forget remembers the region instead of a key. The caller holds a.mu.
func (a *acked) forget(region string, at int64) {
	if a.regions == nil {
		a.regions = make(map[string]int64)
	}
	a.regions[region] = max(a.regions[region], at)
}

// replay sends again what partition p's former primary had confirmed lately, and what
// is on its way, which may be what that one carries out.
func (b *Backplane) replay(p int) {
	b.queue.distrust(p) // first: what leaves the queue before is among what was confirmed
	keys, regions := b.acks.take(p)
	b.counters.replayed.Add(uint64(len(keys) + len(regions)))
	b.queue.add(keys)
	if len(regions) > 0 {
		b.queue.addPartition(p, regions)
	}
}
