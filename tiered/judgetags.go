package tiered

import (
	"context"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l2"
)

// judgeTags decides whether the tags of a value from Redis let it be used, and
// returns the marks of the copy. For most of them this instance knows by itself:
// it has heard everything for a while, and nothing of the tag. For the rest it
// asks Redis.
//
// For each tag there is a mark, or a stamp, before the question whether an
// invalidation of it is pending; see [invalidation.Backplane.Pending]. And it must
// pass after the question. A mark that was made while one was pending does not know
// of it; then the retry is confirmed, which raises the stripe and leaves the queue,
// and nothing is pending. Of an answer that is older than the question the same is
// true. (A caller that has asked often enough does not look at the marks again, see
// [region.acceptable].)
func (f *flight) judgeTags(ctx context.Context, tags []l2.Tag) (marks []fence.Mark, ok bool) {
	fences := f.node.fences
	marks = make([]fence.Mark, len(tags))
	var ask []keyspace.Key
	var asked []int
	var stamps []fence.Stamp
	for i, tag := range tags {
		hash := keyspace.HashTag(tag.Name)
		var known bool
		if marks[i], known = fences.TagMarkAt(hash, tag.Stamp); !known {
			if got := f.tagged[tag.Name]; got != nil {
				if marks[i], known = got.mark(tag.Stamp); !known || !f.confirmed(ctx, &marks[i]) {
					return nil, false
				}
			} else {
				ask = append(ask, keyspace.Key{Name: tag.Name, Hash: hash})
				asked = append(asked, i)
				stamps = append(stamps, fences.Stamp(hash))
			}
		}
		if f.node.backplane.Pending(hash) {
			return nil, false
		}
	}
	if len(ask) > 0 {
		watching, watched := f.begins(ctx, Operation{Kind: OpL2Tags, Key: f.key.Name, Keys: len(ask)})
		states, err := f.node.l2.Tags(watching, ask)
		watched.end(err)
		if err != nil {
			return nil, false
		}
		for j, state := range states {
			got := tagAnswer{stamp: stamps[j], GotTag: l2.GotTag{TagState: state}}
			if marks[asked[j]], ok = got.mark(tags[asked[j]].Stamp); !ok || !f.confirmed(ctx, &marks[asked[j]]) {
				return nil, false
			}
		}
	}
	return marks, fences.TagsPass(marks)
}

// confirmed reports whether what Redis has said of a tag may be believed: whether
// its partition has a live lease, and has not started over since it was asked.
//
// A new primary has never got the last invalidation of the tag, whose number the
// instance that sent it has. It will send it again when it hears of the new primary.
// Until a probe here has reached that one, its answer is that of a server of which
// nothing is known. With a lease, the last probe was within the bound, and whatever
// was invalidated before that was heard.
//
// As in [flight.doubt], a probe that is under way is waited for.
func (f *flight) confirmed(ctx context.Context, tag *fence.Mark) bool {
	n := f.node
	deadline := f.untilProbed()
	for {
		switch {
		case n.fences.Current(tag):
			return true
		case n.fences.Live(n.fences.Partition(tag.Hash)), n.fences.Now() > deadline, !n.l2.Up(), ctx.Err() != nil:
			return false
		}
		n.backplane.ProbeNow()
		if !n.pause(doubtPause) {
			return false
		}
	}
}

// tagAnswer is what Redis has said of a tag, and a stamp from before it was asked.
type tagAnswer struct {
	l2.GotTag
	stamp fence.Stamp
}

// mark is that of a copy whose value includes the tag's invalidations up to a
// sequence; false: it was invalidated since, or that is not known.
func (a *tagAnswer) mark(includes uint64) (fence.Mark, bool) {
	if a.Err != nil || a.Invalidated > includes || a.Seq < includes {
		return fence.Mark{}, false
	}
	return a.stamp.At(a.Seq), true
}

// tagAnswers are the answers for the tags of many values, by name.
type tagAnswers map[string]*tagAnswer

// askTags asks for those tags of values that were read together of which this
// instance does not know by itself, in one round trip, so that the flights need
// not ask one by one.
func (r *region) askTags(ctx context.Context, flights []*flight, replies func(i int) *l2.Reply) {
	fences := r.node.fences
	var answers tagAnswers
	var ask []keyspace.Key
	for i := range flights {
		reply := replies(i)
		if reply == nil || reply.Status != l2.Hit {
			continue
		}
		for _, tag := range reply.Value.Tags {
			if answers[tag.Name] != nil {
				continue
			}
			hash := keyspace.HashTag(tag.Name)
			if _, known := fences.TagMarkAt(hash, tag.Stamp); !known {
				if answers == nil {
					answers = make(tagAnswers)
				}
				answers[tag.Name] = &tagAnswer{stamp: fences.Stamp(hash)}
				ask = append(ask, keyspace.Key{Name: tag.Name, Hash: hash})
			}
		}
	}
	for _, f := range flights {
		f.tagged = answers // also if there are none: what was said before is old
	}
	if len(ask) == 0 {
		return
	}
	watching, watched := r.begins(ctx, Operation{Kind: OpL2Tags, Keys: len(ask)})
	got := r.node.tagsMany(watching, ask)
	var failed error
	for i, k := range ask {
		if answers[k.Name].GotTag = got[i]; got[i].Err != nil {
			failed = got[i].Err
		}
	}
	watched.end(failed)
}
