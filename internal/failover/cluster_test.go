package failover_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/internal/redistest"
)

// nodeTimeout is after how long a silent node of a Cluster counts as down.
const nodeTimeout = time.Second

// onCluster connects instances to a Cluster, with the client's own settings
// but for its time-outs.
func onCluster(t *testing.T, c *redistest.Cluster) func(string) (redis.UniversalClient, *redistest.Routes) {
	return func(string) (redis.UniversalClient, *redistest.Routes) {
		routes := c.Routes(t)
		return c.Client(t, routes), routes
	}
}

// slotOf is the slot of a partition.
func slotOf(t *testing.T, c *redistest.Cluster, p int) int {
	t.Helper()
	return c.Slot(t, layout(t).Sequence(p))
}

// partitionsOf are the partitions that a master has.
func partitionsOf(t *testing.T, c *redistest.Cluster, h *redistest.Host) (all []int) {
	t.Helper()
	for p := range partitions {
		if c.Owner(t, slotOf(t, c, p)) == h {
			all = append(all, p)
		}
	}
	return all
}

// ofPartitions are those of the keys that are in one of the partitions.
func ofPartitions(t *testing.T, keys []string, parts []int) (in, out []string) {
	t.Helper()
	l := layout(t)
	for _, k := range keys {
		if slices.Contains(parts, l.Partition(keyspace.Hash("items", k))) {
			in = append(in, k)
		} else {
			out = append(out, k)
		}
	}
	return in, out
}

// has asks one node of a Cluster, a replica too, for a key of its own.
func has(t *testing.T, h *redistest.Host, name string) bool {
	t.Helper()
	c := h.Client(t, func(o *redis.Options) {
		o.OnConnect = func(ctx context.Context, cn *redis.Conn) error { return cn.ReadOnly(ctx).Err() }
	})
	n, err := c.Exists(t.Context(), name).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n == 1
}

// A slot moves while it is read and written: first what the instances' probes
// need, then, much later, the values. In between its keys are on two masters,
// and what needs several of them is refused (TRYAGAIN); that must cost hits and
// time, and nothing else.
func TestSlotThatMovesUnderLoad(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, nodeTimeout)
	f := newFleet(t, onCluster(t, c), "a", "b", "c")
	keys := keysNamed("k", 32)
	f.warm(t, keys)
	stop := f.load(t, keys, keys, f.instances[0], f.instances[1])
	errors := func() map[string]int {
		sum := make(map[string]int)
		for _, h := range c.Masters {
			for code, n := range h.Errors(t) {
				sum[code] += n
			}
		}
		return sum
	}
	for p := range 3 {
		slot := slotOf(t, c, p)
		from := c.Owner(t, slot)
		to := c.Masters[(slices.Index(c.Masters, from)+1)%3]
		m := c.Migrate(t, slot, to)
		before := errors()
		m.Move(t, layout(t).Sequence(p), layout(t).Epoch(p))
		eventually(t, "commands are sent on (ASK) and refused (TRYAGAIN)", func() bool {
			now := errors()
			return now["ASK"] > before["ASK"] && now["TRYAGAIN"] > before["TRYAGAIN"]
		})
		passed(time.Now().Add(bound + bound/2))
		left := m.Keys(t)
		m.Move(t, left[:len(left)/2]...)
		m.Finish(t)
		settled(t, f.instances...)
	}
	// Not each time: a client that is told ASK reads the slots anew, and if that is
	// just when they change hands it never asks the wrong master.
	if errors()["MOVED"] == 0 {
		t.Error("no command was sent to a new master (MOVED)")
	}
	stop()
	settled(t, f.instances...)
	passed(time.Now().Add(bound))
	newestEverywhere(t, f.oracle, keys, f.instances...)
	f.oracle.judge(t, nil)
	t.Logf("errors that the masters have answered with: %v", errors())
}

// A master joins, takes over all that another one had, and that one leaves: it
// has the subscriptions, and goes on running without knowing that nobody tells
// it anything any more.
func TestMasterJoinsAndAnotherLeaves(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, nodeTimeout)
	f := newFleet(t, onCluster(t, c), "a", "b", "c")
	keys := keysNamed("k", 32)
	f.warm(t, keys)
	stop := f.load(t, keys, keys, f.instances[0], f.instances[1])

	leaves := c.Owner(t, c.Slot(t, layout(t).Channel()))
	joins := c.AddMaster(t)
	for _, i := range f.instances {
		i.routes.Add(t, joins.Public(), joins.Server.Addr())
		if n := i.routes.To(leaves.Public()).PubSub().Conns(); n == 0 {
			t.Fatalf("%s has not subscribed where the test needs it", i.name)
		}
	}
	c.MoveAll(t, leaves, joins)
	if left := partitionsOf(t, c, leaves); len(left) > 0 {
		t.Fatalf("partitions %v have not moved", left)
	}
	c.Forget(t, leaves)
	passed(time.Now().Add(2 * bound))
	stop()
	settled(t, f.instances...)
	passed(time.Now().Add(bound))
	for n, i := range f.instances {
		other := f.instances[(n+1)%3]
		eventually(t, i.name+" hears "+other.name+" again", func() bool {
			before := i.Stats()
			_ = other.change(t, keys...)
			passed(time.Now().Add(50 * time.Millisecond))
			now := i.Stats()
			return now.Received >= before.Received+partitions/2
		})
	}
	settled(t, f.instances...)
	passed(time.Now().Add(bound))
	newestEverywhere(t, f.oracle, keys, f.instances...)
	f.oracle.judge(t, nil)
	for _, i := range f.instances {
		t.Logf("%s: %d subscriptions after the first", i.name, i.Stats().Resubscriptions)
	}
}

