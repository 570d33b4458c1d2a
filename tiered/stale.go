package tiered

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l1"
	"github.com/doppio-cache/doppio/l2"
)

// StaleThrottle is how long a key whose load has failed, or is slower
// than Config.SoftTimeout, is answered with its stale value before another call
// tries to load it; Config.StaleFor if that is shorter. It counts per key and
// instance.
const StaleThrottle = 5 * time.Second

// errSoftTimeout ends a caller's waiting, not the load; no caller ever sees it.
var errSoftTimeout = errors.New("doppio: soft timeout")

// staleness is what a region knows about values past their lives.
type staleness struct {
	period   time.Duration // Config.StaleFor
	soft     time.Duration // Config.SoftTimeout
	throttle throttle      // keys that are not to be loaded for a while
	bars                   // see [flight.supersede]; none without a period
}

func (s *staleness) init(period, soft time.Duration) {
	s.period, s.soft = period, soft
	if period > 0 {
		s.bars = newBars()
	}
}

func (cfg *Config[V]) validateStale() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if cfg.StaleFor < 0 {
		bad("StaleFor is negative (%v)", cfg.StaleFor)
	}
	if cfg.SoftTimeout < 0 {
		bad("SoftTimeout is negative (%v)", cfg.SoftTimeout)
	}
	if cfg.SoftTimeout > 0 && cfg.StaleFor == 0 {
		bad("SoftTimeout is %v, but without StaleFor there is nothing to serve then", cfg.SoftTimeout)
	}
	if limit := orDefault(cfg.LoadTimeout, DefaultLoadTimeout); cfg.SoftTimeout > 0 && limit > 0 && cfg.SoftTimeout >= limit {
		bad("SoftTimeout (%v) is not shorter than LoadTimeout (%v)", cfg.SoftTimeout, limit)
	}
	return errors.Join(errs...)
}

// fetchOrStale is fetch for a call that takes a value past its life if the load
// fails, or is slow.
func (r *region) fetchOrStale(ctx context.Context, k keyspace.Key, c call, kind flightKind, boxed func() loadFunc) (out outcome, err error) {
	arrival := r.node.fences.Now()
	throttled := r.stale.throttle.holds(k.Hash, arrival)
	if throttled && !r.mayLive(k, kind) {
		if out, ok := r.serveStale(k, kind, nil); ok {
			return out, nil
		}
	}
	soft, stop := softTimer(r.stale.soft)
	defer stop()
	var load loadFunc
	for attempt := 0; ; {
		began := r.node.fences.Stamp(k.Hash)
		f := flight{region: r, key: k, call: c, kind: kind, soft: soft}
		// With a copy in L1 there is no need to hold one that Redis has.
		f.held.wanted = throttled || !r.hasStale(k, kind)
		out, done, err := f.glance(ctx)
		if !done && throttled {
			if out, ok := r.serveStale(k, kind, &f.held); ok {
				return out, nil
			}
		}
		if !done {
			if load == nil {
				load = boxed()
			}
			out, err = f.takeOff(ctx, load)
		}
		if err == nil && failed(out.err) {
			if stale, ok := r.findStale(ctx, &f); ok {
				return stale, nil
			}
		}
		switch {
		case errors.Is(err, errSoftTimeout):
			if out, ok := r.findStale(ctx, &f); ok {
				// The load is known to be slow: those who come next need not
				// find out again.
				r.leaveAlone(&began)
				return out, nil
			}
			soft = nil // there is nothing else to be had
		case err != nil || r.acceptable(&out, kind, arrival, attempt):
			r.refreshFetched(ctx, k, c, &out, boxed)
			return out, err
		default:
			r.counters.reloads.Add(1)
			attempt++
		}
	}
}

// findStale is serveStale after the flight has brought nothing. If there was a copy
// in L1 when it began, none was taken from Redis; that copy may have been evicted
// since.
func (r *region) findStale(ctx context.Context, f *flight) (out outcome, ok bool) {
	if out, ok = r.serveStale(f.key, f.kind, &f.held); ok || f.held.wanted {
		return out, ok
	}
	again := flight{region: r, key: f.key, call: f.call, kind: f.kind}
	again.held.wanted = true
	arrival := r.node.fences.Now()
	if out, done, err := again.glance(ctx); done && err == nil && !failed(out.err) && r.acceptable(&out, f.kind, arrival, 0) {
		return out, true // it has come meanwhile
	}
	return r.serveStale(f.key, f.kind, &again.held)
}

