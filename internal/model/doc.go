// Package model explores the coherence protocol of the cache exhaustively: it
// enumerates every order in which the steps of a few instances, of Redis and of
// the network between them can happen, and checks in every state that no
// guarantee is broken. It is an explicit-state model checker and the model that
// it checks, in one.
//
// The model is written from the code, not shared with it: a step here is what
// happens there between two points at which another goroutine or process can
// come in. What it says about the code holds as far as the two agree; that they
// do is for reviews and for the simulation with the real code to show.
//
// # What is modelled
//
// One partition with one key (and, for gaps, invalidations of another key). Up
// to three instances, each with a prober, a subscriber, a retry queue, a writer
// and two readers, which read without end. Redis with the scripts of package l2
// and of the probe, a replica, and an old primary that is isolated.
//
//   - Messages may be lost, delayed, reordered and repeated without limit.
//   - Requests and replies take any time; a request may be given up and run
//     later, or run twice.
//   - Time is discrete, and never stands in the way: every step may take any
//     number of ticks. The bound on staleness is one or two of them.
//   - Leases of the key may end at any time; the value, the sequence and all of
//     Redis may be lost; a failover may lose acknowledged writes.
//   - Instances may stop, or be left behind with an old primary that refuses
//     writes and answers reads, altogether or with some of their connections.
//   - Probes may take for ever, which is as if they failed.
//
// A [Scenario] says which of these happen, and how often where there must be a
// limit. Several small ones see more than a large one in the same time.
//
// # What is checked
//
// The guarantees, as [Property] lists them. A counterexample is a shortest
// sequence of steps, see [Trace].
//
// # Rules
//
// Everything in the protocol that is there for a reason is a [Rule], and can be
// left out by name. [Mutants] says, for each, in which scenario its absence
// breaks which guarantee: a model in which a rule can be left out unnoticed
// would prove nothing about it. [AsBuilt] are those that the code follows; where it
// does not, [Holes] says what breaks, and the assumptions of the guarantees exclude
// it.
//
// # What is not modelled
//
// Several partitions or keys at once (they share nothing but the clock), lives
// of values other than the grace after a failover, negative entries and other
// encodings (they are values like any other), shutting down (no coherence
// depends on it), memory models (every atomic load and store is one step), and
// renewal of key leases (a lease may end at any time here anyway).
//
// The functions of the search are left out of the race detector's sight
// (go:norace): there is one goroutine, and a state is copied some million times.
//
// Tags, clearing of a region and writes under a tombstone are not modelled yet.
// Each is more of the same: fields of [State], steps of a process in a file of
// its own that generator.successors calls, rules, and a scenario.
package model
