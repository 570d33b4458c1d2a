package l2

import (
	"context"
	"fmt"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// A tag is named by a Key without a region: it has a hash and a partition like
// any key, is invalidated like one, and has no value. [Store.InvalidateAll] and
// [Store.Invalidate] take tags among other keys. [Store.InvalidatePartition]
// with the empty region invalidates all tags of the partition.

// keepTags is how long the sequence of a tag's last invalidation is kept after
// it was last asked for. One that is gone counts as invalidated, so that this
// bounds what Redis has to remember, and nothing else: a value that lives for
// longer and is not read for as long is loaded once more.
const keepTags = 7 * 24 * time.Hour

func isTag(k Key) bool { return k.Region == "" }

// TagState is what Redis knows of a tag.
type TagState struct {
	Seq         uint64 // sequence of the tag's partition
	Invalidated uint64 // sequence at the tag's last invalidation; not above Seq
}

// Tags asks for the state of tags, in one round trip to each of Redis's masters
// concerned. A tag that Redis does not know counts as invalidated now.
func (s *Store) Tags(ctx context.Context, tags []Key) ([]TagState, error) {
	states := make([]TagState, len(tags))
	for i, got := range s.tags(ctx, tags, s.tagJobOfOne) {
		if got.Err != nil {
			return nil, got.Err
		}
		states[i] = got.TagState
	}
	return states, nil
}

// GotTag is the answer to a [Store.Tags] of one tag among those of many values.
type GotTag struct {
	TagState
	Err error
}

// TagsMany is [Store.Tags] for the tags of many values. Each is answered for
// itself, in order: where one master does not answer, others do.
func (s *Store) TagsMany(ctx context.Context, tags []Key) []GotTag {
	return s.tags(ctx, tags, s.tagJobOfMany)
}

func (s *Store) tags(ctx context.Context, tags []Key, ask func(p int, args []any) job) []GotTag {
	out := make([]GotTag, len(tags))
	c, err := s.begin(ctx)
	if err != nil {
		for i := range out {
			out[i].Err = err
		}
		return out
	}
	jobs, at := s.tagJobs(tags, ask)
	c.runAll(jobs)
	for j := range jobs {
		got, err := jobs[j].got, jobs[j].err
		if err == nil && len(got) != 1+len(at[j]) {
			err = unavailable(fmt.Errorf("%w: %.80q", errReply, got))
		}
		for i, tag := range at[j] {
			if out[tag].Err = err; err != nil {
				continue
			}
			out[tag].TagState = TagState{Seq: sequenceOf(got[0]), Invalidated: sequenceOf(got[1+i])}
			if out[tag].Invalidated == 0 {
				out[tag].Err = unavailable(fmt.Errorf("%w: %.80q", errReply, got))
			}
		}
	}
	return out
}

// tagJobOfOne and tagJobOfMany are jobs that ask for tags of a partition, for a call
// of one key and of many keys.
func (s *Store) tagJobOfOne(p int, args []any) job {
	return job{lane: s.primary[p].scripts, script: tagsScript, args: args}
}

func (s *Store) tagJobOfMany(p int, args []any) job {
	return s.bulk.job(s.bulk.work, p, tagsScript, args)
}

// tagJobs are the scripts that ask for tags, and which tags each asks for; ask
// makes a job of the arguments.
func (s *Store) tagJobs(tags []Key, ask func(p int, args []any) job) (jobs []job, at [][]int) {
	index := make(map[int]int)
	for i, k := range tags {
		p := s.layout.Partition(k.Hash)
		j, ok := index[p]
		if !ok || len(at[j]) == maxInvalidated {
			j = len(at)
			index[p] = j
			at = append(at, nil)
		}
		at[j] = append(at[j], i)
	}
	for _, which := range at {
		p := s.layout.Partition(tags[which[0]].Hash)
		names := []string{s.layout.Sequence(p), s.layout.Clear(p, "")}
		for _, i := range which {
			names = append(names, s.layout.Tag(p, tags[i].Name))
		}
		args := append(tagsScript.args(names, 1), keepTags.Milliseconds())
		jobs = append(jobs, ask(p, args))
	}
	return jobs, at
}

// tagKeys are the keys that stand for a value's tags.
func tagKeys(tags []Tag) []Key {
	keys := make([]Key, len(tags))
	for i, t := range tags {
		keys[i] = keyspace.Of("", t.Name)
	}
	return keys
}

// tagsIn are the keys of those of the tags that are in partition p.
func (s *Store) tagsIn(p int, tags []Tag) (keys []Key) {
	for _, t := range tags {
		if k := keyspace.Of("", t.Name); s.layout.Partition(k.Hash) == p {
			keys = append(keys, k)
		}
	}
	return keys
}
