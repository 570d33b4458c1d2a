package redistest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// slots is the number of slots of a Cluster.
const slots = 16384

// Cluster is a Redis Cluster. Its nodes know each other's data ports, and tell
// them to clients, as those of their fronts; the bus between them is direct.
type Cluster struct {
	args    []string
	Masters []*Host // of the slots, in their order, at the beginning
	all     []*Host // replicas and what joined included
}

// StartCluster starts masters that share the slots evenly, in order, and
// returns when all agree. A node that does not answer the others counts as down
// after nodeTimeout. args are as for [Start].
func StartCluster(tb testing.TB, masters int, nodeTimeout time.Duration, args ...string) *Cluster {
	tb.Helper()
	c := &Cluster{args: append([]string{
		"--cluster-enabled", "yes", "--cluster-node-timeout", strconv.FormatInt(nodeTimeout.Milliseconds(), 10),
		"--cluster-require-full-coverage", "no", "--cluster-allow-replica-migration", "no",
		"--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0",
	}, args...)}
	for i := range masters {
		h := c.start(tb)
		h.command(tb, "CLUSTER", "ADDSLOTSRANGE", i*slots/masters, (i+1)*slots/masters-1)
		h.command(tb, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i > 0 {
			c.meet(tb, h)
		}
		c.Masters = append(c.Masters, h)
	}
	c.awaitAgreement(tb)
	return c
}

func (c *Cluster) start(tb testing.TB) *Host {
	tb.Helper()
	bus := reservedPort(tb)
	h := newHost(tb, func(port string) []string {
		return []string{
			"--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", port,
			"--cluster-port", strconv.Itoa(bus), "--cluster-announce-bus-port", strconv.Itoa(bus),
		}
	}, c.args)
	h.bus = bus
	c.all = append(c.all, h)
	return h
}

func (c *Cluster) meet(tb testing.TB, h *Host) {
	tb.Helper()
	c.Masters[0].command(tb, "CLUSTER", "MEET", "127.0.0.1", h.publicPort(), h.bus)
}

// awaitAgreement waits until every node knows every other and serves.
func (c *Cluster) awaitAgreement(tb testing.TB) {
	tb.Helper()
	waitUntil(tb, "the nodes of the Cluster agree", func() bool {
		for _, h := range c.all {
			info := h.clusterInfo(tb)
			if info["cluster_state"] != "ok" || info["cluster_slots_ok"] != strconv.Itoa(slots) ||
				info["cluster_known_nodes"] != strconv.Itoa(len(c.all)) {
				return false
			}
		}
		return true
	})
}

// clusterInfo is CLUSTER INFO.
func (h *Host) clusterInfo(tb testing.TB) map[string]string {
	tb.Helper()
	out := make(map[string]string)
	text, _ := h.command(tb, "CLUSTER", "INFO").(string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			out[name] = value
		}
	}
	return out
}

// AddMaster starts another master, without slots.
func (c *Cluster) AddMaster(tb testing.TB) *Host {
	tb.Helper()
	h := c.start(tb)
	c.meet(tb, h)
	c.awaitAgreement(tb)
	return h
}

// AddReplica starts a replica of a master and returns when it is in sync.
func (c *Cluster) AddReplica(tb testing.TB, master *Host) *Host {
	tb.Helper()
	h := c.AddMaster(tb)
	h.command(tb, "CLUSTER", "REPLICATE", master.id(tb))
	waitUntil(tb, "the replica is in sync", func() bool { return h.InSync(tb, master) })
	waitUntil(tb, "all know of the replica", func() bool {
		for _, other := range c.all {
			if !strings.Contains(other.nodes(tb), h.id(tb)+" 127.0.0.1:"+h.publicPort()+"@"+strconv.Itoa(h.bus)) ||
				!strings.Contains(other.nodes(tb), "slave "+master.id(tb)) {
				return false
			}
		}
		return true
	})
	return h
}

