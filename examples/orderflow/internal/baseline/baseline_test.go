package baseline_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/baseline"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/faults"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/regions"
	"github.com/doppio-cache/doppio/tiered"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// instance is one process with the baseline.
type instance struct {
	*baseline.Region[string]
	node *baseline.Node
	link *faults.Link
}

const region = "things"

func start(t *testing.T, server *miniredis.Miniredis) *instance {
	t.Helper()
	var dialer net.Dialer
	inst := &instance{link: faults.NewLink(dialer.DialContext)}
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Dialer: inst.link.Dial, MaxRetries: -1, ContextTimeoutEnabled: true})
	var err error
	inst.node, err = baseline.Open(t.Context(), baseline.Options{
		Redis: client, Prefix: "test", L1MaxBytes: 1 << 20, Timeout: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	inst.Region = baseline.New[string](inst.node, region, time.Hour)
	t.Cleanup(func() {
		inst.link.Heal()
		if err := errors.Join(inst.node.Close(), client.Close(), inst.link.Close()); err != nil {
			t.Error(err)
		}
	})
	return inst
}

// origin is what is loaded from.
type origin struct {
	value atomic.Pointer[string]
	loads atomic.Int64
}

func (o *origin) set(v string) { o.value.Store(&v) }

func (o *origin) load(context.Context, string) (string, error) {
	o.loads.Add(1)
	if v := o.value.Load(); v != nil {
		return *v, nil
	}
	return "", tiered.ErrNotFound
}

func (i *instance) get(t *testing.T, o *origin) string {
	t.Helper()
	v, err := i.GetOrLoad(t.Context(), "k", o.load)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func entry() regions.Entry { return regions.Entry{Region: region, Key: "k"} }

func TestOneLoadForAllInstances(t *testing.T) {
	server := miniredis.RunT(t)
	a, b := start(t, server), start(t, server)
	var o origin
	o.set("v1")
	for _, inst := range []*instance{a, a, b, b} {
		if v := inst.get(t, &o); v != "v1" {
			t.Errorf("got %q", v)
		}
	}
	if n := o.loads.Load(); n != 1 {
		t.Errorf("%d loads, want 1", n)
	}
	if c := b.node.Counts()[region]; c.L2Hits == 0 || c.L2Misses != 0 {
		t.Errorf("second instance: %+v, want its first read answered by Redis", c)
	}
}

func TestAbsenceIsRemembered(t *testing.T) {
	server := miniredis.RunT(t)
	a, b := start(t, server), start(t, server)
	var o origin
	for _, inst := range []*instance{a, a, b} {
		if _, err := inst.GetOrLoad(t.Context(), "k", o.load); !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("error %v", err)
		}
	}
	if n := o.loads.Load(); n != 1 {
		t.Errorf("%d loads, want 1", n)
	}
}

func TestDeleteReachesTheOther(t *testing.T) {
	server := miniredis.RunT(t)
	a, b := start(t, server), start(t, server)
	var o origin
	o.set("v1")
	a.get(t, &o)
	b.get(t, &o)
	o.set("v2")
	if err := a.node.Delete(t.Context(), entry()); err != nil {
		t.Fatal(err)
	}
	until(t, "the new value on both", func() bool { return a.get(t, &o) == "v2" && b.get(t, &o) == "v2" })
}

// This is the flaw that Doppio does not have: after a lost message, a healthy
// connection and any number of later messages about other things, the old value
// is still there.
func TestLostMessageIsNeverNoticed(t *testing.T) {
	server := miniredis.RunT(t)
	a, b := start(t, server), start(t, server)
	var o origin
	o.set("v1")
	until(t, "the value in memory", func() bool { // Ristretto stores in the background
		b.get(t, &o)
		return b.node.Counts()[region].L1Hits > 0
	})
	b.link.DropMessages(true)
	o.set("v2")
	if err := a.node.Delete(t.Context(), entry()); err != nil {
		t.Fatal(err)
	}
	until(t, "the loss", func() bool { return b.link.Dropped() > 0 })
	b.link.DropMessages(false)
	other := regions.Entry{Region: region, Key: "other"}
	if err := a.node.Delete(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if v := b.get(t, &o); v != "v1" {
		t.Errorf("got %q: the baseline is better than it says", v)
	}
}

func TestWithoutRedisItLoads(t *testing.T) {
	server := miniredis.RunT(t)
	a := start(t, server)
	var o origin
	o.set("v1")
	server.SetError("down")
	if v := a.get(t, &o); v != "v1" {
		t.Errorf("got %q", v)
	}
	if err := a.node.Delete(t.Context(), entry()); err == nil || a.node.Failed() != 1 {
		t.Errorf("Delete without Redis: %v, %d failed", err, a.node.Failed())
	}
}

// until polls a condition.
func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !met(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(time.Millisecond) //nolint:forbidigo // between two looks of a poll
	}
}
