// Package fence is what one instance knows about how fresh its copies are.
//
// Every invalidation of a partition takes the next number of a sequence that
// is kept in Redis. A [Table] remembers, for each partition, the numbers heard
// so far (stripes by hash of the key, and a floor under everything), and until
// when the instance is known to have heard them all (the lease). A copy
// carries a [Mark]: the number that was current when it was read. [Table.Valid]
// compares the two, and is the only thing that decides whether a copy may be
// served.
//
// # Guarantees
//
// Valid is false for every copy that is older than an invalidation that this
// instance has heard of, and for every copy whose freshness has not been
// confirmed for longer than the bound, whatever was lost on the way. It may be
// false for a copy that is still good (stripes are shared by keys): that costs
// a miss, never a stale read.
//
// It does not guarantee that a copy is within its life; time to live is the
// caller's business. It never compares sequences of two partitions, nor clocks
// of two machines.
//
// # Concurrency
//
// Everything is safe for concurrent use. Readers (Valid, Stamp, Passes) take
// no lock; writers lock one partition. The order of the loads in Valid and of
// the stores in the writers is part of the proof; each has a comment with the
// interleaving that it prevents.
//
// A Table has no goroutines and needs no closing.
package fence
