package l2

import (
	"context"
	"fmt"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// Limits of one MGET: Redis does nothing else meanwhile. Nor does it between the
// MGETs of one pipeline, so that it is the lane's limit of bytes that counts where
// values are large: what is beyond that goes on other connections. How large they
// are is known from what the region had before. MGETs beyond either limit still
// are one round trip.
//
// 512 values of 1 MiB, Redis 7.0.15 on the same machine: in one MGET, or in a
// pipeline of 64, Redis answered nobody else for 260 to 480 ms; in 64 round trips
// for 10 ms, and was through in half the time.
const (
	maxRead      = 512     // values
	maxReadBytes = 1 << 20 // of values, unless it is one
)

// maxDirectRead is the number of values that are read on the caller's goroutine:
// a reply that takes its time does not belong there.
const maxDirectRead = 128

// Got is the answer to a [Store.Get] or [Store.GetOrLease] of one key among
// several.
type Got struct {
	Reply
	Err error
}

// Asked is a key that [Store.GetOrLeaseMany] asks for, with the two tokens of
// [Store.GetOrLease].
type Asked struct {
	Key           Key
	Token, Refuse Token
}

// Filling is a value that [Store.FillMany] stores under a lease.
type Filling struct {
	Lease Lease
	Fill  Fill
}

// Outcome is that of a [Store.Fill] of one key among several.
type Outcome struct {
	Filled
	Err error
}

// Begun is the outcome of a [Store.Begin] of one key among several.
type Begun struct {
	Lease Lease
	Err   error
}

// GetMany is [Store.Get] of several keys, in one round trip to each master
// concerned. Each key is answered for itself, in the order of keys: where one
// master does not answer, others do. The call ends when all have been answered,
// or after the timeout.
func (s *Store) GetMany(ctx context.Context, keys []Key) []Got {
	out := make([]Got, len(keys))
	if len(keys) == 0 {
		return out
	}
	c, err := s.begin(ctx)
	if err != nil {
		return failedAll(out, err)
	}
	reads := s.reads(keys)
	jobs := make([]job, len(reads))
	for i, m := range reads {
		jobs[i] = s.bulk.job(s.bulk.work, m.partition, nil, m.args)
		jobs[i].bytes = m.bytes
	}
	if len(keys) <= maxDirectRead || !s.bulk.single {
		c.runAll(jobs)
	} else {
		all := make([]*job, len(jobs))
		for i := range jobs {
			all[i] = &jobs[i]
		}
		c.round(s.bulk.work, all, bare)
	}
	for i, m := range reads {
		got, err := jobs[i].got, jobs[i].err
		if err == nil && len(got) != len(m.args)-1 {
			err = unavailable(fmt.Errorf("%w: %d values for %d keys", errReply, len(got), len(m.args)-1))
		}
		for _, w := range m.wanted {
			if out[w.key].Err = err; err == nil {
				at := w.at
				out[w.key].Reply = s.judgeValue(sequenceOf(got[at.seq-1]), sequenceOf(got[at.clear-1]), got[at.value-1])
			}
		}
		if err == nil {
			m.took(s, got)
		}
	}
	return out
}

// took takes in the size of the values in an answer. They are of one region, as a
// rule.
func (m *manyRead) took(s *Store, got []string) {
	n, bytes := 0, 0
	for _, w := range m.wanted {
		if size := len(got[w.at.value-1]); size > 0 {
			n, bytes = n+1, bytes+size
		}
	}
	if n > 0 {
		s.region(m.region).read(n, bytes/n)
	}
}

// failedAll makes err the error of every key.
func failedAll(out []Got, err error) []Got {
	for i := range out {
		out[i].Err = err
	}
	return out
}

// manyRead is one MGET for several keys. Those of one partition share its
// sequence, and those of one region, in a row, its clearing. (That of a region
// that is met again is asked for again: calls are for one region.)
type manyRead struct {
	partition int // of all keys, on a Cluster
	args      []any
	wanted    []wanted
	last      map[int]places
	region    string
	bytes     int // of values, expected
}

type wanted struct {
	key int // its index
	at  places
}

// reads are the MGETs for keys: on a Cluster a command is for one partition.
func (s *Store) reads(keys []Key) []*manyRead {
	var all []*manyRead
	open := make(map[int]*manyRead)
	for i, k := range keys {
		p := s.layout.Partition(k.Hash)
		group := p
		if s.bulk.single {
			group = 0
		}
		m := open[group]
		if m == nil || len(m.wanted) == maxRead || m.bytes >= maxReadBytes {
			m = &manyRead{partition: p, args: s.mget(len(keys)), last: make(map[int]places)}
			open[group] = m
			all = append(all, m)
		}
		if m.region != k.Region {
			m.region = k.Region
			clear(m.last)
		}
		at, known := m.last[p]
		if !known {
			at.seq, at.clear = len(m.args), len(m.args)+1
			m.args = append(m.args, s.names[p].sequence, s.region(k.Region).clear[p])
			m.last[p] = at
		}
		at.value = len(m.args)
		m.args = append(m.args, s.layout.Value(p, k.Region, k.Name))
		m.wanted = append(m.wanted, wanted{key: i, at: at})
		m.bytes += int(s.region(k.Region).size.Load())
	}
	return all
}

// mget begins the arguments of an MGET, with room for most of the n keys that are
// asked for.
func (s *Store) mget(n int) []any {
	n = min(n, maxRead)
	if s.bulk.single {
		n += 2 * min(n, len(s.names))
	} else {
		n = 2 + 2*n/len(s.names)
	}
	return append(make([]any, 0, 1+n), "mget")
}

// GetOrLeaseMany is [Store.GetOrLease] of several keys, in one round trip to
// each master concerned. Each key is answered for itself, in order.
func (s *Store) GetOrLeaseMany(ctx context.Context, asked []Asked) []Got {
	out := make([]Got, len(asked))
	if len(asked) == 0 {
		return out
	}
	c, err := s.begin(ctx)
	if err != nil {
		return failedAll(out, err)
	}
	todo := make([]int, len(asked))
	for i := range todo {
		todo[i] = i
	}
	s.leaseAll(&c, asked, out, todo)
	// As in GetOrLease: values that only their inside gives away are refused by
	// their token, once.
	var again []int
	unreadable := make(map[int]error)
	for i := range out {
		if out[i].Err == nil && out[i].Status == Miss {
			again = append(again, i)
			unreadable[i] = out[i].Unreadable
			asked[i].Refuse = out[i].Value.Token
		}
	}
	if len(again) > 0 {
		s.leaseAll(&c, asked, out, again)
	}
	for i := range out {
		got := &out[i]
		if bad := unreadable[i]; got.Unreadable == nil {
			got.Unreadable = bad
		}
		switch {
		case got.Err != nil:
			s.dropLease(asked[i].Key, asked[i].Token)
			got.Reply = Reply{}
		case got.Status == Miss:
			got.Status = Busy
		case got.Status == Granted:
			s.leases.hold(got.Lease)
		}
	}
	return out
}

func (s *Store) leaseAll(c *call, asked []Asked, out []Got, todo []int) {
	jobs := make([]job, len(todo))
	for n, i := range todo {
		a := &asked[i]
		p := s.layout.Partition(a.Key.Hash)
		jobs[n] = s.bulk.job(s.bulk.work, p, getOrLeaseScript, s.leaseArgs(p, a.Key, a.Token, a.Refuse))
		jobs[n].late = s.lateGrant(a.Key, a.Token)
	}
	c.runAll(jobs)
	for n, i := range todo {
		if out[i].Err = jobs[n].err; out[i].Err == nil {
			out[i].Reply, out[i].Err = s.readGrant(asked[i].Key, asked[i].Token, jobs[n].got)
		}
	}
}

// FillMany is [Store.Fill] of several keys, in one round trip to each master
// concerned. Each has an outcome of its own, in order.
func (s *Store) FillMany(ctx context.Context, fills []Filling) []Outcome {
	out := make([]Outcome, len(fills))
	c, ended := s.begin(ctx)
	// As in Fill, see to it that Redis knows the tags; before those fills that replace
	// a value count. See BeginMany.
	jobs, _ := s.tagJobs(tagsOf(fills), s.tagJobOfMany)
	told := len(jobs)
	at := make([]int, 0, len(fills))
	held := make([]bool, len(fills))
	for i := range fills {
		l := fills[i].Lease
		held[i] = s.leases.forget(l)
		p := s.layout.Partition(l.Key.Hash)
		args, err := s.fillArgs(p, l, fills[i].Fill)
		if err == nil {
			err = ended
		}
		if out[i].Err = err; err == nil {
			jobs = append(jobs, s.bulk.job(s.bulk.work, p, fillScript, args))
			at = append(at, i)
		}
	}
	if len(at) > 0 {
		c.runAll(jobs)
	}
	for n, i := range at {
		filled := &jobs[told+n]
		if out[i].Err = filled.err; out[i].Err == nil {
			out[i].Filled, out[i].Err = readFilled(filled.got)
		}
	}
	for i := range out {
		if out[i].Err != nil || !out[i].Accepted {
			s.drop(fills[i].Lease, held[i])
		}
	}
	return out
}

// tagsOf are the tags of values, each once.
func tagsOf(fills []Filling) (tags []Key) {
	seen := make(map[string]bool)
	for i := range fills {
		for _, t := range fills[i].Fill.Tags {
			if !seen[t.Name] {
				seen[t.Name] = true
				tags = append(tags, keyspace.Of("", t.Name))
			}
		}
	}
	return tags
}
