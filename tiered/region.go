package tiered

import (
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/doppio-cache/doppio/internal/histogram"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l1"
)

// region is the part of a Region that does not depend on the type of its
// values: everything but the L1 hit and the API. Values are boxed here, which
// costs nothing beside the I/O that a miss does.
type region struct {
	node   *Node
	name   string
	mode   Mode
	schema string
	codec  string // the codec's name
	l1     *l1.Region
	values values

	ttl, l1TTL, negativeTTL time.Duration // negativeTTL <= 0: not remembered
	loadTimeout             time.Duration
	revalidate              time.Duration // Config.RevalidateFor
	stale                   staleness
	unasked                 bars // copies in L1 from before are not asked about, see [region.outlived]
	refreshing              refreshing
	sliding                 sliding
	writeTimeout            time.Duration
	originLag               time.Duration
	jitter                  float64
	maxL1Bytes              int64

	flights  [flightKinds]underway
	failures failures
	landings *landings // nil where values are kept in Redis
	counters regionCounters
	warned   sync.Map // problem → struct{}: what has been logged once
}

// values are the operations that depend on a region's type, on boxed values.
type values struct {
	encode   func(v any) ([]byte, error)
	decode   func(data []byte) (any, error)
	encoded  func(payload []byte) int // length of the encoding, before compression
	size     func(v any, encoded int) int64
	sized    bool // size does not need the encoded length
	ttlFor   func(key string, v any) time.Duration
	tags     func(key string, v any) []string // nil: none
	clone    func(v any) any
	notFound func(err error) bool
}

type regionCounters struct {
	l2Hits, l2Misses, negativeHits     atomic.Uint64
	loads, loadErrors, unchanged       atomic.Uint64
	leaseWaits, fillsRejected, reloads atomic.Uint64
	staleServed, refreshes, errorHits  atomic.Uint64
	undecodable, foreign, encodeErrors atomic.Uint64
	doubted, unstored                  atomic.Uint64
	blocked, touches                   atomic.Uint64
	l2Latency, loadLatency             histogram.Histogram
}

// usesL1 reports whether values are kept in L1.
func (r *region) usesL1() bool { return r.mode != L2Only }

// usesL2 reports whether values are kept in Redis.
func (r *region) usesL2() bool { return r.mode != L1Only }

// maxLife is so long that nobody waits for its end, and so short that no sum
// of times overflows: neither here, nor in Lua, which is exact up to 2^53 µs.
const maxLife = 100 * 365 * 24 * time.Hour

// jittered shortens a life by a random share up to the region's jitter.
func (r *region) jittered(life time.Duration) time.Duration {
	life = min(life, maxLife)
	if r.jitter <= 0 {
		return life
	}
	return max(1, life-time.Duration(rand.Float64()*r.jitter*float64(life)))
}

// life is how long a value is to live in Redis; at most 0: do not cache it.
func (r *region) life(key string, v any, c call) time.Duration {
	ttl := r.ttl
	if c.ttl > 0 {
		ttl = c.ttl
	} else if r.values.ttlFor != nil {
		switch d := r.values.ttlFor(key, v); {
		case d < 0:
			return 0
		case d > 0:
			ttl = d
		}
	}
	return r.jittered(ttl)
}

// forget makes the next caller start a flight of its own instead of joining
// one that may have read what was just invalidated, and load whatever has become of
// former loads.
func (r *region) forget(k keyspace.Key) {
	for i := range r.flights {
		r.flights[i].forget(k.Name)
	}
	r.failures.forget(k.Name)
	r.stale.throttle.release(k.Hash)
	r.refreshing.throttle.release(k.Hash)
}

// keep puts a copy into L1 and returns the time at which it expires there; 0
// if it was not kept. encoded is the length of the encoding, or -1.
func (r *region) keep(k keyspace.Key, p copyOf) int64 {
	if !r.usesL1() || p.mark.Generation == 0 {
		return 0
	}
	for i := range p.tags {
		if p.tags[i].Generation == 0 {
			return 0 // it would never be valid
		}
	}
	expires := r.put(k, p)
	if r.outlived(k, &p.mark) || expires == 0 {
		// L1 may hold an older copy that is not valid now, because no probe has
		// succeeded for a while, but would be again after the next one. It must
		// not be served after this value was.
		r.node.fences.Answered(&p.mark)
	}
	return expires
}

func (r *region) put(k keyspace.Key, p copyOf) int64 {
	if p.life <= 0 || r.node.conflicted() {
		return 0
	}
	size := int64(0)
	if !p.negative {
		if size = r.values.size(p.value, p.encoded); size > r.maxL1Bytes {
			return 0
		}
	}
	expires := p.since + int64(min(p.life, r.jittered(r.l1TTL)))
	kept := r.node.l1.Put(&l1.Entry{
		Tags:       p.tags,
		Region:     r.l1,
		Key:        k.Name,
		Value:      p.value,
		Negative:   p.negative,
		Mark:       p.mark,
		Expires:    expires,
		StaleUntil: r.staleUntil(&p, expires),
		RefreshAt:  r.refreshAt(&p, expires),
		Cost:       size,
		Token:      p.token,
		Validator:  string(p.validator),
		Span:       l1.SpanOf(expires - p.since + int64(p.age)),
	})
	if !kept {
		return 0
	}
	return expires
}

// warnOnce logs a problem the first time that the region has it: the counters
// tell how often.
func (r *region) warnOnce(problem string, args ...any) {
	if _, seen := r.warned.LoadOrStore(problem, struct{}{}); seen {
		return
	}
	r.node.log.Warn("trouble with a value; said once per region, see Stats for how often",
		append([]any{slog.String("region", r.name), slog.String("problem", problem)}, args...)...)
}
