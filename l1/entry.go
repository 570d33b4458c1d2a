package l1

import "github.com/doppio-cache/doppio/internal/fence"

// entryOverhead is what an entry takes besides the bytes of its key and of its
// value: 192 for the [Entry], and its share of Ristretto's two maps, the store
// (57 bytes a slot) and the policy's costs (17 bytes a slot). How full a map is
// depends on its history, so the share lies between 130 bytes in a cache that
// has just been filled and 310 in one whose entries have been replaced many
// times; the allocator's rounding of the key is in it too. A test compares the
// heap with what is accounted.
const entryOverhead = 192 + 224

// tagBytes is what a tag takes on top.
const tagBytes = 32

// Entry is a value, or the knowledge that there is none, together with what is
// needed to judge it. It must not be modified after [Cache.Put], nor put twice.
//
// The fields that every hit reads come first, in one cache line. There is one
// time among them for everything that time brings: up to it a hit is no more than
// that.
type Entry struct {
	check uint64 // stands for Region and Key, see Region.check; set by Put
	Value any
	due   int64      // atomic: when something is to be done, see due.go; set by Put
	Mark  fence.Mark // Mark.Hash is the hash of region and key

	// Tags are marks of what else must not have been invalidated. Without any,
	// a hit reads no more of it than its length.
	Tags []fence.Mark

	Region     *Region
	Key        string
	Expires    int64    // end of its life on the fences' clock, in ns
	RefreshAt  int64    // from when on hits are due, see [Entry.IsDue]; 0: never
	StaleUntil int64    // until when it may be served stale, not before Expires; 0: never
	Cost       int64    // bytes of the value; those of the key and of keeping it are added by Put. Below 0 counts as 0.
	Token      [16]byte // fill token of the value in L2; zero if it has none
	Lapsed     bool     // put when its life was over, to be served stale: see [Entry.Supersedes]
	Negative   bool     // the origin has no such thing; Value says nothing
	Span       float32  // seconds from when the value was made to Expires, see [Entry.Made]; 0: not known
	Validator  string   // what the origin calls this version; empty if it has no name for it
}

// slot is what Ristretto's map holds. The value is beside the entry so that the
// processor can fetch what both point to at the same time: a hit that had to read
// the entry before it knew where the value is would wait for memory twice.
type slot struct {
	entry *Entry
	value any
}

// Supersedes reports whether e is to stay when both e and old were put under
// one hash: it is of another key, or its mark is of a later generation, or of
// the same one and not older.
//
// Two copies of one sequence are as old as each other, as far as that tells, and the
// one that comes later is to stay; not so if its life was over before it came. (An
// Expire of a node that is alone puts back what it has found, and a load that began
// after that was counted may have put its value there before.) Nor does such a copy
// stay for being of a later sequence if it is the older one. (Expire finds version 1;
// a load that began before puts version 2, which is served; Expire is counted, and puts
// version 1 back as of that.)
//
// Marks of two generations cannot be compared by their sequence: the later
// generation began because the sequence went back, and nothing of the earlier
// one can ever be valid again.
func (e *Entry) Supersedes(old *Entry) bool {
	switch {
	case e.Region != old.Region || e.Key != old.Key:
		// The hashes collide. An entry of another key must not keep this one
		// out for ever because its mark happens to be newer.
		return true
	case e.Mark.Epoch() != old.Mark.Epoch():
		return e.Mark.Epoch() > old.Mark.Epoch()
	case e.Mark.Detached() || old.Mark.Detached():
		// What was made without Redis knows its own age, and no sequence that
		// could be compared with one of Redis's.
		return e.Mark.T0 >= old.Mark.T0
	default:
		if e.Lapsed {
			return e.Mark.AsOf > old.Mark.AsOf && e.Mark.T0 >= old.Mark.T0
		}
		return e.Mark.AsOf >= old.Mark.AsOf
	}
}

// SpanOf makes a Span of the time between two moments, in ns. It is so short
// because it fits into what is left of the entry's last word; of an hour it loses
// a quarter of a millisecond.
func SpanOf(ns int64) float32 { return float32(float64(max(ns, 1)) / 1e9) }

// Made is when the value was made, on the fences' clock; false: that is not known.
func (e *Entry) Made() (at int64, known bool) {
	return e.Expires - int64(float64(e.Span)*1e9), e.Span != 0
}

// bytes is what the entry is accounted for.
func (e *Entry) bytes() int64 {
	return max(e.Cost, 0) + int64(len(e.Key)) + int64(len(e.Validator)) + int64(len(e.Tags))*tagBytes + entryOverhead
}
