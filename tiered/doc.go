// Package tiered is Doppio's API: a cache in two tiers for services that run
// as many instances.
//
// [Open] joins a process to the cache and gives a [Node]; [New] declares a
// [Region] on it, one for each kind of value. A read goes to memory (L1,
// Ristretto), then to Redis (L2), then to the caller's load function;
// concurrent misses of a key share one load, in the process and across
// instances. A write to the origin is followed by [Node.Delete], which counts
// and announces an invalidation in Redis.
//
// # Words
//
//   - tier: memory (L1) or Redis (L2); the origin is what loads read.
//   - hit, miss: a tier has the value, or not. A negative entry is a hit that says
//     that the origin has no such thing.
//   - partition: keys are spread over so many sequences of numbers in Redis, and an
//     invalidation takes the next number of its key's partition.
//   - lease: of a key, the permission to load it and to store what was loaded; of a
//     partition, the time up to which an instance has heard of everything.
//   - stale: past its life, and only that; what was invalidated is gone.
//   - layout: what instances must agree about, the prefix and the partitions.
//
// # Guarantees
//
// D is Options.MaxStaleness.
//
//   - G1a: After Delete(k) returned nil on an instance, no read that begins
//     later on that instance returns an older value.
//   - G1b: On any other instance none that begins more than D later does,
//     whatever was lost.
//   - G2: A load that began before the Delete never populates L2, and is never
//     served from L1 on the deleting instance after it, nor on another after D.
//   - G3: Between reads answered by the tiers, without BypassL1, ForceLoad or
//     eviction by Redis, the value of a key never goes back on one instance.
//     (What is loaded during an outage of Redis is not answered by the tiers.)
//   - G4: There is at most one lease-holding load per key in all instances
//     while its lease lives.
//   - G5: Losing pub/sub altogether costs latency and hit ratio, never
//     correctness.
//
// They assume one primary per partition that does not lose acknowledged
// writes; that Redis does not evict keys without a TTL (noeviction or a
// volatile policy); that Delete follows the origin's commit and loads read
// committed state; and a monotonic clock (a suspended machine adds its sleep
// to D).
//
// # What it does not do
//
// It does not write to the origin, does not order concurrent Sets of a key,
// and is no store: everything in it may vanish at any time.
//
// # Lifecycle
//
// A node has goroutines and a subscription from Open to [Node.Shutdown] (which
// waits for loads and queued invalidations) or [Node.Close]. Regions live as
// long as their node. The Redis client is the caller's, before and after.
package tiered
