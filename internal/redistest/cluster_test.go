package redistest_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
)

func TestClusterMovesASlot(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, time.Second)
	cc := c.Client(t, c.Routes(t))
	for _, k := range []string{"{x}1", "{x}2", "{x}3"} {
		must(t, cc.Set(ctx, k, k, 0).Err())
	}
	slot := c.Slot(t, "{x}")
	from := c.Owner(t, slot)
	to := c.AddMaster(t)

	m := c.Migrate(t, slot, to)
	if m.From != from || len(m.Keys(t)) != 3 {
		t.Fatalf("moves %v from %v", m.Keys(t), m.From)
	}
	m.Move(t, "{x}1")
	if v := cc.Get(ctx, "{x}1").Val(); v != "{x}1" || from.Errors(t)["ASK"] == 0 {
		t.Errorf("a key that has moved: %q, errors %v", v, from.Errors(t))
	}
	if err := cc.MGet(ctx, "{x}1", "{x}2").Err(); err == nil || from.Errors(t)["TRYAGAIN"] == 0 {
		t.Errorf("keys on both sides: %v, errors %v", err, from.Errors(t))
	}
	m.Finish(t)
	if v := cc.MGet(ctx, "{x}1", "{x}2", "{x}3").Val(); len(v) != 3 || v[2] != "{x}3" || from.Errors(t)["MOVED"] == 0 {
		t.Errorf("after the move: %v, errors %v", v, from.Errors(t))
	}
	if now := c.Owner(t, slot); now != to {
		t.Errorf("the slot is with %v", now)
	}

	c.MoveAll(t, to, from)
	c.Forget(t, to)
	if now := c.Owner(t, slot); now != from {
		t.Errorf("the slot is with %v", now)
	}
	if v := cc.Get(ctx, "{x}3").Val(); v != "{x}3" {
		t.Errorf("after the way back: %q", v)
	}
}

func TestClusterPromotesAReplica(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, time.Second)
	slot := c.Slot(t, "k")
	master := c.Owner(t, slot)
	replica := c.AddReplica(t, master)
	routes := c.Routes(t)
	cc := c.Client(t, routes, func(o *redis.ClusterOptions) {
		o.MaxRedirects, o.ClusterStateReloadInterval = 10, 500*time.Millisecond
	})
	must(t, cc.Set(ctx, "k", "replicated", 0).Err())
	eventually(t, "the replica has it", func() bool { return replica.InSync(t, master) })
	master.Isolate(true)
	must(t, cc.Set(ctx, "k", "lost", 0).Err())
	master.Kill()
	eventually(t, "the replica is the master", func() bool { return c.Owner(t, slot, master) == replica })
	eventually(t, "the client goes there", func() bool { return cc.Get(ctx, "k").Val() == "replicated" })
}
