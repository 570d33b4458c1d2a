package l2

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Fill is a value to be stored.
type Fill struct {
	Kind    Kind          // Live or Negative
	Codec   string        // at most 255 bytes
	Schema  string        // at most 65,535 bytes
	Payload []byte        // copied
	Life    time.Duration // until the soft end
	Keep    time.Duration // how long the value stays beyond its life
	Idle    time.Duration // how long it stays unless it is touched, see [Store.Touch]; 0: to its end
	Tags    []Tag         // at most 65,535
	// Validator is what the origin calls this version; at most 65,535 bytes.
	Validator string
	// Announce counts and announces the fill even if no value is replaced: some
	// instance may hold a copy of one that Redis has not any more.
	Announce bool
}

// Filled is the outcome of a [Store.Fill].
type Filled struct {
	Accepted bool
	Gone     bool   // of a [Store.Revalidate]: the value is not there any more
	Seq      uint64 // the partition's sequence at the fill; 0: there is none
	Created  int64  // if accepted: when, on Redis' clock in µs
	SoftEnd  int64  // if accepted: when its life ends, on that clock
}

// Fill stores a value under a lease, unless something has happened to the key
// since the lease was granted: then it is not accepted, which is no error.
// Whatever the outcome, the lease is at its end. After an error it is unknown
// whether the value was stored, or will be; the lease is being released.
//
// A fill that replaces a value is counted and announced like an invalidation,
// and so is one with Announce.
func (s *Store) Fill(ctx context.Context, l Lease, f Fill) (Filled, error) {
	held := s.leases.forget(l)
	got, err := s.fill(ctx, l, f)
	if err != nil || !got.Accepted {
		s.drop(l, held)
	}
	return got, err
}

func (s *Store) fill(ctx context.Context, l Lease, f Fill) (Filled, error) {
	p := s.layout.Partition(l.Key.Hash)
	args, err := s.fillArgs(p, l, f)
	if err != nil {
		return Filled{}, err
	}
	c, err := s.begin(ctx)
	if err != nil {
		return Filled{}, err
	}
	jobs := []job{{lane: s.primary[p].scripts, script: fillScript, args: args}}
	if len(f.Tags) > 0 {
		// Beside it, see to it that Redis knows the tags: otherwise whoever reads
		// the value first has to take each of them for invalidated. Whether that
		// works, and which of the scripts is first, makes no difference but that.
		asks, _ := s.tagJobs(tagKeys(f.Tags), s.tagJobOfOne)
		jobs = append(jobs, asks...)
	}
	c.runAll(jobs)
	if jobs[0].err != nil {
		return Filled{}, jobs[0].err
	}
	return readFilled(jobs[0].got)
}

// fillArgs are the arguments of a fill of a key of partition p.
func (s *Store) fillArgs(p int, l Lease, f Fill) ([]any, error) {
	v := Value{Kind: f.Kind, Codec: f.Codec, Schema: f.Schema, Token: l.Token, Seq: l.Seq, Tags: f.Tags, Validator: f.Validator, Payload: f.Payload}
	switch {
	case f.Kind != Live && f.Kind != Negative:
		return nil, fmt.Errorf("l2: fill of kind %d", f.Kind)
	case f.Life < 0 || f.Keep < 0 || f.Idle < 0:
		return nil, fmt.Errorf("l2: fill with life %v, keep %v, idle %v", f.Life, f.Keep, f.Idle)
	}
	env, err := appendEnvelope(make([]byte, 0, envelopeSize(&v)), &v)
	if err != nil {
		return nil, err
	}
	args := s.onKey(fillScript, p, l.Key, 10)
	args = append(args, l.Token.lease(l.Seq), env[:atCreated], env[atToken:],
		f.Life.Microseconds(), stayFor(f.Life, f.Keep, f.Idle))
	return append(s.announcement(args, p, []uint64{l.Key.Hash}), flag(f.Announce)), nil
}

// stayFor is for how many ms a value that is stored now stays in Redis.
func stayFor(life, keep, idle time.Duration) int64 {
	stay := life + keep
	if idle > 0 {
		stay = min(stay, idle)
	}
	return max(1, stay.Milliseconds())
}

// flag is a boolean as an argument of a script.
func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func readFilled(got []string) (Filled, error) {
	switch {
	case len(got) == 2 && got[0] == "refused":
		return Filled{Seq: sequenceOf(got[1])}, nil
	case len(got) == 2 && got[0] == "gone":
		return Filled{Gone: true, Seq: sequenceOf(got[1])}, nil
	case len(got) == 4 && got[0] == "stored":
		created, err1 := strconv.ParseInt(got[2], 10, 64)
		ends, err2 := strconv.ParseInt(got[3], 10, 64)
		if err1 == nil && err2 == nil {
			return Filled{Accepted: true, Seq: sequenceOf(got[1]), Created: created, SoftEnd: ends}, nil
		}
	}
	return Filled{}, unavailable(fmt.Errorf("%w: %.80q", errReply, got))
}
