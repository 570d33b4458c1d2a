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
// One partition with one key (and, for gaps, invalidations of another key), and
// one more with a tag of that key's value. Up to three instances, each with a prober, a subscriber, a retry queue, a writer
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
//   - The tag's partition is on another master: it loses its sequence, the tag's
//     number or everything by itself, and has probes and messages of its own.
//     Where the model is about the tag, the key's partition may be taken for one
//     that is always confirmed, whatever was heard ([Scenario].Vouched): then it is
//     the tag alone that must tell.
//   - A region may be cleared.
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
// Several keys at once, see below; several tags of a value (each has a mark and a
// stamp of its own, and all must pass); stripes that tags or keys share (a stripe
// that is raised or voided for another one voids more); a tag in the key's own
// partition (then what is lost takes the value with it); an old primary of the tag's
// partition (to ask it for a tag is a write, which it refuses), and the replay of
// invalidations of tags after a failover; a queue that overflows, whose invalidation of all tags of
// a partition is like one of each; a clearing that is lost other than with all data,
// which the assumptions exclude; lives
// of values other than the grace after a failover, negative entries and other
// encodings (they are values like any other), shutting down (no coherence
// depends on it), memory models (every atomic load and store is one step), and
// renewal of key leases (a lease may end at any time here anyway).
//
// The functions of the search are left out of the race detector's sight
// (go:norace): there is one goroutine, and a state is copied some million times.
//
// Writes under a tombstone are not modelled yet. They are more of the same: fields
// of [State], steps of a process in a file of its own that generator.successors
// calls, rules, and a scenario.
//
// # Batches
//
// A batch of keys has a flight for each: with its own stamp, taken before the
// question whether an invalidation of that key is pending; its own key lease, whose
// token and sequence its own fill needs; its own place in the airspace; and each is
// accepted, or begun again, by itself. What they share is the moment of a step. Here
// every step of a flight may be at any time after the one before it, so that steps at
// the same time are among what is explored already:
//
//   - one load begins after all grants that it is for: for each key, some time after
//     its own;
//   - a lease that somebody else holds delays that key's flight, and no other;
//   - an invalidation of one key while the load is under way takes that key's lease,
//     and raises that key's stripe: its fill is refused, and the others' are not
//     concerned, as none of their steps looks at it;
//   - one snapshot is for the tags of all values: it is not changed by those, and
//     comes before the load, as for one key;
//   - batches look into Redis although another flight of the key is in the air, which
//     here readers do as well as to wait for it.
//
// What does differ is the order in which the tag of a value is judged. For one key it is
// mark, question whether an invalidation is pending, question to Redis; for a
// batch the answer of Redis, for all tags, comes first ([Scenario].Batch).
package model
