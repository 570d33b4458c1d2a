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
	c, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	jobs, at := s.tagJobs(tags)
	c.runAll(jobs)
	states := make([]TagState, len(tags))
	for j := range jobs {
		got, err := jobs[j].got, jobs[j].err
		if err != nil {
			return nil, err
		}
		if len(got) != 1+len(at[j]) {
			return nil, unavailable(fmt.Errorf("%w: %.80q", errReply, got))
		}
		for i, tag := range at[j] {
			states[tag] = TagState{Seq: sequenceOf(got[0]), Invalidated: sequenceOf(got[1+i])}
			if states[tag].Invalidated == 0 {
				return nil, unavailable(fmt.Errorf("%w: %.80q", errReply, got))
			}
		}
	}
	return states, nil
}

// tagJobs are the scripts that ask for tags, and which tags each asks for.
func (s *Store) tagJobs(tags []Key) (jobs []job, at [][]int) {
	index := make(map[int]int)
	for i, k := range tags {
		p := s.layout.Partition(k.Hash)
		j, ok := index[p]
		if !ok {
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
		jobs = append(jobs, job{
			lane:   s.primary[p].scripts,
			script: tagsScript,
			args:   append(tagsScript.args(names, 1), keepTags.Milliseconds()),
		})
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
