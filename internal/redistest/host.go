package redistest

import (
	"context"
	"net"
	"sync"
	"testing"
)

// Host is a redis-server among others: its replicas, Sentinels and the nodes
// of its Cluster know it by the address of a proxy, so that it can be cut off
// from them while clients that have a way of their own (see [Routes]) still
// reach it.
type Host struct {
	*Server
	Front *Proxy // what stands at the address that it announces
	bus   int    // of a Cluster; 0: none
}

// newHost starts a server behind a front. announce returns the arguments that
// make the server call itself by the front's port.
func newHost(tb testing.TB, announce func(port string) []string, args []string) *Host {
	tb.Helper()
	front := NewProxy(tb, net.JoinHostPort("127.0.0.1", "0"))
	_, port, err := net.SplitHostPort(front.Addr())
	if err != nil {
		tb.Fatalf("redistest: %v", err)
	}
	h := &Host{Front: front, Server: Start(tb, append(announce(port), args...)...)}
	front.Target(h.Server.Addr())
	return h
}

// StartHost runs a redis-server that can have replicas and be one. args are as
// for [Start].
func StartHost(tb testing.TB, args ...string) *Host {
	tb.Helper()
	return newHost(tb, func(port string) []string {
		return []string{"--replica-announce-ip", "127.0.0.1", "--replica-announce-port", port}
	}, args)
}

// Public is the "host:port" by which other servers, Sentinels and clients know
// the server. [Server.Addr] is where it really is.
func (h *Host) Public() string { return h.Front.Addr() }

// publicPort is the port of Public.
func (h *Host) publicPort() string {
	_, port, _ := net.SplitHostPort(h.Public())
	return port
}

// Isolate cuts the server off from all that reach it by its public address:
// replicas, Sentinels, other nodes' MIGRATE, and clients without a route of
// their own. Nothing is closed; all is silent. Turned off, the connections that
// were open meanwhile are closed.
func (h *Host) Isolate(on bool) { h.Front.BlackHole(on) }

// ReplicaOf makes the server a replica of another one, by its public address.
func (h *Host) ReplicaOf(tb testing.TB, primary *Host) {
	tb.Helper()
	h.command(tb, "REPLICAOF", "127.0.0.1", primary.publicPort())
}

// InSync reports whether the server is a replica that has all its primary has
// written, by the primary's own count.
func (h *Host) InSync(tb testing.TB, primary *Host) bool {
	tb.Helper()
	theirs, mine := primary.info(tb, "replication"), h.info(tb, "replication")
	return mine["role"] == "slave" && mine["master_link_status"] == "up" &&
		mine["slave_repl_offset"] == theirs["master_repl_offset"]
}

// IsPrimary reports whether the server takes itself for a primary.
func (h *Host) IsPrimary(tb testing.TB) bool {
	tb.Helper()
	return h.info(tb, "replication")["role"] == "master"
}

// Routes are one client's ways to a number of servers: a proxy for each, in
// front of the real server, so that this client alone can be cut off from one
// of them. A server that has no route is dialled by its public address.
type Routes struct {
	mu  sync.Mutex
	way map[string]*Proxy // by public address
}

// NewRoutes returns routes to the hosts. They are closed in tb.Cleanup.
func NewRoutes(tb testing.TB, hosts ...*Host) *Routes {
	tb.Helper()
	r := &Routes{way: make(map[string]*Proxy)}
	for _, h := range hosts {
		r.Add(tb, h.Public(), h.Server.Addr())
	}
	return r
}

// Add gives whoever dials the public address a way of its own to the server
// that is really there, and returns it.
func (r *Routes) Add(tb testing.TB, public, real string) *Proxy {
	tb.Helper()
	p := NewProxy(tb, real)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.way[public] = p
	return p
}

// To is the way to a public address; nil if there is none.
func (r *Routes) To(public string) *Proxy {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.way[public]
}

// Dial is for the Dialer of a client's options.
func (r *Routes) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if p := r.To(addr); p != nil {
		addr = p.Addr()
	}
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}

// reservedPort is a port of the loopback interface that stays the test's own.
func reservedPort(tb testing.TB) int {
	tb.Helper()
	port, release, err := reservePort()
	if err != nil {
		tb.Fatalf("redistest: no port: %v", err)
	}
	tb.Cleanup(release)
	return port
}

// Promote makes a replica a primary, as an operator does.
func (h *Host) Promote(tb testing.TB) {
	tb.Helper()
	h.command(tb, "REPLICAOF", "NO", "ONE")
}
