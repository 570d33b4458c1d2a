// Package sim runs a fleet of nodes of package tiered, the real code with all
// that is below it, in a simulated world, and checks every answer that they give.
// All of it is tests; nothing imports it.
//
// # The world
//
// A world is a testing/synctest bubble: its clock stands still while anybody
// works, so that minutes cost milliseconds. In it are a miniredis as the server, a
// network of connections in memory between it and three nodes, an origin whose
// values have versions, and clients on every node that read, write and delete a
// few keys of two regions in two partitions. The network sees every command, reply and message
// as a frame. By a schedule it drops messages, repeats them, delays frames, so
// that those of different connections overtake each other, splits them, cuts
// connections, lets one direction fall silent without closing anything, stalls
// all connections of a node, executes a command and loses its reply, or
// executes a command long after its sender has given up. The schedule also
// crashes nodes, sets the server's clock, empties the server, and evicts keys and
// tags.
//
// An oracle knows every commit, every call and its end, the begin of every load
// and every script that the server has executed, and asserts the guarantees of
// the README on each read. Where an assumption excuses an answer, a comment at
// the check says which one.
//
// # Features
//
// Of four regions three have more than two tiers, which the seed decides: tags, a
// sliding life, values that are served stale, a soft timeout, loads ahead of time,
// remembered errors, an origin that lags behind, loads that ask the origin whether
// what there was is unchanged. Their clients also read, set and
// delete several keys by one call, gather loads, force and refresh them, invalidate
// tags, clear, expire and mutate; some nodes crash in the middle of that. The
// oracle asserts of them, besides the guarantees for each key however it was read:
//
//   - A tag's invalidation, and a Clear, is one of each value concerned: of those
//     whose load, or Set, began before, with the bounds of a Delete.
//   - A stale value is one of a region with StaleFor, within life and StaleFor,
//     and never older than what this node has answered before. What an Expire has
//     ended is answered as stale only. What is known to be absent is never stale.
//   - No value is answered past its life, nor one that slides and that nobody has
//     read for one and a half times SlidingTTL. (Not where the server's clock was
//     set: then nobody knows.)
//   - Where there is a tombstone, no lease is given out and nothing is stored; and
//     when it has ended nothing is answered that was loaded before the commit of
//     its Mutate, even if the node died right after that.
//   - Where the origin lags behind, an old version is answered for OriginLag and
//     the bound at most, unless a load under way brings it, and is never stored.
//   - What a load is given to ask about came with that validator, would get the same
//     tags, and was not invalidated: not by a call on its node, nor on any more than
//     the bound ago. What is unchanged is the value that it was, begun when it was
//     loaded, so that all the guarantees go on to hold for it; only its life begins
//     anew when the origin was asked. What Redis renews is that value, and nothing
//     has happened to it since the lease was granted.
//   - An error is that of a load on this node, not older than ErrorTTLFor, and not from
//     before the key was invalidated there.
//
// Where loads ask, the origin has strong validators or weak ones. Those are the same
// for an even version and the next, so that it says "unchanged" of a version from
// before the last one. The guarantees are asserted all the same, but for two things:
// what such an origin was asked about since an Expire may be older than what there
// was at that time, and a value that it let be renewed may be served stale after
// a newer one that no tier has taken. (That G3 ends where Redis does holds for all
// values.) A forced load that asks has the bound of a read from L1, because without
// Redis it asks about that copy.
//
// # Seeds
//
// What the schedule does, and what the clients want, is decided by a seed before
// or while the world runs: the same seed makes the same decisions. The Go
// runtime does not let a test decide in which order goroutines run that can run
// at the same time, and the library draws its jitter from a generator that
// cannot be seeded, so that two runs of a seed resemble each other and are not
// equal. What can be done is done: no two frames arrive at the same instant
// unless a scenario asks for it, and the bubble's clock only moves when all has
// come to rest, so that most steps are alone in their instant.
//
//	go test -race ./internal/sim              the default seeds, the scenarios, the sabotage
//	make sim SEEDS=5000 FIRST=1               more seeds
//	go test -race ./internal/sim -run 'TestSeeds' -first 17 -seeds 1
//
// The last line is what a failing seed prints, with a trace of what happened.
//
// # Interleavings
//
// The files interleavings*_test.go list interleavings that
// have, or would have, broken a cache of this kind, and how each is recognised in
// what the network and the oracle have recorded. That each has happened is itself a
// test. Where seeds do not reach one, a scenario holds frames back until it has
// happened.
//
// # What it does not do
//
// A node's goroutines cannot be stopped in the middle, so a "pause" stalls its
// connections while its clients go on; a process that is stopped altogether is a
// matter of tests with real processes. Steps within one lock of the library are
// not interleaved; package fence has tests for those. What a key is known to be
// absent by is not told, so that such an answer is right if any load will do. No
// region lives in L1 alone, and no value is too large for it. There is one server,
// without replicas. Seeds have no failovers; in one scenario the server says that it is
// another one, and has lost an invalidation.
// Connections are made, and shaken hands on, at once: go-redis holds a lock
// meanwhile, and a bubble's clock does not move while somebody waits for a lock.
package sim
