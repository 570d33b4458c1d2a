// Package fleet runs the service as several instances in one process: each has
// its own cache node, its own Redis client over its own (breakable) network,
// and its own HTTP port. They share the database and Redis.
//
// Everything that a real deployment would do once per process is in
// [startInstance]: open the cache, declare the regions, make the repositories
// and the event handler, serve.
package fleet