// HandOver makes a replica the master in place of its own, once it has all that
// that one has.
func (c *Cluster) HandOver(tb testing.TB, to *Host) {
	tb.Helper()
	id := to.id(tb)
	to.command(tb, "CLUSTER", "FAILOVER")
	waitUntil(tb, "the replica has taken over, and all know", func() bool {
		for _, h := range c.all {
			for line := range strings.Lines(h.nodes(tb)) {
				f := strings.Fields(line)
				if f[0] == id && (len(f) < 9 || !strings.Contains(f[2], "master")) {
					return false
				}
			}
		}
		return true
	})
}

// Forget takes a node, which must have no slots left, out of the Cluster. It
// goes on running, and does not know.
func (c *Cluster) Forget(tb testing.TB, gone *Host) {
	tb.Helper()
	id := gone.id(tb)
	c.all = slices.DeleteFunc(c.all, func(h *Host) bool { return h == gone })
	for _, h := range c.all {
		h.command(tb, "CLUSTER", "FORGET", id)
	}
}

func (h *Host) id(tb testing.TB) string {
	tb.Helper()
	return fmt.Sprint(h.command(tb, "CLUSTER", "MYID"))
}

func (h *Host) nodes(tb testing.TB) string {
	tb.Helper()
	return fmt.Sprint(h.command(tb, "CLUSTER", "NODES"))
}

// Slot is the slot of a key.
func (c *Cluster) Slot(tb testing.TB, key string) int {
	tb.Helper()
	slot, _ := c.Masters[0].command(tb, "CLUSTER", "KEYSLOT", key).(int64)
	return int(slot)
}

// Owner is the master of a slot by the knowledge of the first node that
// answers and is not the one to be left out.
func (c *Cluster) Owner(tb testing.TB, slot int, leaveOut ...*Host) *Host {
	tb.Helper()
	for _, h := range c.all {
		if slices.Contains(leaveOut, h) {
			continue
		}
		for line := range strings.Lines(h.nodes(tb)) {
			f := strings.Fields(line)
			if len(f) > 8 && hasSlot(f[8:], slot) {
				return c.at(f[1])
			}
		}
	}
	return nil
}

func (c *Cluster) at(address string) *Host {
	public, _, _ := strings.Cut(address, "@")
	for _, h := range c.all {
		if h.Public() == public {
			return h
		}
	}
	return nil
}

// hasSlot looks for a slot in the last fields of a line of CLUSTER NODES.
func hasSlot(ranges []string, slot int) bool {
	for _, r := range ranges {
		if strings.HasPrefix(r, "[") {
			continue // one that is moving
		}
		from, to, found := strings.Cut(r, "-")
		if !found {
			to = from
		}
		a, errA := strconv.Atoi(from)
		b, errB := strconv.Atoi(to)
		if errA == nil && errB == nil && a <= slot && slot <= b {
			return true
		}
	}
	return false
}

// Routes are ways of one client to all nodes there are now.
func (c *Cluster) Routes(tb testing.TB) *Routes {
	tb.Helper()
	return NewRoutes(tb, c.all...)
}

// Client returns a Cluster client, closed in tb.Cleanup. It knows the first
// masters at the beginning, and goes by the routes.
func (c *Cluster) Client(tb testing.TB, r *Routes, opts ...func(*redis.ClusterOptions)) *redis.ClusterClient {
	tb.Helper()
	o := &redis.ClusterOptions{
		Dialer:          r.Dial,
		DialTimeout:     2 * time.Second,
		ReadTimeout:     2 * time.Second,
		WriteTimeout:    2 * time.Second,
		DialerRetries:   1,
		DisableIdentity: true,
	}
	for _, h := range c.Masters {
		o.Addrs = append(o.Addrs, h.Public())
	}
	for _, opt := range opts {
		opt(o)
	}
	cc := redis.NewClusterClient(o)
	tb.Cleanup(func() { _ = cc.Close() })
	return cc
}
