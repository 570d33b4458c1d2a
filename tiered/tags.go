package tiered

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l2"
)

// Limits of tags.
const (
	MaxTagBytes = 256 // of one tag
	MaxTags     = 64  // of one value
)

func checkTag(tag string) error {
	switch {
	case tag == "":
		return fmt.Errorf("%w: it is empty", ErrInvalidTag)
	case len(tag) > MaxTagBytes:
		return fmt.Errorf("%w: %q… has %d bytes, at most %d are allowed", ErrInvalidTag, tag[:32], len(tag), MaxTagBytes)
	}
	return nil
}

// checkTags checks the tags of one value.
func checkTags(tags []string) error {
	if len(tags) > MaxTags {
		return fmt.Errorf("%w: there are %d, at most %d are allowed", ErrInvalidTag, len(tags), MaxTags)
	}
	for _, tag := range tags {
		if err := checkTag(tag); err != nil {
			return err
		}
	}
	return nil
}

// tagsOf are the tags that a call gives. It copies them, so that those of a call
// that L1 answers need not move to the heap.
func (r *region) tagsOf(opts []Option) (tags []string, err error) {
	for i := range opts {
		tags = append(tags, opts[i].tags...)
	}
	if len(tags) > 0 && r.originLag > 0 {
		return nil, fmt.Errorf("%w: WithTags for a region with OriginLag", ErrInvalidOption)
	}
	if len(tags) > MaxTags {
		// Each of the options was checked by itself.
		slices.Sort(tags)
		tags = slices.Compact(tags)
		if err := checkTags(tags); err != nil {
			return nil, fmt.Errorf("%w: WithTags: %w", ErrInvalidOption, err)
		}
	}
	return tags, nil
}

// isTag reports whether a key stands for a tag: it has no region.
func isTag(k keyspace.Key) bool { return k.Region == "" }

// InvalidateTags invalidates all values with any of these tags, in all regions
// and on all instances, in one round trip to each of Redis's masters concerned
// (for each 8,192 tags), whatever the number of values. What it returns, and what that
// means, is as for [Node.Delete]: nil only if all were confirmed. A load that is
// under way when it is called is not served once it has returned, nor stored.
//
// A tag that is not valid is an [ErrInvalidTag]; the others are invalidated all
// the same.
func (n *Node) InvalidateTags(ctx context.Context, tags ...string) error {
	if n == nil {
		return errNilNode
	}
	keys := make([]keyspace.Key, 0, len(tags))
	var errs []error
	for _, tag := range tags {
		if err := checkTag(tag); err != nil {
			errs = append(errs, err)
			continue
		}
		keys = append(keys, keyspace.Of("", tag))
	}
	_, err := n.invalidate(ctx, "", keys)
	return errors.Join(append(errs, err)...)
}

// InvalidateTags is [Node.InvalidateTags]: it concerns all regions.
func (r *Region[V]) InvalidateTags(ctx context.Context, tags ...string) error {
	if r == nil {
		return errNilRegion
	}
	return r.core.node.InvalidateTags(ctx, tags...)
}

// tagged are the tags of a value that is being stored, and what the load or Set
// that brought it is known to include of their invalidations.
type tagged struct {
	names []string
	since *fence.Snapshot // nil if the region has no tags
}

// mayHaveTags reports whether what a call stores may have tags.
func (r *region) mayHaveTags(c call) bool { return r.values.tags != nil || len(c.tags) > 0 }

// snapshot begins a load or a Set. It must be taken before the first step.
func (r *region) snapshot(c call) tagged {
	if !r.mayHaveTags(c) {
		return tagged{}
	}
	return tagged{since: r.node.fences.Snapshot()}
}

// label says which tags it is about: those of the call, and those of the value,
// if there is one.
func (t *tagged) label(r *region, key string, c call, v any, absent bool) error {
	if t.since == nil {
		return nil
	}
	t.names = r.tagNames(key, c, v, absent)
	return checkTags(t.names)
}

// tagNames are the tags of a value, in order and each once.
func (r *region) tagNames(key string, c call, v any, absent bool) []string {
	names := slices.Clone(c.tags)
	if r.values.tags != nil && !absent {
		names = append(names, r.values.tags(key, v)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// label gives what was loaded its tags.
func (l *loaded) label(r *region, key string, c call) {
	l.unstored = l.tagged.label(r, key, c, l.value, l.absent)
	l.tags = l.tagged.marks(r.node.fences)
}

// marks are what L1 and the callers judge the value's tags by.
func (t *tagged) marks(fences *fence.Table) []fence.Mark {
	if len(t.names) == 0 {
		return nil
	}
	marks := make([]fence.Mark, len(t.names))
	for i, name := range t.names {
		marks[i] = fences.TagMark(t.since, keyspace.HashTag(name))
	}
	return marks
}

// storable reports whether a value with these tags may be filled into Redis. Its
// stamps would mean nothing to others if the sequence they are of has been lost
// meanwhile, and while an invalidation of a tag is queued the value may be one
// that it is about.
//
// The marks before the question what is pending: see
// [invalidation.Backplane.Pending].
func (n *Node) storable(marks []fence.Mark) bool {
	for i := range marks {
		if !n.fences.Current(&marks[i]) || n.backplane.Pending(marks[i].Hash) {
			return false
		}
	}
	return true
}

// stamps are what Redis is to keep of the tags.
func (t *tagged) stamps(fences *fence.Table) []l2.Tag {
	if len(t.names) == 0 {
		return nil
	}
	tags := make([]l2.Tag, len(t.names))
	for i, name := range t.names {
		tags[i] = l2.Tag{Name: name, Stamp: fences.Includes(t.since, keyspace.HashTag(name))}
	}
	return tags
}

// tagsAcceptable is acceptable as far as the value's tags are concerned: nothing
// that voids them was heard since the load began and, if the flight began before
// its caller came, their leases say that it would have been.
func (r *region) tagsAcceptable(out *outcome, own bool) bool {
	fences := r.node.fences
	if own {
		return fences.TagsPass(out.tags)
	}
	return fences.ValidTags(out.tags, fences.Now())
}
