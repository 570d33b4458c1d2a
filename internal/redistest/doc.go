// Package redistest gives tests a Redis to talk to, and ways to break it.
//
// It has three parts.
//
// [Start] runs a redis-server process that the test owns: on a port of the
// loopback interface that nobody else can be given, without persistence, in a
// directory of the test, gone when the test is. [Shared] runs one per test
// binary. A server can be killed, restarted empty, stopped in its tracks and
// resumed.
//
// [Each] runs a suite against miniredis and against a real server, so that
// most of it also runs where no redis-server is installed. [Main], called from
// TestMain, counts what was left out for that reason and says so. With CI=true
// or DOPPIO_REQUIRE_REDIS=1 nothing is left out: see [Require].
//
// [NewProxy] stands between a client and either server and loses connections,
// replies and pub/sub messages, delays them, or delivers a command long after
// its sender has given up. [Proxy.Data] and [Proxy.PubSub] confine a fault to
// one kind of connection.
//
// # Lifecycle
//
// Everything is released by tb.Cleanup, in the reverse order of its creation:
// create the server first, then the proxy, then the clients. A redis-server
// dies with the test binary, on Linux even if that is killed. No goroutine
// outlives its test.
package redistest
