// Package trials is the root of tests that look at Doppio from its callers'
// side, with a dependency that the library itself must not have.
//
//   - linear: what many callers of one key saw, judged by a linearizability
//     checker (porcupine).
//   - outages: what callers notice while Redis is dead, silent, slow or refuses.
//     `make outages` prints the figures of docs/outages.md.
//   - limits: memory, goroutines and locks under too many keys, too large
//     values and too many callers.
//
// It is a module of its own, so that porcupine stays out of the go.mod of those
// who use the library. Nothing here is compiled into a service.
package trials
