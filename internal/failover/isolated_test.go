package failover_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// island is a network that falls apart: the primary and instance b are on one
// side, the replicas, the Sentinels and instances a and c on the other. Neither
// side hears the other, and the other side gets a primary of its own. b knows
// its primary by an address that moves when the network is whole again.
type island struct {
	*fleet
	servers      *redistest.Failover
	old, new     *redistest.Host // new is known once it is promoted
	a, b, c      *instance
	keys, unread []string
}

func newIsland(t *testing.T, replicas int, downAfter time.Duration, args ...string) *island {
	t.Helper()
	s := redistest.StartFailover(t, redistest.FailoverOptions{Replicas: replicas, Sentinels: 1, DownAfter: downAfter, Args: args})
	x := &island{servers: s, old: s.Hosts[0], keys: keysNamed("k", 24), unread: keysNamed("unread", 8)}
	x.fleet = newFleet(t, func(name string) (redis.UniversalClient, *redistest.Routes) {
		if name == "b" {
			routes := redistest.NewRoutes(t, x.old)
			return redistest.NewClient(t, x.old.Public(), func(o *redis.Options) { o.Dialer = routes.Dial }), routes
		}
		return behindSentinel(t, s)(name)
	}, "a", "b", "c")
	x.a, x.b, x.c = x.instances[0], x.instances[1], x.instances[2]
	x.warm(t, x.keys)
	x.warm(t, x.unread)
	for _, r := range s.Hosts[1:] {
		eventually(t, "the replica has everything", func() bool { return r.InSync(t, x.old) })
	}
	return x
}

// split parts the network.
func (x *island) split() {
	x.old.Isolate(true)
	x.a.routes.To(x.old.Public()).BlackHole(true)
	x.c.routes.To(x.old.Public()).BlackHole(true)
}

// promotion waits for the primary of the other side, and for its first probe.
// It returns the last moment at which there was none.
func (x *island) promotion(t *testing.T) (from time.Time) {
	t.Helper()
	eventually(t, "a replica is promoted", func() bool {
		now := time.Now()
		for _, h := range x.servers.Hosts[1:] {
			if h.IsPrimary(t) {
				x.new = h
				return true
			}
		}
		from = now
		return false
	})
	firstSeen(t, x.new)
	return from
}

// mend makes the network whole and moves the address that b knows.
func (x *island) mend() {
	x.old.Isolate(false)
	x.a.routes.To(x.old.Public()).BlackHole(false)
	x.c.routes.To(x.old.Public()).BlackHole(false)
	way := x.b.routes.To(x.old.Public())
	way.Target(x.new.Server.Addr())
	way.Cut()
}

// lastWrite polls a primary until it refuses writes, and returns when it began
// the last that it took.
func lastWrite(t *testing.T, h *redistest.Host) (at time.Time) {
	t.Helper()
	c := h.Client(t)
	eventually(t, "the isolated primary refuses writes", func() bool {
		now := time.Now()
		err := c.Unlink(t.Context(), "nothing").Err()
		if err == nil {
			at = now
		}
		return err != nil && strings.HasPrefix(err.Error(), "NOREPLICAS")
	})
	return at
}

