package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// MasterName is what the Sentinels of a [Failover] call their primary.
const MasterName = "primary"

// Failover is a primary with replicas that Sentinels watch. They promote a
// replica when the primary does not answer them for DownAfter.
type Failover struct {
	Hosts     []*Host // the first is the primary at the beginning
	Sentinels []*Server
}

// FailoverOptions describe a [Failover].
type FailoverOptions struct {
	Replicas  int           // besides the primary; at least 1
	Sentinels int           // most of them must agree; at least 1
	DownAfter time.Duration // how long a server must be silent to count as down
	Args      []string      // of the servers, as for Start
}

// StartFailover starts the servers and Sentinels, and returns when the replicas
// are in sync and every Sentinel knows all of them.
func StartFailover(tb testing.TB, o FailoverOptions) *Failover {
	tb.Helper()
	f := new(Failover)
	args := append([]string{"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"}, o.Args...)
	for i := range 1 + o.Replicas {
		h := StartHost(tb, args...)
		if i > 0 {
			h.ReplicaOf(tb, f.Hosts[0])
		}
		f.Hosts = append(f.Hosts, h)
	}
	for _, h := range f.Hosts[1:] {
		waitUntil(tb, "the replica is in sync", func() bool { return h.InSync(tb, f.Hosts[0]) })
	}
	for range o.Sentinels {
		f.Sentinels = append(f.Sentinels, startSentinel(tb, f.Hosts[0], o.Sentinels/2+1, o.DownAfter))
	}
	for _, s := range f.Sentinels {
		waitUntil(tb, "the Sentinel knows all", func() bool {
			m := s.master(tb)
			return m["num-slaves"] == fmt.Sprint(o.Replicas) && m["num-other-sentinels"] == fmt.Sprint(o.Sentinels-1) &&
				m["flags"] == "master"
		})
	}
	return f
}

// startSentinel runs a Sentinel that is in more of a hurry than one in service.
func startSentinel(tb testing.TB, primary *Host, quorum int, downAfter time.Duration) *Server {
	tb.Helper()
	config := filepath.Join(tb.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("sentinel monitor %s 127.0.0.1 %s %d\nsentinel down-after-milliseconds %s %d\nsentinel failover-timeout %s 10000\n",
		MasterName, primary.publicPort(), quorum, MasterName, downAfter.Milliseconds(), MasterName)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		tb.Fatalf("redistest: %v", err)
	}
	s := Start(tb, config, "--sentinel")
	s.command(tb, "SENTINEL", "DEBUG", "info-period", 100, "ping-period", 100, "ask-period", 100, "publish-period", 200,
		"election-timeout", 2000, "min-link-reconnect-period", 500)
	return s
}

// master is what a Sentinel knows of the primary.
func (s *Server) master(tb testing.TB) map[string]string {
	tb.Helper()
	out := make(map[string]string)
	switch v := s.command(tb, "SENTINEL", "MASTER", MasterName).(type) {
	case map[any]any: // RESP3
		for k, x := range v {
			out[fmt.Sprint(k)] = fmt.Sprint(x)
		}
	case []any:
		for i := 0; i+1 < len(v); i += 2 {
			out[fmt.Sprint(v[i])] = fmt.Sprint(v[i+1])
		}
	}
	return out
}

// Primary is the server that the first Sentinel holds for the primary.
func (f *Failover) Primary(tb testing.TB) *Host {
	tb.Helper()
	m := f.Sentinels[0].master(tb)
	for _, h := range f.Hosts {
		if h.Public() == net.JoinHostPort(m["ip"], m["port"]) {
			return h
		}
	}
	tb.Fatalf("redistest: the Sentinel's primary is none of ours: %v", m)
	return nil
}

// AwaitPrimary waits until the Sentinels have made another server than this
// the primary, and returns that.
func (f *Failover) AwaitPrimary(tb testing.TB, other *Host) *Host {
	tb.Helper()
	var now *Host
	waitUntil(tb, "another primary", func() bool {
		now = f.Primary(tb)
		return now != other && now.IsPrimary(tb)
	})
	return now
}

// Switch asks the Sentinels to promote a replica though the primary is well.
func (f *Failover) Switch(tb testing.TB) {
	tb.Helper()
	f.Sentinels[0].command(tb, "SENTINEL", "FAILOVER", MasterName)
}

// Routes are ways of one client to all servers and Sentinels.
func (f *Failover) Routes(tb testing.TB) *Routes {
	tb.Helper()
	r := NewRoutes(tb, f.Hosts...)
	for _, s := range f.Sentinels {
		r.Add(tb, s.Addr(), s.Addr())
	}
	return r
}

// Client returns a client that asks the Sentinels for the primary, closed in
// tb.Cleanup. Its settings are those of [NewClient].
func (f *Failover) Client(tb testing.TB, r *Routes, opts ...func(*redis.FailoverOptions)) *redis.Client {
	tb.Helper()
	o := &redis.FailoverOptions{
		MasterName:      MasterName,
		Dialer:          r.Dial,
		MaxRetries:      -1,
		DialTimeout:     2 * time.Second,
		ReadTimeout:     2 * time.Second,
		WriteTimeout:    2 * time.Second,
		DialerRetries:   1,
		DisableIdentity: true,
	}
	for _, s := range f.Sentinels {
		o.SentinelAddrs = append(o.SentinelAddrs, s.Addr())
	}
	for _, opt := range opts {
		opt(o)
	}
	c := redis.NewFailoverClient(o)
	tb.Cleanup(func() { _ = c.Close() })
	return c
}
