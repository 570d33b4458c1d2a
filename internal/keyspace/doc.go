// Package keyspace names everything that Doppio keeps in Redis.
//
// A cache is cut into partitions by the hash of region and key. All Redis keys
// of one partition carry the same Cluster hash tag, so that a script may touch
// a value, its lease and the partition's sequence at once, on any topology.
//
// The package guarantees that two instances with the same prefix and partition
// count compute the same names and hashes, whatever their version of Doppio,
// as long as they agree on [Version]. It holds no state and does no I/O.
package keyspace
