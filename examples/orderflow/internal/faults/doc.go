// Package faults breaks the network between a Redis client and its server,
// below the client: neither the client nor what uses it is told.
//
// A [Link] is made for each instance of the service and given to its client as
// the dialer. It knows two faults:
//
//   - [Link.Cut]: nothing passes in either direction, and nothing is closed. To
//     the client the server is silent, as behind a broken switch. Bytes that
//     were under way arrive when the link heals, so a command that the client
//     has long given up may still be carried out.
//   - [Link.DropMessages]: pub/sub messages vanish; everything else passes. The
//     subscriber sees a healthy connection with nothing on it.
//
// Each connection has two goroutines. [Link.Close] closes the connections and
// waits for the goroutines.
package faults
