// Package redistest gives tests a Redis to talk to, and ways to break it.
//
// It has four parts.
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
// replies and pub/sub messages, delays them, stops reading until the server's
// buffers are full, or delivers a command long after its sender has given up. [Proxy.Data] and [Proxy.PubSub] confine a fault to
// one kind of connection.
//
// [StartFailover] and [StartCluster] run several servers: a primary with replicas
// and Sentinels, or a Cluster whose slots can be moved and whose masters can be
// added, replaced and forgotten. Servers know each other by the address of a
// proxy, and each client has [Routes] of its own, so that any two of them can be
// cut off from each other: a [Host] that is isolated loses replicas and Sentinels
// and keeps the clients that have a way to it.
//
// # What differs in miniredis
//
// Commands of strings, keys and pub/sub, EVAL and EVALSHA, RESP2 and RESP3,
// and inside a script TIME, PUBLISH, INCR, UNLINK, SET NX PX, MGET and cjson
// behave alike, binary values included. These do not:
//
//   - Numbers in Lua. Redis turns a number into a string with 14 digits:
//     tostring(x), like x .. "", of a time in microseconds is "1.795408102e+15".
//     miniredis gives all 16 digits and so hides the mistake. A number passed to
//     redis.call keeps its digits on both, as does string.format('%.0f', x).
//   - Errors in Lua. Where redis.call fails or the script calls error, Redis
//     answers with the prefix of the error (WRONGTYPE, OOM, READONLY …) and
//     miniredis with "ERR Error compiling script" around it. An error that
//     redis.pcall returns keeps its prefix on both.
//   - Lua libraries. miniredis lacks cmsgpack, struct and bit, redis.REDIS_VERSION
//     and the line "#!lua flags=…".
//   - INFO knows the sections clients and stats only, in Lua as elsewhere: no
//     run_id, no role. pcall gives an error, call fails the script.
//   - It lacks CONFIG, DEBUG, ROLE, REPLICAOF, RESET, FUNCTION, CLIENT LIST, ID,
//     KILL, PAUSE and TRACKING, OBJECT ENCODING, sharded pub/sub (SSUBSCRIBE,
//     SPUBLISH), and inline commands ("PING" typed without RESP).
//   - No memory limit: nothing is evicted, and nothing refused with OOM.
//   - It claims to be a cluster of one node (CLUSTER SLOTS).
//   - Its clock: expired keys go when the next command looks at the data, and
//     there is no event for it.
//
// # Lifecycle
//
// Everything is released by tb.Cleanup, in the reverse order of its creation:
// create the server first, then the proxy, then the clients. A redis-server
// dies with the test binary, on Linux even if that is killed. No goroutine
// outlives its test.
package redistest
