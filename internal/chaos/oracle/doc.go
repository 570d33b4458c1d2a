// Package oracle judges reads by what it knows of the commits.
//
// It is told of every commit by whoever makes them, and by the instances of
// every read, Delete and load, all in times of one clock. From that it says how
// stale a read was: the time from the moment at which the first invalidation that
// followed a missing version returned nil to the moment at which the read
// began. It counts as violations, of either system:
//
//   - [OwnDelete] (G1a): on the instance that invalidated, staleness above 0. An
//     invalidation of Doppio's that returned a PendingError counts like one that
//     returned nil here, as it promises the same on its own instance.
//   - [Bounded] (G1b): on any instance, staleness above the bound.
//   - [Monotonic] (G3): a read from the tiers that returned an older version
//     than a read from the tiers of the same instance that had ended before it
//     began.
//   - [OneLoad] (G4): two loads of a key under a lease at once, with nothing
//     between them that ends a lease. That a load is under one is what Doppio
//     tells its observer; a batch is if all of its keys are.
//   - [Life]: of Doppio's, a value that was loaded longer ago than its life and
//     StaleFor allow.
//
// Every invalidation is judged like a Delete: of several keys, by tag, by Clear,
// by Set and by Mutate. Two are different. An Expire ends lives, so that it binds
// those reads only of which it is known that their value is not a stale one; and
// the commit of a Mutate whose process was killed before the invalidation binds
// everybody from the end of its tombstone on, unless Redis may have lost that.
// Loads while there may be a tombstone are not judged by G4: they have no lease.
//
// G2 (a load from before a Delete does not survive it) is judged by the first
// two: a value that survives is read, at the latest when every key is read at
// the end of a run.
//
// What the guarantees except is excused and counted apart: see [Phase]. Where
// a record leaves a doubt about the order of two events, the oracle decides for
// the innocence of the system; instances note the beginning of a read before
// it, and the end of an invalidation after it.
//
// A [Judge] is safe for concurrent use and has no goroutines.
package oracle