// softTimer returns a channel that says when d is over; nil if d is 0.
func softTimer(d time.Duration) (over <-chan time.Time, stop func()) {
	if d <= 0 {
		return nil, func() {}
	}
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// failed reports whether a flight's error says that there was no answer.
func failed(err error) bool {
	return err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrClosed)
}

// serveStale returns what may be served in place of a load that has failed, if
// there is anything: L1's copy, or held, whichever is newer. It is judged here
// and now, by the same fences as a copy whose life is not over: what was
// invalidated, or can no longer be vouched for, is not served.
//
// Whether an invalidation is pending is asked first. Asked last: the copy is
// found good, a Delete that Redis does not confirm is queued and voids it, a
// retry succeeds and leaves the queue, and nothing is pending.
func (r *region) serveStale(k keyspace.Key, kind flightKind, held *staleCopy) (out outcome, ok bool) {
	n := r.node
	if n.refusing() || n.conflicted() || n.backplane != nil && n.backplane.Pending(k.Hash) {
		return out, false
	}
	var e *l1.Entry
	if r.usesL1() && !kind.bypasses() {
		var now int64
		e, now = n.l1.Find(r.l1, k.Hash, k.Name)
		switch {
		case e == nil:
		case e.Alive(now):
			return *fromL1(e), true // it has come meanwhile
		case !r.mayServeStale(e, now):
			e = nil
		}
	}
	switch {
	case held != nil && held.until != 0 && (e == nil || held.mark.Epoch() > e.Mark.Epoch() ||
		held.mark.Epoch() == e.Mark.Epoch() && held.mark.Sequence() >= e.Mark.Sequence()):
		now, valid := n.fences.Valid(&held.mark)
		if !valid || now >= held.until || held.made < r.stale.of(k.Hash) || !n.fences.ValidTags(held.tags, now) {
			return out, false
		}
		out = outcome{value: held.value, source: SourceL2, mark: held.mark, tags: held.tags, validator: held.validator, stale: true, told: times{made: held.made, dated: true, staleEnd: held.until}}
	case e != nil:
		told := timesOf(e)
		told.end, told.staleEnd = 0, r.staleEnd(e) // Expires may be to come, see [l1.Entry.Unread]
		out = outcome{value: e.Value, source: SourceL1, mark: e.Mark, tags: e.Tags, validator: Validator(e.Validator), stale: true, told: told}
	default:
		return out, false
	}
	r.counters.staleServed.Add(1)
	return out, true
}

// hold takes note of a value whose life has been over for some time, and that
// may be served for what is left, if a caller is looking for one. It keeps it in
// L1 for those who come next.
func (f *flight) hold(ctx context.Context, reply *l2.Reply, now int64, over, left lifetime) {
	v := &reply.Value
	if !f.held.wanted || left <= 0 || v.Kind != l2.Live || v.Schema != f.schema || v.Codec != f.codec {
		return
	}
	made := now - int64(over) - (v.SoftEnd-v.Created)*int64(time.Microsecond)
	if made < f.stale.of(f.key.Hash) {
		return
	}
	var tags []fence.Mark
	if len(v.Tags) > 0 {
		var ok bool
		if tags, ok = f.judgeTags(ctx, v.Tags); !ok {
			return
		}
		// After the marks were made, see [flight.vouchedUntil].
		end, past, known := f.remaining(v, now)
		if left = min(left, end+past); !known || left <= 0 {
			return
		}
	}
	value, err := f.values.decode(v.Payload)
	if err != nil {
		f.counters.undecodable.Add(1)
		return
	}
	f.held.value, f.held.mark, f.held.tags, f.held.until, f.held.made = value, f.readMark(reply.Seq), tags, now+int64(left), made
	f.held.validator = f.copiedValidator(v)
	// Whatever L1 has: a flight may be under way with what was there before, and put
	// it there when this one has been served. (What this flight does from here on
	// begins after that, and has a stamp that says so: it asks once more what is
	// pending, before each question to Redis.)
	f.node.fences.Answered(&f.held.mark)
	f.stamp = f.node.fences.Stamp(f.key.Hash)
	if !f.usesL1() || f.held.mark.Generation == 0 || f.node.conflicted() {
		return
	}
	e, _ := f.node.l1.Find(f.l1, f.key.Hash, f.key.Name)
	if e != nil && e.Mark.Sequence() >= f.held.mark.Sequence() {
		if e.Token != v.Token {
			f.unasked.raise(f.key.Hash, now) // see outlived
		}
		return
	}
	if size := f.values.size(value, f.values.encoded(v.Payload)); size <= f.maxL1Bytes {
		f.node.l1.Put(&l1.Entry{
			Region: f.l1, Key: f.key.Name, Value: value, Mark: f.held.mark, Tags: tags,
			Lapsed: true, Expires: now, StaleUntil: f.held.until, Cost: size, Token: v.Token, Span: l1.SpanOf(now - made), Validator: string(f.held.validator),
		})
	}
}

