package invalidation

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// Cause is why a [Backplane] is degraded.
type Cause string

// Causes, in the order in which they take precedence.
const (
	CauseNone         Cause = ""
	CauseLayout       Cause = "layout"       // living instances use another layout
	CauseUnconfirmed  Cause = "unconfirmed"  // some partitions were not confirmed within the bound
	CauseSubscription Cause = "subscription" // there is none: invalidations arrive with the probe
	CauseStarting     Cause = "starting"     // not ready yet
)

// unremarkable is for how long an instance may be without a subscription
// before that is worth a word, however short the bound is.
const unremarkable = 100 * time.Millisecond

// State is how well an instance hears.
type State struct {
	Ready    bool   // once true, it stays; see [Backplane.Ready]
	Degraded bool   // Cause is not CauseNone
	Cause    Cause  // for programs
	Reason   string // for people; empty if not degraded
	Err      error  // what is behind it, for errors.Is and As; nil if that is not known. Reason has its text
	// Probed says that a round of probes went well that began after the subscription was
	// lost, if ever it was: with CauseSubscription it tells a Redis that is well from one
	// of which nothing is known yet.
	Probed bool
}

// State is the present state.
func (b *Backplane) State() State {
	var s State
	select {
	case <-b.ready:
		s.Ready = true
	default:
	}
	s.Cause, s.Reason, s.Err = b.diagnose(s.Ready)
	s.Degraded = s.Cause != CauseNone
	s.Probed = b.prober.good.Load() > b.subscriber.lostAt.Load()
	return s
}

func (b *Backplane) diagnose(ready bool) (Cause, string, error) {
	if e := b.agreed.conflict.Load(); e != nil {
		return CauseLayout, e.Error(), e
	}
	missing := b.unconfirmed()
	problem := b.prober.cause()
	if missing > 0 && (ready || problem != nil) {
		reason := fmt.Sprintf("%d of %d partitions not confirmed within %v", missing, len(b.epochs), b.fences.Bound())
		if problem != nil {
			reason += ": " + problem.Error()
		}
		return CauseUnconfirmed, reason, problem
	}
	if _, live := b.subscriber.since(); !live {
		reason := "no subscription to " + b.subscriber.channel
		var problem error
		if p := b.subscriber.problem.Load(); p != nil {
			problem = *p
			reason += ": " + problem.Error()
		}
		// One that is back before the next probe was hardly away.
		if lost := time.Duration(b.fences.Now() - b.subscriber.lostAt.Load()); lost > max(b.prober.every, unremarkable) {
			return CauseSubscription, reason, problem
		}
		if !ready {
			return CauseStarting, reason, problem
		}
	}
	if !ready {
		return CauseStarting, fmt.Sprintf("%d of %d partitions not confirmed since the subscription began", b.prober.waiting.Load(), len(b.epochs)), nil
	}
	return CauseNone, "", nil
}

// unconfirmed is the number of partitions without a lease within the bound.
func (b *Backplane) unconfirmed() (n int) {
	for p := range b.epochs {
		if !b.fences.Live(p) {
			n++
		}
	}
	return n
}

// stateMayHaveChanged lets report have a look.
func (b *Backplane) stateMayHaveChanged() { kick(b.changed) }

// report logs and hands on changes of the state. A lease that runs out is
// noticed at the end of the next round of probes. Why Redis is not reached is often
// known only after it was found that it is not, and then logged too.
func (b *Backplane) report(ctx context.Context) {
	last := State{Degraded: true, Cause: CauseStarting}
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.changed:
		}
		s := b.State()
		if s.Ready && !last.Ready {
			b.checkEviction()
		}
		changed := s.Ready != last.Ready || s.Cause != last.Cause // reasons differ in details with every attempt
		if !changed && (s.Cause != CauseUnconfirmed || explains(last.Err) || !explains(s.Err)) {
			continue
		}
		b.logState(ctx, s)
		last = s
		if changed && b.opts.OnState != nil {
			b.opts.OnState(s)
		}
	}
}

func (b *Backplane) logState(ctx context.Context, s State) {
	switch {
	case s.Cause == CauseLayout:
		e := b.agreed.conflict.Load()
		if e == nil {
			return // solved meanwhile; another report follows
		}
		b.log.LogAttrs(ctx, slog.LevelError, "another layout is in use: this instance does not cache until it is not",
			slog.String("key", e.Key), slog.String("ours", e.Ours), slog.String("theirs", e.Theirs),
			slog.String("remedy", "the same Partitions and a compatible version everywhere, or another Prefix"))
	case s.Cause == CauseStarting:
		b.log.LogAttrs(ctx, slog.LevelDebug, "starting to hear invalidations", slog.String("reason", s.Reason))
	case s.Degraded:
		b.log.LogAttrs(ctx, slog.LevelWarn, "degraded: invalidations are not confirmed as usual",
			slog.String("cause", string(s.Cause)), slog.String("reason", s.Reason))
	default:
		b.log.LogAttrs(ctx, slog.LevelInfo, "invalidations are heard and confirmed")
	}
}

// Epoch is since when partition p has had its present primary: values whose
// header has a sequence below seq were written before, and the former primary
// may have acknowledged invalidations of them that the present one does not
// know. at is the server's time of the change in µs, or 0 if they must not be
// used at all, however short ago it was: they were left behind by an earlier
// use of this layout, and have missed invalidations since. seq is 0 if there
// was no such change.
//
// ok is false until the partition has been probed, and again while another
// layout is in use. Until then nothing is known of the partition, and values
// in it must not be used.
func (b *Backplane) Epoch(p int) (seq uint64, at int64, ok bool) {
	switch e := b.epochs[p].Load(); {
	case e == nil:
	case e.seq == 0:
		return 0, 0, true // its time only tells it from others
	default:
		return e.seq, e.at, true
	}
	return 0, 0, false
}