// With min-replicas-to-write a primary that has lost its replicas refuses
// writes, and with them leases, before another one is promoted. So an instance
// that is left alone with it is bounded as any other: it reads nothing older
// than what was deleted elsewhere more than D ago, neither from its memory nor
// from that primary, which answers reads as ever.
func TestIsolatedPrimaryThatNeedsReplicas(t *testing.T) {
	t.Parallel()
	x := newIsland(t, 2, 4*time.Second, "--min-replicas-to-write", "1", "--min-replicas-max-lag", "1")
	stop := x.load(t, x.keys, nil)
	x.split()
	refuses := lastWrite(t, x.old)
	from := x.promotion(t)
	if !refuses.Before(from) {
		t.Fatalf("the new primary was there %v before the old one refused writes", refuses.Sub(from))
	}
	for range 3 { // rounds, each a bound and more
		for _, w := range []*instance{x.a, x.c} {
			eventually(t, "the new primary acknowledges Deletes", func() bool { return w.change(t, x.keys...) == nil })
		}
		passed(time.Now().Add(bound + bound/2))
	}
	if v := x.old.Client(t).Exists(t.Context(), valueName(layout(t), x.keys[0])).Val(); v != 1 {
		t.Error("the old primary has not got the old value any more: nothing was tested")
	}
	if s := x.b.Stats(); !s.Degraded {
		t.Error("the instance that is left with the old primary does not say that it is degraded")
	}
	pending := x.b.change(t, x.unread...)
	if pending == nil || len(pending.Refs) != len(x.unread) {
		t.Errorf("Deletes on the old primary: %v, want a PendingError of all", pending)
	}
	x.oracle.judge(t, nil)

	x.mend()
	settled(t, x.instances...)
	stop()
	passed(time.Now().Add(bound))
	newestEverywhere(t, x.oracle, slices.Concat(x.keys, x.unread), x.instances...)
	x.oracle.judge(t, nil)
}

// Without min-replicas-to-write the isolated primary goes on as if nothing had
// happened, and so does the instance that is left with it: for as long as that
// lasts it reads what others have deleted elsewhere. Nothing bounds that, as the
// README says; the test shows it. What holds all the same: the others are not
// affected, each instance reads its own Deletes, and when the network is whole
// again everything is, within D+R, with the Deletes that only the isolated
// primary had acknowledged sent again.
func TestIsolatedPrimaryThatNeedsNobody(t *testing.T) {
	t.Parallel()
	x := newIsland(t, 1, time.Second)
	stop := x.load(t, x.keys, nil)
	x.split()
	from := x.promotion(t)
	for _, w := range []*instance{x.a, x.c} {
		eventually(t, "the new primary acknowledges Deletes", func() bool { return w.change(t, x.keys...) == nil })
	}
	eventually(t, "the isolated primary acknowledges Deletes", func() bool { return x.b.change(t, x.unread...) == nil })
	for _, k := range x.unread {
		if v, _ := x.b.read(t, k); v != x.oracle.newest(k) {
			t.Errorf("b reads version %d of %s, which it has deleted itself", v, k)
		}
		if v, _ := x.a.read(t, k); v == x.oracle.newest(k) {
			t.Logf("a has version %d of %s already", v, k)
		}
	}
	passed(time.Now().Add(2 * bound))

	x.mend()
	eventually(t, "the old primary is a replica", func() bool { return x.old.InSync(t, x.new) })
	mended := time.Now()
	settled(t, x.instances...)
	eventually(t, "what only the isolated primary had acknowledged is deleted again", func() bool {
		for _, k := range x.unread {
			if v, _ := x.a.read(t, k, tiered.BypassL1()); v != x.oracle.newest(k) {
				return false
			}
		}
		return true
	})
	t.Logf("the isolated instance had sent its Deletes again %v after its primary was a replica", time.Since(mended).Round(time.Millisecond))
	end := mended.Add(bound + grace)
	passed(end)
	stop()
	settled(t, x.instances...)
	passed(time.Now().Add(bound))
	newestEverywhere(t, x.oracle, slices.Concat(x.keys, x.unread), x.instances...)

	alone := func(s staleRead) bool {
		apart := (s.instance == "b") != (s.after.instance == "b") // reader and writer were on different sides
		return apart && s.end.After(from) && s.begin.Before(end)
	}
	allowed := x.oracle.judge(t, alone)
	stale := 0
	for _, s := range allowed {
		if s.instance == "b" && s.begin.Before(mended) {
			stale++
		}
	}
	if stale == 0 {
		t.Error("the isolated instance has read nothing that was deleted elsewhere: nothing was tested")
	}
	t.Logf("isolated for %v, b has read %d times what was deleted on the other side", mended.Sub(from).Round(time.Millisecond), stale)
}