// outlived takes note of it if L1 goes on holding another copy of the key, that is no
// newer, though one with the mark was to take its place. Its life is over, and it must
// not be served when the newer one was: neither stale, nor because the origin, asked
// about it, finds it unchanged as it finds the newer one. It reports whether it could be
// served stale.
//
// The caller raises the fence. That does not void a copy of the same sequence:
// what is put where Redis has nothing any more is not counted. Hence the bars.
func (r *region) outlived(k keyspace.Key, mark *fence.Mark) bool {
	e, now := r.node.l1.Find(r.l1, k.Hash, k.Name)
	if e == nil || e.Mark == *mark || e.Mark.Epoch() != mark.Epoch() || e.Mark.Sequence() > mark.Sequence() {
		return false
	}
	r.unasked.raise(k.Hash, now)
	if r.stale.period <= 0 {
		return false
	}
	r.stale.raise(k.Hash, now)
	return true
}

// supersede ends a load whose value Redis has not taken: it is down, the value
// may not be cached, or something newer won. The older value may still be in
// Redis, or in L1, past its life. It was not invalidated, but must not be served
// on this instance any more after this one was: nothing that was made before now
// is. And nobody is asked about a copy that L1 goes on holding, see [region.outlived].
func (f *flight) supersede(out *outcome) {
	if out.source != SourceLoad || failed(out.err) || f.replacesAhead() {
		return
	}
	if out.mark.Generation != 0 && !out.mark.Detached() {
		if _, ok := f.node.fences.Valid(&out.mark); ok || f.node.l2 != nil {
			return // it has taken the place of the older one, or raised the fence
		}
		// On a node that is alone an Expire may have been counted during the load, and
		// have put back the older one, which is as of that and stays.
	}
	now := f.node.fences.Now()
	if out.was == nil && !out.mark.Detached() { // a detached copy is in the older one's place, if there is one
		f.unasked.raise(f.key.Hash, now)
	}
	if f.stale.period > 0 {
		f.stale.raise(f.key.Hash, now)
	}
}

// loadEnded takes note of how a load ended.
func (f *flight) loadEnded(l *loaded) {
	if f.ahead {
		f.counters.refreshes.Add(1)
	}
	failed := l.failed()
	if f.refreshing.share > 0 && !failed {
		f.refreshing.throttle.release(f.key.Hash)
	}
	switch {
	case f.stale.period <= 0:
	case failed:
		f.leaveAlone(&f.stamp)
	default:
		f.stale.throttle.release(f.key.Hash)
	}
}

// leaveAlone lets no call load the stamp's key for a while, as long as there is a
// stale value: a load that began after the stamp has failed, or is slow. Not so if an
// Expire was heard since: then the next call is to load.
//
// It looks after it has held the key. Before that: nothing was heard, an Expire of
// this instance comes and lets go of the key, and the key is held.
func (r *region) leaveAlone(stamp *fence.Stamp) {
	r.stale.throttle.hold(stamp.Hash, r.node.fences.Now(), min(StaleThrottle, r.stale.period))
	if !r.node.fences.Passes(stamp) {
		r.stale.throttle.release(stamp.Hash)
	}
}
