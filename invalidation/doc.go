// Package invalidation announces invalidations, hears those of other
// instances, and makes certain that it has heard them.
//
// It is a part of package tiered and not for use by itself: its constructor takes
// internal types, and it may change in any release.
//
// Every invalidation is counted in Redis: the script that removes a value
// takes the next number of the partition's sequence and publishes it with the
// hashes of the keys concerned, as one [Message]. A [Backplane] feeds the
// numbers that arrive into the instance's fences (package internal/fence),
// which decide what copies may be served. Four parts do that:
//
//   - The subscriber applies messages as they arrive. It makes invalidation
//     fast, and nothing depends on it: messages may be lost, doubled, reordered
//     or unreadable.
//   - The prober reads every partition's sequence, four times within the
//     bound on staleness. Where numbers are missing it voids the partition's
//     copies. Only then does it renew the partition's lease, without which
//     copies are valid for the bound at most. This is what makes
//     invalidation certain.
//   - The queue keeps invalidations whose outcome is unknown, and sends them
//     again until Redis has confirmed them. Until then [Backplane.Pending]
//     warns that Redis may still hold what they were to remove.
//   - The log of acknowledged invalidations serves to send them again to a
//     primary that has taken over and may not know them.
//
// # Guarantees
//
// A lease is granted only for a moment up to which everything is known, by a
// Redis that accepts writes, under a layout that all living instances share.
// Losing pub/sub altogether costs time, never certainty: no part of a lease
// rests on the subscription. No call waits for Redis longer than
// [Options].Timeout, whatever the client's settings are, and those that do not
// say that they wait do not wait for it at all.
//
// An invalidation given to [Backplane.Enqueue] is not forgotten before
// [Backplane.Close]: what the queue cannot hold is widened to the whole
// partition.
//
// # What it does not do
//
// It does not carry out invalidations (that is the [Invalidator]'s business),
// hold values, or decide about a single read. It cannot know of invalidations
// that a primary acknowledged and then lost in a failover, other than this
// instance's own; see [Backplane.Epoch] for what can be done about the others.
// It assumes that the user of Redis may run INFO: otherwise a change of the
// primary goes unnoticed.
//
// # Lifecycle
//
// [Start] starts the goroutines and never waits for Redis. [Backplane.Ready]
// waits for the first confirmation of all partitions. [Backplane.Drain] waits
// until the queue is empty; [Backplane.Close] then ends everything, at once.
package invalidation
