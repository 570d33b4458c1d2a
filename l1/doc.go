// Package l1 is the tier in process memory: decoded values in one Ristretto
// cache that all regions share, each judged by the fences at the moment it is
// read.
//
// It is a part of package tiered and not for use by itself: its constructor takes
// an internal type, and it may change in any release.
//
// # Guarantees
//
//   - [Cache.Get] returns an entry only if it was put under that region and key
//     (by two hashes of 64 bits, one of them secret), and if
//     [fence.Table.Valid] holds for its mark when Get is called.
//     Nothing that Ristretto does or delays can make a void entry come back:
//     an invalidation raises a fence, and takes nothing out of the cache.
//   - An entry never takes the place of a newer one of its key, in whichever
//     order they are put and processed: see [Entry.Supersedes].
//   - The memory that entries take, with what it costs to keep them, is at most
//     [Options].MaxBytes and a sixteenth of it, besides puts that are still
//     queued (at most 30,000, as a rule a few). How the cost of an entry is
//     reckoned is said at [Entry].Cost.
//   - [Cache.Put] never blocks, and [Cache.Close] may be called at any time, by
//     several goroutines, while others use the cache.
//
// # What it does not do
//
// It does not promise to keep
// anything: the admission policy (TinyLFU: Einziger, Friedman and Manes,
// "TinyLFU: A Highly Efficient Cache Admission Policy", ACM ToS 2017) refuses
// what is asked for less often than what it would displace.
//
// An entry that is void or past its life keeps its memory until it is
// overwritten or evicted. That is meant. Where its key is asked for again, the
// next load overwrites it in place, without a new decision about admission, so
// popular keys do not lose their room to a flood of invalidations; where it is
// not, its frequency fades and it is evicted like any entry that nobody reads.
// Taking it out at once would need Ristretto's Del, which blocks while the
// queue is full.
//
// # Lifecycle
//
// A [Cache] owns the two goroutines that Ristretto starts in [New]; Close ends
// them and drops all entries. A [Region] is a name with counters. It lives as
// long as its cache and needs no closing.
package l1
