package l2

import (
	"context"
	"fmt"
)

// maxInvalidated is the number of keys in one script: Redis does nothing else
// meanwhile.
const maxInvalidated = 512

// Invalidated is the outcome of [Store.InvalidateAll] for one partition.
type Invalidated struct {
	Partition int
	Keys      []Key
	Seq       uint64 // the sequence that the invalidation got, if Err is nil
	Err       error  // otherwise it is unknown whether it was carried out, or will be
}

// Invalidate removes the values and leases of keys, which must be of partition
// p, counts that, and announces it. It returns the sequence that the
// invalidation got. After an error it is unknown whether it was carried out, or
// will be.
func (s *Store) Invalidate(ctx context.Context, p int, keys []Key) (seq uint64, err error) {
	c, err := s.begin(ctx)
	if err != nil {
		return 0, err
	}
	out := []Invalidated{{Partition: p, Keys: keys}}
	s.invalidate(&c, out)
	return out[0].Seq, out[0].Err
}

// InvalidateAll is [Store.Invalidate] for keys of any partitions, all under way
// at once. It returns one outcome for each partition concerned.
func (s *Store) InvalidateAll(ctx context.Context, keys []Key) []Invalidated {
	return s.onAll(ctx, keys, s.invalidation)
}

// onAll runs a script on keys of any partitions, those of a partition together.
func (s *Store) onAll(ctx context.Context, keys []Key, script func(p int, keys []Key) job) []Invalidated {
	out := s.byPartition(keys)
	c, err := s.begin(ctx)
	if err != nil {
		for i := range out {
			out[i].Err = err
		}
		return out
	}
	s.batches(&c, out, script)
	return out
}

// byPartition groups keys by partition, in the order of their first key.
func (s *Store) byPartition(keys []Key) []Invalidated {
	var out []Invalidated
	at := make(map[int]int)
	for _, k := range keys {
		p := s.layout.Partition(k.Hash)
		i, ok := at[p]
		if !ok {
			i = len(out)
			at[p] = i
			out = append(out, Invalidated{Partition: p})
		}
		out[i].Keys = append(out[i].Keys, k)
	}
	return out
}

// invalidate carries out invalidations of partitions and completes them with
// their outcomes.
func (s *Store) invalidate(c *call, out []Invalidated) { s.batches(c, out, s.invalidation) }

// batches runs a script on the keys of each partition, some at a time, and
// completes out with the outcomes.
func (s *Store) batches(c *call, out []Invalidated, script func(p int, keys []Key) job) {
	var jobs []job
	var owner []int
	for i := range out {
		for keys := out[i].Keys; len(keys) > 0; {
			n := min(len(keys), maxInvalidated)
			j := script(out[i].Partition, keys[:n])
			if len(out) > 1 {
				j = s.together(out[i].Partition, j)
			}
			jobs = append(jobs, j)
			owner = append(owner, i)
			keys = keys[n:]
		}
	}
	c.runAll(jobs)
	for j := range jobs {
		o := &out[owner[j]]
		seq, err := jobs[j].sequence()
		if err != nil {
			o.Err = err
		}
		o.Seq = max(o.Seq, seq)
	}
	for i := range out {
		if out[i].Err != nil {
			out[i].Seq = 0
		}
	}
}

// together is an urgent job of partition p as one of several: on a Cluster, where
// each partition has a lane of its own, those of a master share a round trip.
func (s *Store) together(p int, j job) job {
	if s.bulk.single {
		return j
	}
	return s.bulk.job(s.bulk.urgent, p, j.script, j.args)
}

// invalidation is the script that invalidates keys of a partition, some of which
// may be tags.
func (s *Store) invalidation(p int, keys []Key) job {
	names := make([]string, 1, 3+2*len(keys))
	names[0] = s.layout.Sequence(p)
	hashes := make([]uint64, len(keys))
	var tags []string
	for i, k := range keys {
		hashes[i] = k.Hash
		if isTag(k) {
			tags = append(tags, s.layout.Tag(p, k.Name))
			continue
		}
		names = append(names, s.layout.Value(p, k.Region, k.Name), s.layout.Lease(p, k.Region, k.Name))
	}
	if len(names) == 1 {
		none := s.names[p].none // so that the script begins with an UNLINK
		names = append(names, none, none)
	}
	args := s.announcement(invalidateScript.args(append(names, tags...), 6), p, hashes)
	return job{
		lane:   s.primary[p].urgent,
		script: invalidateScript,
		args:   append(args, len(tags), keepTags.Milliseconds()),
	}
}

// InvalidatePartition makes all values of the regions in partition p void, and
// announces that as an invalidation of the whole partition. It returns the
// sequence that it got. After an error it is unknown whether it was carried out,
// or will be.
func (s *Store) InvalidatePartition(ctx context.Context, p int, regions []string) (seq uint64, err error) {
	c, err := s.begin(ctx)
	if err != nil {
		return 0, err
	}
	jobs := []job{s.clearing(p, regions)}
	c.runAll(jobs)
	return jobs[0].sequence()
}

// InvalidateRegion makes all values of a region void, however many there are: one
// script for each partition, those of a master in one round trip. Other instances
// drop their copies of other regions too, and find them in Redis again. The
// outcomes, one for each partition, have no Keys.
func (s *Store) InvalidateRegion(ctx context.Context, region string) []Invalidated {
	out := make([]Invalidated, s.layout.Partitions())
	jobs := make([]job, len(out))
	c, err := s.begin(ctx)
	for p := range out {
		out[p] = Invalidated{Partition: p, Err: err}
		jobs[p] = s.together(p, s.clearing(p, []string{region}))
	}
	if err != nil {
		return out
	}
	c.runAll(jobs)
	for p := range out {
		out[p].Seq, out[p].Err = jobs[p].sequence()
	}
	return out
}

// clearing is the script that makes all values of some regions in a partition
// void.
func (s *Store) clearing(p int, regions []string) job {
	names := []string{s.layout.Sequence(p), s.names[p].none}
	for _, r := range regions {
		names = append(names, s.layout.Clear(p, r))
	}
	return job{
		lane:   s.primary[p].urgent,
		script: invalidatePartitionScript,
		args:   s.announcement(invalidatePartitionScript.args(names, 4), p, nil),
	}
}

// announcement appends what the scripts need to announce an invalidation.
func (s *Store) announcement(args []any, p int, hashes []uint64) []any {
	head, mid, tail := s.opts.Announcer.Announce(p, hashes)
	return append(args, s.layout.Channel(), some(head), some(mid), some(tail))
}

// some is b, or an empty slice: the client takes nil for no argument.
func some(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// sequence reads the answer of a script that invalidates.
func (j *job) sequence() (uint64, error) {
	if j.err != nil {
		return 0, j.err
	}
	if len(j.got) == 1 {
		if seq := sequenceOf(j.got[0]); seq > 0 {
			return seq, nil
		}
	}
	return 0, unavailable(fmt.Errorf("%w: %.80q", errReply, j.got))
}
