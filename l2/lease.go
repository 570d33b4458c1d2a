package l2

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Lease is the permission to fill a key. It is lost, without notice, when the
// key is invalidated; a fill then is not accepted.
type Lease struct {
	Key   Key
	Token Token
	Seq   uint64 // sequence of the partition at the grant
}

// leaseID names a lease that this process holds.
type leaseID struct {
	region, name string
	token        Token
}

func (l Lease) id() leaseID { return leaseID{l.Key.Region, l.Key.Name, l.Token} }

// Limits of the background work on leases.
const (
	maxReleases  = 1 << 16 // of leases not held that wait; further ones are left to expire
	renewalBatch = 256
)

// leases renews what this process holds and releases what it gives up, both in
// one goroutine and in few round trips.
type leases struct {
	store *Store
	wake  chan struct{} // one element

	mu       sync.Mutex
	renewing map[leaseID]Lease
	giveUp   map[leaseID]givenUp
	unsure   int           // of giveUp, those that were not held
	flushed  chan struct{} // closed when nothing waits any more; nil: nobody asked
	working  bool          // releases are under way
}

// givenUp is a lease that waits to be released.
type givenUp struct {
	Lease
	held bool // until then
}

func (ls *leases) init(s *Store) {
	ls.store = s
	ls.wake = make(chan struct{}, 1)
	ls.renewing = make(map[leaseID]Lease)
	ls.giveUp = make(map[leaseID]givenUp)
}

// hold has the lease renewed until forget.
func (ls *leases) hold(l Lease) {
	ls.mu.Lock()
	ls.renewing[l.id()] = l
	ls.mu.Unlock()
}

// forget ends that, and reports whether the lease was held.
func (ls *leases) forget(l Lease) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.forgetLocked(l)
}

// forgetLocked is forget for a caller who holds ls.mu.
func (ls *leases) forgetLocked(l Lease) bool {
	_, held := ls.renewing[l.id()]
	delete(ls.renewing, l.id())
	return held
}

func (ls *leases) held() int {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return len(ls.renewing)
}

// Release gives up a lease that will not be filled, so that others need not wait
// for its end. It works in the background and never blocks; if Redis is not
// there the lease expires.
func (s *Store) Release(l Lease) {
	ls := &s.leases
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.queue(l, ls.forgetLocked(l))
}

// queue has a lease released, once if it is asked for several times before that.
// Leases that were held are released however many they are: what waits is then
// less than what was held before. How many leases there are of which nobody knows
// whether they were granted depends on how many calls fail, so that they are
// bounded. The caller holds ls.mu.
func (ls *leases) queue(l Lease, held bool) {
	if _, waits := ls.giveUp[l.id()]; waits {
		return
	}
	if !held {
		if ls.unsure >= maxReleases {
			ls.store.counts.releasesLost.Add(1)
			return
		}
		ls.unsure++
	}
	ls.giveUp[l.id()] = givenUp{l, held}
	signal(ls.wake)
}

// unqueue takes some leases off the queue. The others stay, so that they are not
// queued again. The caller holds ls.mu.
func (ls *leases) unqueue() []Lease {
	some := make([]Lease, 0, min(len(ls.giveUp), renewalBatch))
	for id, l := range ls.giveUp {
		if len(some) == cap(some) {
			break
		}
		delete(ls.giveUp, id)
		if !l.held {
			ls.unsure--
		}
		some = append(some, l.Lease)
	}
	if len(ls.giveUp) == 0 {
		ls.giveUp = make(map[leaseID]givenUp) // a map does not shrink
	}
	return some
}

// Flush waits until the releases asked for so far have been sent, or dropped
// because Redis is not there.
func (s *Store) Flush(ctx context.Context) error {
	ls := &s.leases
	ls.mu.Lock()
	if len(ls.giveUp) == 0 && !ls.working {
		ls.mu.Unlock()
		return nil
	}
	if ls.flushed == nil {
		ls.flushed = make(chan struct{})
	}
	flushed := ls.flushed
	ls.mu.Unlock()
	select {
	case <-flushed:
		return nil
	case <-ctx.Done():
		return left(ctx.Err())
	case <-s.ctx.Done():
		return ErrClosed
	}
}

