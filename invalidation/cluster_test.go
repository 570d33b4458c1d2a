package invalidation_test

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/redistest"
)

// cluster starts two primaries that share the slots.
func cluster(t *testing.T) (client *redis.ClusterClient, servers [2]*redistest.Server) {
	t.Helper()
	slots := [2][2]int{{0, 8191}, {8192, 16383}}
	for i := range servers {
		servers[i] = redistest.Start(t, "--cluster-enabled", "yes", "--cluster-port", freePort(t),
			"--cluster-require-full-coverage", "no", "--cluster-node-timeout", "60000")
		do(t, servers[i], "CLUSTER", "ADDSLOTSRANGE", slots[i][0], slots[i][1])
		do(t, servers[i], "CLUSTER", "SET-CONFIG-EPOCH", i+1)
	}
	bus := func(s *redistest.Server) (port string) {
		c := s.Client(t)
		defer c.Close()
		line := c.ClusterNodes(t.Context()).Val() // "id ip:port@bus …"
		_, line, _ = strings.Cut(line, "@")
		port, _, _ = strings.Cut(line, " ")
		return port
	}
	do(t, servers[0], "CLUSTER", "MEET", "127.0.0.1", servers[1].Port(), bus(servers[1]))
	for _, s := range servers {
		c := s.Client(t)
		if !eventually(func() bool {
			info := c.ClusterInfo(t.Context()).Val()
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:2") &&
				strings.Contains(info, "cluster_slots_ok:16384")
		}) {
			t.Fatal("the cluster does not come up")
		}
	}
	client = redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{servers[0].Addr(), servers[1].Addr()}, DisableIdentity: true, DialerRetries: 1,
	})
	t.Cleanup(func() { _ = client.Close() })
	return client, servers
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func TestAClusterIsHeardFromAllItsPrimaries(t *testing.T) {
	client, _ := cluster(t)
	n := started(t, client, partitions(8))
	var others [8]*fence.Mark
	for p := range others {
		k := n.key(p, 0)
		m := n.copyOf(k)
		others[p] = n.copyOf(n.key(p, 1))
		n.invalidate(k)
		n.eventually("the message", func() bool { return !n.valid(m) })
	}
	n.confirmed()
	for p, m := range others {
		if !n.valid(m) {
			t.Errorf("partition %d: a copy of another key is void too", p)
		}
		n.lose(p)
		n.eventually("the probe", func() bool { return !n.valid(m) })
	}
	n.eventually("the count", func() bool { return n.Stats().Flushes.Lost == 8 })
	if s := n.Stats(); s.ProbesFailed != 0 {
		t.Errorf("stats: %+v", s)
	}
}

// Partitions of a primary that is away get no leases; the others keep theirs,
// also if the layout's key is with the one that is away.
func TestAPrimaryThatIsAwayTakesNoOtherWithIt(t *testing.T) {
	client, servers := cluster(t)
	n := started(t, client, partitions(8))
	of := func(key string) int {
		slot, err := client.ClusterKeySlot(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		return int(slot / 8192)
	}
	var owner [8]int
	for p := range owner {
		owner[p] = of(n.layout.Sequence(p))
	}
	layout := of(n.layout.AgreementKey())
	for _, away := range []int{1 - layout, layout} {
		n.confirmed()
		servers[away].Pause()
		n.eventually("the partitions of the other primary to have the only leases", func() bool {
			for p := range owner {
				if n.fences.Live(p) == (owner[p] == away) {
					return false
				}
			}
			return true
		})
		now := n.fences.Now()
		n.eventually("new leases there", func() bool {
			for p := range owner {
				if at, _ := n.fences.Lease(p); owner[p] != away && at < now {
					return false
				}
			}
			return true
		})
		servers[away].Resume()
	}
	n.confirmed()
}

func TestAConflictOfLayoutsOnAClusterGrantsNoLease(t *testing.T) {
	client, _ := cluster(t)
	started(t, client, partitions(8))
	n := start(t, client, partitions(4))
	if err := n.Ready(t.Context()); err == nil {
		t.Fatal("ready in spite of another layout")
	}
	for range 5 {
		rounds := n.Stats().ProbesFailed
		n.eventually("another round", func() bool { return n.Stats().ProbesFailed > rounds })
	}
	for p := range 4 {
		if _, ok := n.fences.Lease(p); ok {
			t.Errorf("partition %d has been granted a lease", p)
		}
		if sequence := client.Exists(t.Context(), n.layout.Sequence(p)).Val(); sequence != 0 {
			t.Errorf("partition %d was probed", p)
		}
	}
}
