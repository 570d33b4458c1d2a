// Package outages measures and asserts what callers notice while Redis is out
// of order: dead, silent, slow, or there and refusing.
//
// Each outage is made as it happens in production, by a real redis-server and,
// where the network is at fault, by a proxy before it. The tests assert what
// does not depend on the machine: no read fails, no key is loaded more often
// than once per instance and bound D, goroutines and memory stay bounded, and
// afterwards every failed Delete is applied everywhere.
//
// Times are not asserted but printed: `make outages` measures at length, marks
// what misses its promise, and prints the table of docs/outages.md.
package outages
