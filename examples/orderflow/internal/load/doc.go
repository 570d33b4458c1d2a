// Package load drives fleets with the same seeded load over HTTP, breaks their
// network to Redis at the same moments, and measures.
//
// All fleets are driven at the same time, each by clients of its own: client n
// of one fleet makes the same requests in the same order as client n of the
// other, paced to the same rate (or slower, where it is kept waiting). What one fleet does better it does better on
// the same machine in the same second.
package load
