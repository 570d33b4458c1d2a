package l2

import (
	"context"
	"time"
)

// Begin invalidates a key and leaves its lease to the caller, who has a new
// value for it. Lease.Seq is the sequence that the invalidation got. The lease is
// renewed until it is given to [Store.Fill] or [Store.Release]. After an error it
// is unknown whether the key was invalidated, or will be; a lease that was
// granted then is released, so that the token must not be used again.
//
// tags are those that the new value will have; see [Store.BeginMany].
func (s *Store) Begin(ctx context.Context, k Key, token Token, tags ...Tag) (Lease, error) {
	c, err := s.begin(ctx)
	if err != nil {
		return Lease{}, err
	}
	p := s.layout.Partition(k.Hash)
	jobs, _ := s.tagJobs(s.tagsIn(p, tags), func(p int, args []any) job {
		return job{lane: s.primary[p].urgent, script: tagsScript, args: args}
	})
	jobs = append(jobs, job{lane: s.primary[p].urgent, script: beginScript, args: s.beginArgs(p, k, token, 0), late: s.lateGrant(k, token)})
	c.runAll(jobs)
	seq, err := jobs[len(jobs)-1].sequence()
	if err != nil {
		s.dropLease(k, token)
		return Lease{}, err
	}
	l := Lease{Key: k, Token: token, Seq: seq}
	s.leases.hold(l)
	return l, nil
}

// beginArgs are the arguments of begin for a key of partition p.
func (s *Store) beginArgs(p int, k Key, token Token, lag time.Duration) []any {
	args := beginScript.args([]string{
		s.layout.Sequence(p), s.layout.Value(p, k.Region, k.Name), s.layout.Lease(p, k.Region, k.Name),
	}, 8)
	args = append(args, token.arg(), s.opts.LeaseTTL.Milliseconds())
	args = s.announcement(args, p, []uint64{k.Hash})
	if lag <= 0 {
		return append(args, "", 0)
	}
	return append(args, tombstoneOfSet(token), max(1, lag.Milliseconds()))
}

// BeginMany is [Store.Begin] of several keys, in one round trip to each master
// concerned. The token of each is the one at its index. Each has an outcome of
// its own, in order.
//
// tags are those that the new values will have. Before the keys are invalidated,
// and in the same round trip, Redis is told of those that it does not know. The
// fill would be too late for that: what is not known counts as invalidated when it
// is asked for, and so after these invalidations, while the values only include
// what came before them. All instances but those that need not ask would take the
// values for invalidated. Whether it works makes no difference but that.
func (s *Store) BeginMany(ctx context.Context, keys []Key, tokens []Token, tags ...Tag) []Begun {
	return s.beginMany(ctx, keys, tokens, tags, 0)
}

// BeginLagging is BeginMany where loads may bring what was there up to lag before
// they began: for that time nothing but the fills of these leases is stored at the
// keys, also after a fill, and whatever becomes of it. What asks for a lease
// meanwhile is answered with [Blocked].
func (s *Store) BeginLagging(ctx context.Context, keys []Key, tokens []Token, lag time.Duration) []Begun {
	return s.beginMany(ctx, keys, tokens, nil, lag)
}

func (s *Store) beginMany(ctx context.Context, keys []Key, tokens []Token, tags []Tag, lag time.Duration) []Begun {
	out := make([]Begun, len(keys))
	if len(keys) == 0 {
		return out
	}
	c, err := s.begin(ctx)
	if err != nil {
		for i := range out {
			out[i].Err = err
		}
		return out
	}
	all, _ := s.tagJobs(tagKeys(tags), func(p int, args []any) job {
		return s.bulk.job(s.bulk.urgent, p, tagsScript, args)
	})
	told := len(all)
	for i, k := range keys {
		p := s.layout.Partition(k.Hash)
		j := s.bulk.job(s.bulk.urgent, p, beginScript, s.beginArgs(p, k, tokens[i], lag))
		j.late = s.lateGrant(k, tokens[i])
		all = append(all, j)
	}
	c.runAll(all)
	jobs := all[told:]
	for i, k := range keys {
		seq, err := jobs[i].sequence()
		if out[i].Err = err; err != nil {
			s.dropLease(k, tokens[i])
			continue
		}
		out[i].Lease = Lease{Key: k, Token: tokens[i], Seq: seq}
		s.leases.hold(out[i].Lease)
	}
	return out
}