// dropLease gives up a lease that may or may not have been granted: the answer
// is unknown, or came when nobody waited for it. Where the server is known to be
// down there is no point in trying.
func (s *Store) dropLease(k Key, token Token) { s.drop(Lease{Key: k, Token: token}, false) }

// drop gives up a lease that was held until just now, or may have been granted.
func (s *Store) drop(l Lease, held bool) {
	if s.isClosed() || s.primary[s.layout.Partition(l.Key.Hash)].breaker.isDown() {
		return
	}
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	s.leases.queue(l, s.leases.forgetLocked(l) || held)
}

// lateGrant handles the answer to a caller who has left: what was granted is
// given back, also if it is unknown whether it was. The caller, as it left, had
// asked for the same, but perhaps before the grant.
func (s *Store) lateGrant(k Key, token Token) func(redis.Cmder) {
	return func(cmd redis.Cmder) {
		if isNoScript(cmd.Err()) {
			return
		}
		if got, ok := cmd.(*redis.StringSliceCmd); ok && cmd.Err() == nil {
			if v := got.Val(); len(v) > 0 && (v[0] == "hit" || v[0] == "busy" || v[0] == "blocked") {
				return
			}
			s.counts.lateGrants.Add(1)
		}
		s.dropLease(k, token)
	}
}

// run is the goroutine of the leases.
func (ls *leases) run() {
	s := ls.store
	defer s.owned.Done()
	tick := time.NewTicker(s.opts.LeaseTTL / 3)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
			ls.renew()
		case <-ls.wake:
			ls.release()
		}
	}
}

// renew prolongs all leases that are held. One that is gone is forgotten: it was
// taken away by an invalidation, or Redis was out of reach for too long. One
// about which nothing was learned is tried again the next time.
func (ls *leases) renew() {
	ls.mu.Lock()
	held := make([]Lease, 0, len(ls.renewing))
	for _, l := range ls.renewing {
		held = append(held, l)
	}
	ls.mu.Unlock()

	ttl := ls.store.opts.LeaseTTL.Milliseconds()
	ls.each(held, renewScript, func(l Lease) []any { return []any{l.Token.arg(), ttl} }, func(l Lease, got []string) {
		if len(got) == 1 && got[0] == "0" {
			ls.store.counts.leasesLost.Add(1)
			ls.forget(l)
		}
	})
}

// release gives up what waits to be given up.
func (ls *leases) release() {
	ls.mu.Lock()
	for len(ls.giveUp) > 0 && !ls.store.isClosed() {
		ls.working = true
		gone := ls.unqueue()
		ls.mu.Unlock()
		ls.each(gone, releaseScript, func(l Lease) []any { return []any{l.Token.arg()} }, nil)
		ls.mu.Lock()
	}
	ls.working = false
	if ls.flushed != nil {
		close(ls.flushed)
		ls.flushed = nil
	}
	ls.mu.Unlock()
}

// each runs a script that has the lease as its key for each of the leases,
// renewalBatch at a time.
func (ls *leases) each(all []Lease, sc *script, args func(Lease) []any, then func(Lease, []string)) {
	s := ls.store
	for len(all) > 0 && !s.isClosed() {
		part := all[:min(len(all), renewalBatch)]
		all = all[len(part):]
		c, err := s.begin(s.ctx)
		if err != nil {
			return
		}
		jobs := make([]job, len(part))
		for i, l := range part {
			p := s.layout.Partition(l.Key.Hash)
			key := s.layout.Lease(p, l.Key.Region, l.Key.Name)
			jobs[i] = job{lane: s.primary[p].scripts, script: sc, args: append(sc.args([]string{key}, 2), args(l)...)}
		}
		c.runAll(jobs)
		for i, l := range part {
			if jobs[i].err == nil && then != nil {
				then(l, jobs[i].got)
			}
		}
	}
}
