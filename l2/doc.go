// Package l2 is the shared tier of the cache: values, leases and invalidations
// in Redis. It speaks bytes.
//
// A [Store] reads values ([Store.Get]), gives the permission to load one
// ([Store.GetOrLease]), stores what was loaded under that permission
// ([Store.Fill]), and invalidates ([Store.Invalidate], [Store.InvalidateAll],
// [Store.InvalidatePartition], [Store.Begin]). Each answer carries the sequence
// of the partition at that moment, by which the tier above tells what is newer.
//
// # What it guarantees
//
//   - A value that was loaded before an invalidation is never stored after it.
//     An invalidation takes the lease away, and a fill needs exactly the lease
//     under which the load began: its token and the sequence at its grant. That
//     a lease is missing is never permission.
//   - While a lease lives nobody else is granted it. It is renewed as long as its
//     holder lives and has not given it up.
//   - Every command may be carried out twice, or long after its caller has given
//     up, without harm: see the head of each script in the folder lua. A client
//     that repeats, or a network that delays, is no danger.
//   - A call returns no later than [Options].Timeout, whatever the client's
//     settings are, and returns when its context ends (see "Direct commands" for
//     the one exception, which is short). While Redis is known to be down it does
//     not wait at all. Close ends all calls.
//   - Every error for which there is no usable answer matches [ErrUnavailable]. A
//     call that invalidates or fills and returns an error may have been carried
//     out, or may still be.
//   - A value that cannot be read, because something else wrote it, it was cut
//     off or changed, or a newer version wrote it, is a miss, and a fill
//     overwrites it. It is counted, and logged once per reason.
//   - Redis is read only where it takes writes: see "Replicas".
//
// # What it does not
//
// It does not know what a payload means, compare schemas, or look at the end of
// a life: Redis drops a value when life and keep are over, and before that the
// caller decides. It subscribes to nothing; what it announces others hear.
// Invalidations that fail are the caller's to repeat. Among calls of one caller
// there is no order unless the caller waits for each.
//
// # Lifecycle
//
// [New] does no I/O. The store has four goroutines until [Store.Close]: one lets
// calls expire, one renews and releases leases, one tries servers that are down,
// one tells about that. Round trips run in goroutines of their own, few at a
// time. The client belongs to the user and is never closed. Everything is safe
// for concurrent use.
//
// # Round trips
//
// A caller never waits for the client: go-redis honours no cancellation, and no
// deadline by default. Commands go on lanes, three for each server: one for
// reads, one for leases and fills, one for invalidations, so that nothing waits
// behind what is less urgent. A lane sends a command at once while it has fewer
// round trips under way than its width, and otherwise with all others that wait
// then. Reads that wait become one MGET, other commands a pipeline. A round trip
// without an answer in time is set aside; the lane goes on beside it.
//
// Where a Cluster is used, each partition has lanes of its own, and a breaker of
// its own, so that a master that is down does not hold up or switch off the
// others. (Who serves a partition only the client knows, and it may change.)
//
// What is left behind in the client's hands is bounded in number. With a
// *redis.Client it ends by itself soon, because the store uses it with socket
// timeouts of its own. A Cluster client cannot be used that way: give it a
// ReadTimeout, which it has unless it is switched off.
//
// # Direct commands
//
// For a lone caller a goroutine's help costs more than all the rest: on the
// machine below it made a read of 11 µs one of 26 µs. So as long as Redis has
// answered within a millisecond on average, and nothing else is under way, a
// command is sent on its caller's own goroutine, with a limit of 20 ms on the
// socket and no repetition. If that fails it goes on the lane. A context that
// ends meanwhile is therefore noticed up to 20 ms late, once: after that all goes
// on lanes until some fifty round trips have been quick.
//
// # Measurements
//
// Two cores, Redis 7.0 on the same machine, values of 256 bytes, medians of turns
// taken in the same run:
//
//	go test -run '^$' -bench Get -benchtime 200000x ./l2
//
// # BENCHTABLE
//
// What was tried, at 128 callers, in CPU time of client and server per read
// (which, unlike the time that passes, does not depend on what else the machine
// does):
//
//	plain GET, each caller for itself                 5.7 + 2.6 µs
//	plain MGET of three keys                          6.2 + 2.9 µs
//	MGET through go-redis's AsyncAutoPipeline         3.0 + 0.8 µs
//	MGET, pipelined by the lanes                      2.2 + 0.8 µs
//	one MGET for all that wait, on the lanes          1.3 + 0.4 µs   chosen
//
// Auto-pipelining therefore is not used. Besides being slower (with 16 callers
// 4.7 µs of the client's time against 2.7), it makes a lone caller wait twice as
// long, and its batches follow each other: one on a connection that has gone
// silent holds up all behind it for as long as the client's timeouts and retries
// last. A width of 2 for reads was best from 8 callers on; with 1 a lane is idle
// while it hands out answers, with more its batches get small.
//
// # Replicas
//
// An invalidation is confirmed by the primary, so that a value read from a
// replica, or from a primary that was cut off and replaced, may be older than it.
// [CheckClient] refuses clients that show that they may read there. A Sentinel
// client made with ReplicaOnly does not show it. Therefore a server is not read
// from before it has taken a write, and no more once it has refused one, until
// it takes one again. (A Redis whose memory is full refuses leases and fills, but
// is read from and invalidated: it is asked in an order in which it does not
// refuse that.)
package l2