// A primary that an operator makes a replica keeps its clients' connections:
// nobody closes them, as Sentinel does, and a client that was given its address
// alone does not move. It refuses writes and answers reads, with what it has
// when it does not even reach its primary.
func TestDemotedPrimaryThatKeepsItsClients(t *testing.T) {
	t.Parallel()
	old, next := redistest.StartHost(t), redistest.StartHost(t)
	next.ReplicaOf(t, old)
	eventually(t, "the replica is in sync", func() bool { return next.InSync(t, old) })
	routes := redistest.NewRoutes(t, old, next)
	client := func(h *redistest.Host) *redis.Client {
		return redistest.NewClient(t, h.Public(), func(o *redis.Options) { o.Dialer = routes.Dial })
	}
	f := newFleet(t, func(string) (redis.UniversalClient, *redistest.Routes) {
		return client(old), routes
	}, "b")
	b := f.instances[0]
	keys := keysNamed("k", 24)
	f.warm(t, keys)
	eventually(t, "the replica has everything", func() bool { return next.InSync(t, old) })
	stop := f.load(t, keys, nil)

	next.Isolate(true) // the old primary will not reach it
	next.Promote(t)
	old.ReplicaOf(t, next)
	a := join(t, "a", client(next), routes, f.oracle)
	a.awaitReady(t)
	demoted := time.Now()
	for range 3 {
		eventually(t, "the new primary acknowledges Deletes", func() bool { return a.change(t, keys...) == nil })
		passed(time.Now().Add(bound + bound/2))
	}
	if !b.Stats().Degraded {
		t.Error("the instance that is left with a replica does not say that it is degraded")
	}
	t.Logf("demoted for %v", time.Since(demoted).Round(time.Millisecond))
	stop()
	f.oracle.judge(t, nil)
	if old.Errors(t)["READONLY"] == 0 {
		t.Error("the old primary has refused nothing")
	}
}

// The address of the primary moves to another one, and the connections that a
// client has to the former stay open: its commands go to one of the two, as it
// happens. The former primary refuses writes and answers reads.
func TestPoolOfConnectionsToTwoPrimaries(t *testing.T) {
	t.Parallel()
	old := redistest.StartHost(t, "--min-replicas-to-write", "1", "--min-replicas-max-lag", "1")
	next := redistest.StartHost(t)
	next.ReplicaOf(t, old)
	eventually(t, "the replica is in sync", func() bool { return next.InSync(t, old) })
	routes := redistest.NewRoutes(t, old, next)
	way := routes.To(old.Public())
	client := func(h *redistest.Host) *redis.Client {
		return redistest.NewClient(t, h.Public(), func(o *redis.Options) {
			o.Dialer, o.PoolSize, o.PoolFIFO = routes.Dial, 16, true
		})
	}
	of := client(old)
	f := newFleet(t, func(string) (redis.UniversalClient, *redistest.Routes) { return of, routes }, "b")
	b := f.instances[0]
	keys := keysNamed("k", 24)
	f.warm(t, keys)
	fill := func(n int) { // the pool has n connections at least
		way.Delay(20 * time.Millisecond)
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() { _ = of.Ping(t.Context()).Err() })
		}
		wg.Wait()
		way.Delay(0)
	}
	fill(8)
	eventually(t, "the replica has everything", func() bool { return next.InSync(t, old) })
	stop := f.load(t, keys, nil)
	old.Isolate(true)
	lastWrite(t, old)
	next.Promote(t)
	way.Target(next.Server.Addr())
	fill(16)
	a := join(t, "a", client(next), routes, f.oracle)
	a.awaitReady(t)
	onOld, onNew := old.Commands(t, "mget"), next.Commands(t, "mget")
	for range 4 {
		eventually(t, "the new primary acknowledges Deletes", func() bool { return a.change(t, keys...) == nil })
		passed(time.Now().Add(bound + bound/2))
	}
	onOld, onNew = old.Commands(t, "mget")-onOld, next.Commands(t, "mget")-onNew
	t.Logf("b and a have read %d times from the former primary, %d times from the new one", onOld, onNew)
	if onOld == 0 {
		t.Error("nobody has read from the former primary: nothing was tested")
	}
	way.Cut()
	settled(t, a, b)
	stop()
	passed(time.Now().Add(bound))
	newestEverywhere(t, f.oracle, keys, a, b)
	f.oracle.judge(t, nil)
}
