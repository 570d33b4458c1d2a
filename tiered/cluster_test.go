package tiered_test

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
)

// startCluster starts a Redis Cluster of masters only, shares out the slots, and
// returns their addresses.
func startCluster(t *testing.T, masters int) (addrs []string) {
	t.Helper()
	redistest.Require(t)
	const slots = 16384
	type master struct {
		*redistest.Server
		client *redis.Client
		bus    int
	}
	var all []master
	for range masters {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		bus := l.Addr().(*net.TCPAddr).Port
		l.Close()
		s := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus))
		all = append(all, master{s, s.Client(t), bus})
	}
	for i, m := range all {
		do := func(args ...any) {
			if err := m.client.Do(t.Context(), args...).Err(); err != nil {
				t.Fatal(args, err)
			}
		}
		do("CLUSTER", "ADDSLOTSRANGE", i*slots/masters, (i+1)*slots/masters-1)
		do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i > 0 {
			do("CLUSTER", "MEET", "127.0.0.1", all[0].Port(), all[0].bus)
		}
		addrs = append(addrs, m.Addr())
	}
	eventually(t, "the cluster is up", func() bool {
		for _, m := range all {
			if info := m.client.ClusterInfo(t.Context()).Val(); !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_slots_ok:16384") {
				return false
			}
		}
		return true
	})
	return addrs
}
