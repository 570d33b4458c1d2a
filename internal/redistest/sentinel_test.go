package redistest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
)

func TestSentinelsPromoteAReplicaOfAnIsolatedPrimary(t *testing.T) {
	t.Parallel()
	f := redistest.StartFailover(t, redistest.FailoverOptions{Replicas: 1, Sentinels: 1, DownAfter: 500 * time.Millisecond})
	old, replica := f.Hosts[0], f.Hosts[1]
	if f.Primary(t) != old {
		t.Fatal("the first host is not the primary")
	}
	routes := f.Routes(t)
	c := f.Client(t, routes)
	must(t, c.Set(ctx, "k", "replicated", 0).Err())
	eventually(t, "the replica has it", func() bool { return replica.InSync(t, old) })

	old.Isolate(true)
	must(t, c.Set(ctx, "k", "lost", 0).Err()) // by the client's own way
	if now := f.AwaitPrimary(t, old); now != replica {
		t.Fatalf("promoted: %s", now.Public())
	}
	direct := old.Client(t)
	if v := direct.Get(ctx, "k").Val(); v != "lost" {
		t.Errorf("the old primary has %q", v)
	}
	eventually(t, "the client uses the new primary", func() bool { return c.Get(ctx, "k").Val() == "replicated" })

	routes.To(replica.Public()).BlackHole(true)
	if err := c.Get(ctx, "k").Err(); err == nil {
		t.Error("the client is cut off from the new primary and reads all the same")
	}
	routes.To(replica.Public()).BlackHole(false)

	old.Isolate(false)
	eventually(t, "the old primary is a replica", func() bool { return old.InSync(t, replica) })
	eventually(t, "and has what the new one has", func() bool { return old.Client(t).Get(ctx, "k").Val() == "replicated" })
	if err := old.Client(t).Set(ctx, "k", "v", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "READONLY") {
		t.Errorf("a write to the old primary: %v", err)
	}
	if n := old.Errors(t)["READONLY"]; n != 1 {
		t.Errorf("%d errors counted, want 1", n)
	}
}