// A master acknowledges Deletes that its replica never hears of, and dies. The
// client has the settings that it has by default: nothing tells it that there
// is another master now, as the old one does not answer.
func TestMasterThatDiesWithDeletes(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, nodeTimeout)
	dies := c.Owner(t, slotOf(t, c, 0))
	replica := c.AddReplica(t, dies)
	f := newFleet(t, onCluster(t, c), "a", "b", "mortal")
	mortal := f.instances[2]
	keys, orphaned := keysNamed("k", 32), keysNamed("orphaned", 32)
	f.warm(t, keys)
	f.warm(t, orphaned)
	moved := partitionsOf(t, c, dies)
	lost, _ := ofPartitions(t, orphaned, moved)
	if len(lost) == 0 {
		t.Fatal("no key is on the master that dies")
	}
	eventually(t, "the replica has everything", func() bool { return replica.InSync(t, dies) })

	f.instances = f.instances[:2]
	stop := f.load(t, slices.Concat(keys, lost), keys, f.instances...)
	dies.Isolate(true) // from its replica; the bus goes another way
	eventually(t, "the master acknowledges Deletes", func() bool { return mortal.change(t, lost...) == nil })
	_ = mortal.Close()
	for _, k := range lost {
		if !has(t, replica, valueName(layout(t), k)) {
			t.Fatalf("the replica has heard of the Delete of %s", k)
		}
	}
	dies.Kill()
	died := time.Now()
	from := promoted(t, replica)
	seen := firstSeen(t, replica, moved...)
	settled(t, f.instances...)
	t.Logf("all instances had recovered %v after the master had died (%v after the replica was promoted)",
		time.Since(died).Round(time.Millisecond), time.Since(from).Round(time.Millisecond))
	end := seen.Add(bound + grace)
	passed(end)
	stop()
	settled(t, f.instances...)
	passed(time.Now().Add(bound))
	newestEverywhere(t, f.oracle, slices.Concat(keys, orphaned), f.instances...)
	allowed := f.oracle.judge(t, func(s staleRead) bool {
		in, _ := ofPartitions(t, []string{s.key}, moved)
		return len(in) > 0 && s.end.After(from) && s.begin.Before(end)
	})
	logGrace(t, allowed, seen)
}

// A master hands over to its replica, which waits until it has everything: no
// acknowledged write is lost, so that the bound is D, and all that the instances
// do meanwhile is refused or sent on.
func TestMasterThatHandsOver(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, nodeTimeout)
	master := c.Owner(t, slotOf(t, c, 0))
	replica := c.AddReplica(t, master)
	f := newFleet(t, onCluster(t, c), "a", "b", "c")
	keys := keysNamed("k", 32)
	f.warm(t, keys)
	stop := f.load(t, keys, keys, f.instances[0], f.instances[1])
	for _, to := range []*redistest.Host{replica, master} {
		c.HandOver(t, to)
		firstSeen(t, to, partitionsOf(t, c, to)...)
		passed(time.Now().Add(2 * bound))
		settled(t, f.instances...)
	}
	stop()
	settled(t, f.instances...)
	passed(time.Now().Add(bound))
	newestEverywhere(t, f.oracle, keys, f.instances...)
	f.oracle.judge(t, nil)
	t.Logf("errors: of one %v, of the other %v", master.Errors(t), replica.Errors(t))
}

// A Delete of keys on all masters, one of which is away, is confirmed for the
// keys of the others; the error names exactly those that are not, and they are
// deleted when the master is back.
func TestBatchAcrossMastersOneOfWhichIsAway(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		away, back func(a *instance, h *redistest.Host)
	}{
		{"hangs", func(_ *instance, h *redistest.Host) { h.Pause() }, func(_ *instance, h *redistest.Host) { h.Resume() }},
		{"is cut off from the writer",
			func(a *instance, h *redistest.Host) { a.routes.To(h.Public()).BlackHole(true) },
			func(a *instance, h *redistest.Host) { a.routes.To(h.Public()).BlackHole(false) }},
		{"refuses the writer's connections",
			func(a *instance, h *redistest.Host) { a.routes.To(h.Public()).Refuse(true) },
			func(a *instance, h *redistest.Host) { a.routes.To(h.Public()).Refuse(false) }},
	}
	c := redistest.StartCluster(t, 3, time.Minute)
	f := newFleet(t, onCluster(t, c), "a", "b", "c")
	a := f.instances[0]
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			keys := keysNamed(tt.name, 32)
			f.warm(t, keys)
			away := c.Owner(t, slotOf(t, c, 0))
			on, others := ofPartitions(t, keys, partitionsOf(t, c, away))
			stop := f.load(t, keys, nil)
			tt.away(a, away)
			pending := a.change(t, keys...)
			if pending == nil {
				t.Fatal("the Delete was confirmed")
			}
			var named []string
			for _, k := range keys {
				if slices.Contains(pending.Refs, a.items.Ref(k)) {
					named = append(named, k)
				}
			}
			if !slices.Equal(named, on) || len(pending.Refs) != len(on) {
				t.Errorf("named as pending: %v, want those of the master that is away: %v (of the others: %v)", named, on, others)
			}
			if n := a.Stats().PendingRetries; n != len(on) {
				t.Errorf("%d invalidations are queued, want %d", n, len(on))
			}
			passed(time.Now().Add(bound + bound/2))
			if again := a.change(t, others...); again != nil {
				t.Errorf("keys of masters that are there: %v", again)
			}
			tt.back(a, away)
			settled(t, f.instances...)
			passed(time.Now().Add(bound))
			stop()
			newestEverywhere(t, f.oracle, keys, f.instances...)
			f.oracle.judge(t, nil)
		})
	}
}
