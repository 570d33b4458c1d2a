// Package histogram counts durations in buckets, for statistics.
//
// A [Histogram] may be observed from any number of goroutines without a lock
// and without allocation. A [Snapshot] is a plain value: it shares nothing with
// the histogram it was taken from.
//
// The buckets are the same in every histogram, so that two snapshots can be
// compared or added bucket by bucket: four to each doubling, from 10 µs to just
// over a minute. A quantile is therefore known to within an eighth of itself,
// inside that range. A snapshot taken while others observe may miss what is
// being observed just then, and its Sum and Count may differ by those.
//
// A Histogram has no goroutines and needs no closing.
package histogram
