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
//   - A region may be cleared, and so may another one, which concerns the tag's
//     partition; the retry queue may have no room for the tag, so that the whole
//     partition is sent in its place.
//   - Writers may write under a tombstone, and die at every step of that; several
//     may meet. A tombstone may end at any time after the writes that it protects
//     must have ended, and be lost at any time, alone or with all data, or by a failover
//     to a replica that has not got it, or not its end.
//   - Lives may end at any time, by themselves or by an Expire, while the value is
//     kept; loads may fail, and callers tire of waiting for them, at any time, and
//     are then given what is past its life, if that may be served.
//   - Values may be refreshed ahead of time, by a load that nobody waits for.
//   - Loads may ask the origin whether what there was is unchanged, about what Redis
//     keeps beyond its life, and, where Redis cannot be asked or has what another
//     version of the service has stored, about the copy in L1. The origin's validators
//     are strong, or weak: two versions, one after the other, have the same
//     ([Scenario].Weak). Weak ones put the guarantees to the test; after an Expire
//     they are allowed to bring back what was expired, so that what an Expire promises
//     is looked at with strong ones.
//   - Such loads may be forced, or past L1, or ahead of time, about what a reader has
//     read in Redis or about the copy in L1; what they ask about may have a tag, or may
//     be served past its life.
//   - Loads may read an origin that lags behind: any version since one that all
//     of them see, which catches up at any time, but before a tombstone ends that
//     is there because of it.
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
// does not, [Holes] says what breaks, and which rules would mend it. Where the
// assumptions of the guarantees exclude a hole, it says so.
//
// # What is not modelled
//
// Several keys at once, see below; several tags of a value (each has a mark and a
// stamp of its own, and all must pass); stripes that tags or keys share (a stripe
// that is raised or voided for another one voids more); a tag in the key's own
// partition (then what is lost takes the value with it); an old primary of the tag's
// partition (to ask it for a tag is a write, which it refuses), and the replay of
// invalidations of tags after a failover; a clearing that is lost other than with
// all data, which the assumptions exclude; tags together with values past their lives
// that a caller has read in Redis (those here have no tag; copies in L1 have), and
// clearing together with those or with tombstones; how long lives are (they end at any
// time), negative entries and other encodings (they are values like any other), shutting
// down (no coherence depends on it), memory models (every atomic load and store is one
// step), and renewal of key leases (a lease may end at any time here anyway).
//
// The functions of the search are left out of the race detector's sight
// (go:norace): there is one goroutine, and a state is copied some million times.
//
// Of a Mutate, a write that has no effect is not modelled (what follows invalidates
// once more than needed). Where the origin lags behind, nothing is promised of an
// invalidation whose tombstone Redis has lost, until it was sent again. That it is not
// after a FLUSHALL, which leaves the run id, is not modelled, nor that only what was
// confirmed lately is. (That a probe finds another primary, sends again and starts over
// is one step here; in the code the generation changes first.) When an instance that had
// to load without Redis reads a lagging origin, its own invalidations bind it only after
// the bound, as they do everybody else. Who joins a flight whose load no tier has taken looks here at the
// flight's age when it lands, and in the code at what it was on arrival: so the code
// takes some that are refused here.
//
// Of values past their lives, what limits how often a key is loaded is not modelled:
// here a caller may be given a stale value, or load, at any time. Nor is it that a
// caller who joins a flight may have read a stale value of its own before, that L1 refuses
// such a value instead of evicting it, nor an
// Expire on a node without Redis. A refresh is begun here by a value in Redis; one
// that is begun by a copy in L1 has seen it there earlier.
//
// Of loads that ask, an origin that lags behind and regions without L2 are not modelled.
// A load ahead of time that begins with what was read in Redis has read it in the step in
// which it begins; the time until it does something comes after that. Its tag is one of
// which the instance knows by itself. A forced load whose value Redis has not taken is
// followed by an invalidation in the code, which here it is not: that only ends more.
// That a copy was outlived (see OutlivedIsNotAsked) is noted here with the copy, and in
// the code in a time for all keys of a stripe: there it concerns copies that are older
// than that and come later, too. Every value here has a validator; those that have none
// are never asked about. One flight that was forced, or is past L1, is joined by nobody;
// in the code one that has come before it began is.
//
// Sliding lives are not modelled. A touch changes one thing in Redis, the time at
// which it drops the value, and that only where the value has the fill token of the
// one that was read; it neither reads nor changes the sequence, the value, its header
// or a lease. So all that a touch can do, twice, late or never, is to let a value be
// dropped at another time; and here a value may be dropped, and a life may end, at any
// time or never. (That a touch prolongs no other value's stay, and none beyond the
// absolute limit, bounds how long a value is kept. No guarantee depends on that.) An
// instance that notes a read of its own copy moves the end of the copy's life in the
// same sense.
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
