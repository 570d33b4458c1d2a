package tiered

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l1"
	"github.com/doppio-cache/doppio/l2"
)

// RefreshThrottle is the pause after a load ahead of time that has failed, or that
// was left to another instance: until it is over, no hit of the key starts another
// on this instance. It counts from the hit that has started the load. Where half of
// what is left of the value's life is shorter, it is that.
const RefreshThrottle = 5 * time.Second

const (
	// maxRefreshes bounds the loads of a node that are ahead of time. What does
	// not fit in waits for a later hit.
	maxRefreshes = 64
	// refreshWidth is how many keys of one Refresh are loaded at once.
	refreshWidth = 8
)

func (cfg *Config[V]) validateRefresh() error {
	if cfg.RefreshAhead == 0 || cfg.RefreshAhead > 0 && cfg.RefreshAhead < 1 {
		return nil
	}
	return fmt.Errorf("RefreshAhead is %v, must be a share of the life between 0 and 1", cfg.RefreshAhead) // also for NaN
}

// refreshing is what a region knows about loads ahead of time.
type refreshing struct {
	share    float64 // Config.RefreshAhead
	throttle throttle
}

// from is the time from which on a value is to be loaded anew, whose life is so
// long and ends at end; 0: never.
func (a *refreshing) from(end int64, life time.Duration) int64 {
	if a.share <= 0 {
		return 0
	}
	return max(1, end-int64((1-a.share)*float64(life)))
}

// endOf is when the life of a copy's value is over, which L1TTL does not shorten. The
// copy has that no more but for what RefreshAt was made of. As exact as
// [l1.Entry.Made], it is good enough for a pause.
func (a *refreshing) endOf(e *l1.Entry) int64 {
	made, known := e.Made()
	if !known || a.share <= 0 || e.RefreshAt <= 0 {
		return e.Expires
	}
	life := min(float64(e.RefreshAt-made)/a.share, float64(maxLife))
	return max(e.Expires, made+int64(life))
}

// refreshAt is from when on hits of a copy that expires in L1 are due for a refresh; 0:
// never. Where L1 is the only tier, that is the value's end: with the share of a life
// that L1TTL cuts off, no hit would ever be due.
func (r *region) refreshAt(p *copyOf, expires int64) int64 {
	switch {
	case p.negative:
		return 0
	case !r.usesL2():
		return r.refreshing.from(expires, time.Duration(expires-p.since))
	}
	return r.refreshing.from(p.since+int64(min(p.life, maxLife)), min(max(p.whole, p.life), maxLife))
}

// attend does what is due for the copy in L1 of a key that was just hit. boxed
// returns the load function of the call; it is nil if the call has none.
func (r *region) attend(ctx context.Context, key string, hash uint64, c call, boxed func() loadFunc) {
	e, now := r.node.l1.Find(r.l1, hash, key)
	if e == nil || e.Negative || !e.IsDue(now) || !e.Alive(now) {
		return
	}
	ahead := boxed != nil && e.RefreshAt > 0 && now >= e.RefreshAt
	if !ahead && r.sliding.period <= 0 {
		return
	}
	next, pause := e.Expires, refreshPause(r.refreshing.endOf(e)-now)
	if r.sliding.period > 0 {
		next = now + int64(r.sliding.step())
	}
	switch {
	case ahead:
		next = min(next, now+int64(pause))
	case e.RefreshAt > now:
		next = min(next, e.RefreshAt)
	case e.RefreshAt > 0:
		next = now // it stays due, for the next call that has something to load with
	}
	if !e.Attend(now, next) {
		return
	}
	k := keyspace.Key{Region: r.name, Name: key, Hash: hash}
	r.touch(k, e.Token, Validator(e.Validator), now)
	if ahead {
		r.refresh(ctx, k, c, e.Token, pause, boxed(), priorOf(e))
	}
}

// refreshPause is for how long a key is left alone after a load ahead of time has
// begun.
func refreshPause(left int64) time.Duration {
	return min(RefreshThrottle, time.Duration(left/2))
}

// refreshFetched is attend for a value that L2 has answered with: there may be no
// copy in L1 to be hit.
func (r *region) refreshFetched(ctx context.Context, k keyspace.Key, c call, out *outcome, boxed func() loadFunc) {
	if boxed == nil || out.ahead.from == 0 || out.err != nil {
		return
	}
	now := r.node.fences.Now()
	if now < out.ahead.from {
		return
	}
	r.refresh(ctx, k, c, out.ahead.token, refreshPause(out.ahead.end-now), boxed(), out.prior())
}

