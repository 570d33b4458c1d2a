// Package baseline is what Doppio is compared with: the two-tier cache that a
// good engineer writes in an afternoon.
//
// It is cache-aside as in the textbooks, from good parts: Ristretto with a TTL
// in the process, GET, SET and DEL in Redis, singleflight against stampedes, a
// PUBLISH per invalidation, and a subscriber that drops what it is told to
// drop. It remembers what does not exist, detaches loads from the first
// caller's cancellation, limits its calls to Redis, and answers without Redis
// when it must.
//
// It is not made worse than it would be in a real service. What it lacks is
// what the afternoon does not suffice for:
//
//   - A message that is lost is lost: the old value stays in memory for its
//     whole life. Nothing notices.
//   - A DEL that fails is logged. Nobody repeats it.
//   - A load that read the database before a commit may SET its value after the
//     DEL, in Redis and for everybody.
//   - Singleflight ends at the process: each instance loads for itself.
package baseline
