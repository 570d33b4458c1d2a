// Package oracle judges reads by what it knows of the commits.
//
// It is told of every commit by whoever makes them, and by the instances of
// every read, Delete and load, all in times of one clock. From that it says how
// stale a read was: the time from the moment at which the first Delete that
// followed a missing version returned nil to the moment at which the read
// began. It counts as violations, of either system:
//
//   - [OwnDelete] (G1a): on the instance that deleted, staleness above 0. A
//     Delete of Doppio's that returned a PendingError counts like one that
//     returned nil here, as it promises the same on its own instance.
//   - [Bounded] (G1b): on any instance, staleness above the bound.
//   - [Monotonic] (G3): a read from the tiers that returned an older version
//     than a read from the tiers of the same instance that had ended before it
//     began.
//   - [OneLoad] (G4): two loads of a key under a lease at once, with nothing
//     between them that ends a lease.
//
// G2 (a load from before a Delete does not survive it) is judged by the first
// two: a value that survives is read, at the latest when every key is read at
// the end of a run.
//
// What the guarantees except is excused and counted apart: see [Phase]. Where
// a record leaves a doubt about the order of two events, the oracle decides for
// the innocence of the system; instances note the beginning of a read before
// it, and the end of a Delete after it.
//
// A [Judge] is safe for concurrent use and has no goroutines.
package oracle