// dueAhead is when a value that L2 has is to be loaded anew; from is 0 if never.
type dueAhead struct {
	from, end int64 // on the fences' clock; end is that of its life
	token     l2.Token
	encoded   int       // length of its encoding
	validator Validator // see [flight.copiedValidator]
}

// refresh loads a key in the background, unless that has been tried just now, or
// there is too much of it. token is that of the value that is to be replaced, and
// was that value, if the load can ask the origin about it.
func (r *region) refresh(ctx context.Context, k keyspace.Key, c call, token l2.Token, pause time.Duration, load loadFunc, was *prior) {
	n := r.node
	if !r.refreshing.throttle.claim(k.Hash, n.fences.Now(), pause) {
		return
	}
	select {
	case n.refreshes <- struct{}{}:
	default:
		r.refreshing.throttle.release(k.Hash)
		return
	}
	if !n.gate.enter() {
		<-n.refreshes
		r.refreshing.throttle.release(k.Hash)
		return
	}
	f := &flight{region: r, key: k, call: call{ttl: c.ttl, tags: c.tags, asks: c.asks}, kind: flightLoad, load: load, ahead: true, prior: was}
	f.reply.Value.Token = token
	ctx = context.WithoutCancel(ctx)
	go func() {
		defer n.gate.leave()
		defer func() { <-n.refreshes }()
		if r.usesL2() {
			f.run(ctx)
			return
		}
		// No lease keeps a miss from loading beside it: let it join.
		shared, leads := r.flights[flightLoad].join(k.Name)
		if !leads {
			<-shared.landed
			return
		}
		f.carry(ctx, shared)
	}()
}

// throughLease replaces the value in Redis if its lease is to be had. If another
// instance has it, that one's load will do: this one hears of it.
func (f *flight) throughLease(ctx context.Context) *outcome {
	if !f.node.usable(f.key) {
		return f.failed(ErrUnavailable) // see replacesAhead
	}
	watching, watched := f.watch(ctx, OpL2Lease, f.key.Name)
	reply, err := f.node.l2.GetOrLease(watching, f.key, l2.NewToken(), f.reply.Value.Token)
	now := watched.endOr(func() { f.giveUpGranted(&reply) }, err)
	switch {
	case err != nil:
		return f.failed(unavailable(err))
	case reply.Status == l2.Granted:
		return f.loadHolding(ctx, reply.Lease)
	case reply.Status == l2.Hit && f.judge(ctx, &reply, now) == usable:
		f.refreshing.throttle.release(f.key.Hash) // there is a newer one
		return &f.hit
	}
	return f.failed(ErrUnavailable)
}

// Refresh loads keys anew and replaces their values on all instances, as a
// GetOrLoad with [ForceLoad] does: eight at a time, each by a load of its own.
// Meanwhile, and where a load fails, the old values are served. It returns when all
// loads have ended, with the errors of those that failed (an absence is none), or
// when ctx ends; loads that have begun go on. The new values have the tags of
// Config.Tags, and none that a call has given: to give some, call [Region.GetOrLoad]
// with [ForceLoad] and [WithTags]. For thousands of keys use [Region.GetOrLoadMany] with
// ForceLoad.
func (r *Region[V]) Refresh(ctx context.Context, load func(ctx context.Context, key string) (V, error), keys ...string) error {
	if r == nil {
		return errNilRegion
	}
	return eachKey(r.core.name, keys, func(key string) error {
		_, err := r.GetOrLoad(ctx, key, load, ForceLoad())
		return refreshError(key, err)
	})
}

// Refresh is [Region.Refresh] with the bound functions.
func (l *Loading[K, V]) Refresh(ctx context.Context, keys ...K) error {
	region := ""
	if l != nil && l.region != nil {
		region = l.region.core.name
	}
	return eachKey(region, keys, func(k K) error {
		_, err := l.Get(ctx, k, ForceLoad())
		return refreshError(k, err)
	})
}

func refreshError(key any, err error) error {
	if err == nil || errors.Is(err, ErrNotFound) {
		return nil
	}
	return fmt.Errorf("doppio: refresh of %v: %w", key, err)
}

// eachKey calls f for each of the keys, a few at a time, and joins the errors in
// the order of the keys.
func eachKey[K any](region string, keys []K, f func(K) error) error {
	errs := make([]error, len(keys))
	slots := make(chan struct{}, refreshWidth)
	var wg sync.WaitGroup
	for i, key := range keys {
		slots <- struct{}{}
		wg.Go(func() {
			returned := false
			defer func() {
				<-slots
				if !returned { // a function of the caller's has panicked, or called runtime.Goexit; it must not end the process
					errs[i] = raisedBy(recover()).named(region, fmt.Sprint(key))
				}
			}()
			errs[i] = f(key)
			returned = true
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
