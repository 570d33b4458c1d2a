// Package l2 is the shared tier of the cache: values, leases and invalidations
// in Redis. It speaks bytes.
//
// It is a part of package tiered and not for use by itself: its constructor takes
// an internal type, and it may change in any release.
//
// A [Store] reads values ([Store.Get]), gives the permission to load one
// ([Store.GetOrLease]), stores what was loaded under that permission
// ([Store.Fill]), and invalidates ([Store.Invalidate], [Store.InvalidateAll],
// [Store.InvalidatePartition], [Store.Begin]). Each answer carries the sequence
// of the partition at that moment, by which the tier above tells what is newer.
// [Store.GetMany], [Store.GetOrLeaseMany], [Store.FillMany] and [Store.BeginMany]
// do the same for many keys at once.
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
// [New] does no I/O. The store has five goroutines until [Store.Close]: one lets
// calls expire, one renews and releases leases, one lets values stay that are
// read, one tries servers that are down, one tells about that. Round trips run in goroutines of their own, few at a
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
// Calls of many keys have lanes of their own, two for each server: such a call is
// one pipeline to each master, whatever the number of keys, as long as the values
// are less than 16 MiB together; what is beyond goes in further ones. On a Cluster the
// client is asked which master a partition is on (MasterForKey); one that cannot
// say gets a round trip for each partition. A master that is silent holds up its
// own keys, and the call that asked for them, but no other call. A pipeline that
// fails, or has no answer, counts as one failure to each partition in it.
//
// What is left behind in the client's hands is bounded in number. With a
// *redis.Client it ends by itself soon, because the store uses it with socket
// timeouts of its own. A Cluster client cannot be used that way: give it a
// ReadTimeout, which it has unless it is switched off.
//
// # Direct commands
//
// For a lone caller the help of another goroutine costs more than all the rest:
// see "goroutine" below. So as long as Redis has answered within a millisecond
// on average, and nothing else is under way on the lane, a command is sent on its
// caller's own goroutine, with a limit of 20 ms on the socket (an eighth of the
// Timeout, if that is less) and no repetition. If that fails it goes on the lane,
// and so does all that follows until some fifty round trips have been quick. A
// context that ends meanwhile is noticed with that delay; one whose deadline is
// near has its commands on lanes.
//
// # Measurements
//
// Time per read in µs, over all callers; values of 256 bytes, Redis 7.0.15 on the
// same machine of two cores, which had other work to do; medians of turns taken
// in one run:
//
//	go test -run '^$' -bench Get -benchtime 150000x ./l2
//
//	callers                                    1     2     4     8    16    32   128
//	plain: go-redis GET                      9.4  10.5   8.7   7.6   6.9   7.7   8.2
//	l2: Store.Get                           10.4  11.1   7.4   4.7   3.0   2.5   1.8
//	mget: go-redis MGET of the same keys    10.1  10.9   8.9   8.2   7.2   8.4   9.9
//	goroutine: the same in one per call     23.3  13.2  10.7  10.3   9.6   9.8  11.5
//	autopipeline: AsyncAutoPipeline         30.8  18.6  22.0  13.9   6.3   7.6   4.0
//
// So a lone caller pays 1.10 times a GET, most of it because an MGET of three
// keys is what it asks for, and 128 callers together are 4.6 times as fast. CPU
// time, which depends less on what else the machine does, of client and server
// at 128 callers: plain 5.2 + 2.5 µs, auto-pipelined 2.3 + 0.8, a pipeline of
// MGETs on the lanes 1.5 + 0.8, and one MGET for all that wait, as it is now,
// 1.3 + 0.5, decoding included.
//
// Auto-pipelining is therefore not used. Apart from being slower, most of all for
// few callers, its batches follow each other: one on a connection that has gone
// silent holds up all behind it until the client's timeouts and retries are
// through. A width of 2 for reads was best from 8 callers on: with 1 a lane is
// idle while it hands out answers, with more its batches get small.
//
// # Replicas
//
// An invalidation is confirmed by the primary, so that a value read from a
// replica, or from a primary that was cut off and replaced, may be older than it.
// [CheckClient] refuses clients that show that they may read there. A Sentinel
// client made with ReplicaOnly does not show it. Therefore a server is not read
// from before it has taken a write, and no more once it has refused one, until
// it takes one again. Reads alone would not show it: the tier above, which writes
// now and then in any case, tells by [Store.WriteFailed]. (A Redis whose memory is full refuses leases and fills, but
// is read from and invalidated: it is asked in an order in which it does not
// refuse that.)
package l2
