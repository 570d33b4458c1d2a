package l2

import (
	"encoding/binary"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/redis/go-redis/v9"
)

// Scripts are the scripts as the client knows them, by name.
var Scripts = map[string]*redis.Script{
	"get_or_lease":         redis.NewScript(getOrLeaseScript.source),
	"fill":                 redis.NewScript(fillScript.source),
	"revalidate":           redis.NewScript(revalidateScript.source),
	"begin":                redis.NewScript(beginScript.source),
	"invalidate":           redis.NewScript(invalidateScript.source),
	"invalidate_partition": redis.NewScript(invalidatePartitionScript.source),
	"expire":               redis.NewScript(expireScript.source),
	"touch":                redis.NewScript(touchScript.source),
	"tags":                 redis.NewScript(tagsScript.source),
	"block":                redis.NewScript(blockScript.source),
	"unblock":              redis.NewScript(unblockScript.source),
	"renew":                redis.NewScript(renewScript.source),
	"release":              redis.NewScript(releaseScript.source),
}

// BulkWidth is how many calls of many keys are under way to a master at once.
const BulkWidth = bulkWidth

// MaxReleases is how many releases of leases that are not held may wait.
const MaxReleases = maxReleases

// Releases is how many releases wait to be sent.
func (s *Store) Releases() int {
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	return len(s.leases.giveUp)
}

// Envelope encodes a value as it is found in Redis.
func Envelope(v Value) ([]byte, error) { return appendEnvelope(nil, &v) }

// ReadEnvelope is the inverse of Envelope.
func ReadEnvelope(b []byte) (Value, error) { return parseEnvelope(string(b)) }

// HeaderSize is the length of the fixed part of an envelope.
const HeaderSize = headerSize

// ReadsDirectly reports whether the next lone read would be done on its
// caller's goroutine.
func (s *Store) ReadsDirectly() bool {
	d := s.primary[0].reads.direct
	return d != nil && time.Duration(d.trip.Load()) <= d.limit/directMargin
}

// HadGoodTimes makes the store believe that all round trips have been quick, which
// they are not on a machine that is slow.
func (s *Store) HadGoodTimes() { s.primary[0].reads.direct.trip.Store(0) }

// DirectReads counts the reads that are being done on their callers' goroutines.
func (s *Store) DirectReads() int {
	d := s.primary[0].reads.direct
	if d == nil {
		return 0
	}
	return int(d.running.Load())
}

// Seal returns an envelope with a right checksum around any inside: what follows
// the header.
func Seal(token Token, inside string) []byte {
	b, err := appendEnvelope(nil, &Value{Token: token, Seq: 1, Created: 2, SoftEnd: 3})
	if err != nil {
		panic(err)
	}
	b = append(b[:headerSize], inside...)
	binary.BigEndian.PutUint32(b[atTotal:], uint32(len(b)))
	binary.BigEndian.PutUint64(b[atSum:], xxhash.Sum64(b[headerSize:])^uint64(b[3]))
	return b
}

// Renew does what is done every third of a lease's life.
func (s *Store) Renew() { s.leases.renew() }

// UnderWay reports whether a call waits for Redis.
func (s *Store) UnderWay() bool {
	if s.DirectReads() > 0 {
		return true
	}
	for _, p := range s.servers {
		if p.breaker.probing.Load() > 0 {
			return true
		}
	}
	busy := false
	s.eachLane(func(l *lane) { busy = busy || l.busy.Load() > 0 })
	return busy
}

// Waiting is how many commands are sent or wait to be.
func (s *Store) Waiting() (n int) {
	for _, p := range s.servers {
		for _, l := range p.lanes() {
			l.mu.Lock()
			n += len(l.queue)
			for _, b := range l.running {
				n += len(b.requests)
			}
			l.mu.Unlock()
		}
	}
	return n
}

// FillQueues makes the lanes carry as much as they can.
func (s *Store) FillQueues() {
	c, _ := s.begin(s.ctx)
	for _, p := range s.servers {
		for _, l := range p.lanes() {
			for l.queued() < maxQueued {
				r := c.command(redis.NewStatusCmd(s.ctx, "ping"), nil, nil, "")
				r.region = s.region("products")
				if err := l.send(r); err != nil {
					panic(err)
				}
			}
		}
	}
}

func (l *lane) queued() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}

// GoTheLongWay makes the store believe that Redis has just not answered at once.
func (s *Store) GoTheLongWay() { s.primary[0].reads.direct.trip.Store(int64(directPenalty)) }

// LargestBatch is how many commands the largest round trip under way carries.
func (s *Store) LargestBatch() (n int) {
	for _, p := range s.servers {
		for _, l := range p.lanes() {
			l.mu.Lock()
			for _, b := range l.running {
				n = max(n, len(b.requests))
			}
			l.mu.Unlock()
		}
	}
	return n
}

// Failures is how many failures in a row a partition's server has had, as far as
// its breaker knows.
func (s *Store) Failures(p int) uint32 {
	b := s.primary[p].breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.machine.Counts().ConsecutiveFailures
}

// BulkTrips is how many round trips for calls of many keys are under way.
func (s *Store) BulkTrips() (n int) {
	s.eachLane(func(l *lane) {
		if l.bulk != nil && !l.sorts {
			l.mu.Lock()
			n += len(l.running)
			l.mu.Unlock()
		}
	})
	return n
}
