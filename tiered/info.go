package tiered

import (
	"strings"
	"time"

	"github.com/doppio-cache/doppio/l1"
)

// Info tells where a value came from, and how long it lives. See [WithInfo]. It is
// written by every call that has an option for it and no invalid one: if the call
// fails, it is empty, but for the Source of an error that is a load's.
//
// That there is no such thing ([ErrAbsent]) has a source and a life too. What is in
// no tier ([ErrNotFound] alone) has neither.
//
// Times are in this instance's reckoning: those of values in Redis are converted,
// and may be off by as much as a round trip.
type Info struct {
	Source Source
	// Remaining is what is left of the value's life in the tier that answered. In
	// L1 that may be less than in Redis (Config.L1TTL and Jitter); [BypassL1] asks
	// Redis. After a load it is the life that begins: in Redis, or, if the value was
	// not stored there, in L1. With Config.SlidingTTL a value that nobody reads ends
	// earlier. An invalidation ends it at any time. 0 if the value's life is over,
	// if it is kept nowhere, or if that is not known.
	Remaining time.Duration
	// StaleRemaining is how much longer than Remaining the value may be served if
	// loads fail or are slow: Config.StaleFor as a rule, and less when Stale. 0 if
	// not at all.
	StaleRemaining time.Duration
	// Age is for how long the value has been cached, in all tiers and instances; 0
	// if it was loaded by this call. Where L1 is the only tier, life and age count
	// from when the load began.
	Age time.Duration
	// Validator is what the load returned with the value, see [Region.LoadIf]; empty
	// if it had none, or if the value is a copy, in L1, of one from before a failover.
	Validator Validator
	// Stale says that the value's life is over, and that it was returned because
	// the load failed or is slow. See Config.StaleFor.
	Stale bool
}

// Source is where a value came from.
type Source uint8

// Sources of a value.
const (
	SourceNone Source = iota // no value
	SourceL1                 // this process's memory
	SourceL2                 // Redis
	SourceLoad               // the origin
)

func (s Source) String() string {
	switch s {
	case SourceL1:
		return "l1"
	case SourceL2:
		return "l2"
	case SourceLoad:
		return "load"
	default:
		return "none"
	}
}

// times are what an Info is made of, on the fences' clock. (What others have made
// may be from before that clock began, so that any time is one.)
type times struct {
	made          int64
	dated         bool  // made is known
	end, staleEnd int64 // 0: not known, or none
}

// timesOf are those of a copy in L1.
func timesOf(e *l1.Entry) times {
	t := times{end: e.Expires, staleEnd: e.StaleUntil}
	t.made, t.dated = e.Made()
	return t
}

// info is what is told of an outcome.
func (r *region) info(out *outcome) Info {
	now := r.node.fences.Now()
	t := out.told
	if t.end == 0 {
		t.end = out.expires
	}
	info := Info{Source: out.source, Stale: out.stale, Validator: Validator(strings.Clone(string(out.validator)))}
	if t.end > now {
		info.Remaining = time.Duration(t.end - now)
	}
	if t.dated {
		info.Age = max(0, time.Duration(now-t.made))
	}
	switch {
	case out.err != nil:
	case out.source == SourceLoad:
		if t.end != 0 && !out.mark.Detached() {
			info.StaleRemaining = r.stale.period
		}
	case t.staleEnd != 0:
		info.StaleRemaining = max(0, time.Duration(t.staleEnd-now)-info.Remaining)
	}
	return info
}
