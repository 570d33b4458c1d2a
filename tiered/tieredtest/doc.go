// Package tieredtest is what the unit tests of a service that uses package tiered
// need.
//
//   - [Open] opens a node that needs no Redis and is closed when the test ends.
//   - [New] makes a cache that records the calls made to it and can be broken and
//     mended, for code that depends on [tiered.Cache].
//   - [Guard] fails a test which modifies a value that it got from a cache: without
//     Config.Clone, values are shared by all who read them.
//   - [Conformance] is a suite for those who implement [tiered.Cache] themselves.
//
// It guarantees nothing about timing and shares nothing between tests. What it
// makes lives as long as the test, or benchmark, that it was made for.
package tieredtest
