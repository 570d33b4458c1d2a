// Command chaos breaks real processes and judges every read.
//
// It starts a redis-server and several instances, processes of its own that
// embed Doppio and a plain cache-aside baseline, puts them under load, and then
// breaks one thing after the other. It knows every commit, so it knows how
// stale each read was, and says at the end whether a guarantee was broken. See
// docs/chaos.md for what a run looks like, and -help for what can be set.
//
// It needs a redis-server in PATH and a Unix: processes are stopped by signals.
package main
