package tiered

import (
	"errors"
	"fmt"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l2"
)

// sliding is what a region knows about values that stay as long as they are read.
//
// A read that is a step after the last one that was noted is noted: L1's copy
// stays (see [l1.Region.KeepWhileRead]), and the value in Redis is touched. Both
// happen on the instance that reads, and each instance has its own steps. So at
// most two steps lie between a read and the touch before it: one between the touch
// and a copy's being put into L1, one from there to when it is due. With
// 4 steps to a period, a value that stays for 6 of them after a touch stays for
// at least 4 after any read.
type sliding struct {
	period  time.Duration // Config.SlidingTTL; 0: off
	touched throttle      // keys that were, less than a step ago
}

func (s *sliding) step() time.Duration { return s.period / 4 }
func (s *sliding) idle() time.Duration { return s.period + 2*s.step() }

func (cfg *Config[V]) validateSliding() error {
	ttl := orDefault(cfg.TTL, DefaultTTL)
	if cfg.SlidingTTL == 0 {
		return nil
	}
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if cfg.SlidingTTL < 0 {
		bad("SlidingTTL is negative (%v)", cfg.SlidingTTL)
	} else if cfg.SlidingTTL < minSlidingTTL {
		bad("SlidingTTL is shorter than %v, which Redis could not be told often enough", minSlidingTTL)
	}
	if ttl >= 0 && cfg.SlidingTTL >= ttl {
		bad("SlidingTTL (%v) is not shorter than TTL (%v)", cfg.SlidingTTL, ttl)
	}
	return errors.Join(errs...)
}

// minSlidingTTL bounds the writes for a value that is read all the time.
const minSlidingTTL = 100 * time.Millisecond

// slide makes the values of the region stay as long as they are read.
func (r *region) slide(period time.Duration) {
	if r.sliding.period = period; period > 0 {
		r.l1.KeepWhileRead(period)
	}
}

// touch lets the value in Redis stay that was just read, in the background, and
// not more often than once in a step.
func (r *region) touch(k keyspace.Key, token l2.Token, validator Validator, now int64) {
	s := &r.sliding
	if s.period <= 0 || !r.usesL2() || token == (l2.Token{}) || !s.touched.claim(k.Hash, now, s.step()) {
		return
	}
	r.counters.touches.Add(1)
	r.node.l2.Touch(k, token, s.idle(), r.keepFor(validator))
}
