package load

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/fleet"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/oracle"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/origin/origintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	bound   = 200 * time.Millisecond
	product = 7
	path    = "/products/7"
)

// start runs three instances.
func start(t *testing.T, kind fleet.Kind, maxStaleness time.Duration) *Target {
	t.Helper()
	server := miniredis.RunT(t)
	f, err := fleet.Start(t.Context(), fleet.Options{
		Kind:      kind,
		Instances: 3,
		DB:        origintest.Open(t),
		Redis: &redis.Options{
			Addr: server.Addr(), DialTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second,
			ContextTimeoutEnabled: true,
		},
		Prefix:       "test",
		L1MaxBytes:   8 << 20,
		L2Timeout:    time.Second,
		MaxStaleness: maxStaleness,
		Logger:       slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	target := NewTarget(f, oracle.New(bound))
	t.Cleanup(func() {
		target.Close()
		if err := f.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return target
}

// version reads the product's version on an instance.
func (t *Target) version(tb testing.TB, instance int) int64 {
	tb.Helper()
	p, err := t.getProduct(tb.Context(), t.Fleet.Instances[instance-1], path)
	if err != nil {
		tb.Fatal(err)
	}
	return p.Version
}

// change changes the product's price on an instance.
func (t *Target) change(tb testing.TB, instance int, cents int64) oracle.Change {
	tb.Helper()
	c, err := t.setPrice(tb.Context(), t.Fleet.Instances[instance-1], product, cents)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// warm makes all instances hold the product in memory.
func (t *Target) warm(tb testing.TB) {
	tb.Helper()
	for n, inst := range t.Fleet.Instances {
		before := inst.Counts()["products"].L1Hits
		until(tb, fmt.Sprintf("a hit in the memory of instance %d", n+1), func() bool {
			t.version(tb, n+1)
			return inst.Counts()["products"].L1Hits > before
		})
	}
}

func TestLostMessageIsNoticedWithinTheBound(t *testing.T) {
	target := start(t, fleet.Doppio, bound)
	target.warm(t)
	target.Fleet.DropMessages(true)
	change := target.change(t, 1, 4711)
	if change.Pending {
		t.Fatal("the invalidation was not confirmed")
	}
	for _, instance := range []int{1, 2, 3} {
		until(t, fmt.Sprintf("the new price on instance %d", instance), func() bool {
			return target.version(t, instance) == change.Version
		})
	}
	if target.Fleet.Dropped() == 0 {
		t.Error("no message was lost: the test has shown nothing")
	}
	if v := target.Oracle.Verdict(); v.TooOld > 0 {
		t.Errorf("%d reads were older than the bound: %s", v.TooOld, v.First)
	}
}

// The same without the probe: the oracle finds it out, so it would find it out
// above as well. The baseline is not better off.
func TestLostMessageIsFoundByTheOracle(t *testing.T) {
	for name, kind := range map[string]fleet.Kind{"without the probe": fleet.Doppio, "the baseline": fleet.Baseline} {
		t.Run(name, func(t *testing.T) {
			target := start(t, kind, time.Hour)
			target.warm(t)
			target.Fleet.DropMessages(true)
			change := target.change(t, 1, 4711)
			until(t, "a read that is too old", func() bool {
				target.version(t, 2)
				return target.Oracle.Verdict().TooOld > 0
			})
			if v := target.version(t, 2); v >= change.Version {
				t.Errorf("instance 2 has version %d all the same", v)
			}
		})
	}
}

// An instance that is cut off answers, and its change reaches the others when
// it is connected again, without anybody repeating it.
func TestChangeOnACutOffInstance(t *testing.T) {
	target := start(t, fleet.Doppio, bound)
	target.warm(t)
	cut := target.Fleet.Instances[2]
	cut.Link.Cut()
	change := target.change(t, 3, 4711)
	if !change.Pending {
		t.Error("the invalidation is said to be confirmed")
	}
	if v := target.version(t, 3); v != change.Version {
		t.Errorf("the instance that made the change shows version %d, want %d", v, change.Version)
	}
	if cut.Unconfirmed() == 0 {
		t.Error("nothing is queued")
	}
	cut.Link.Heal()
	until(t, "the queue to empty", func() bool { return cut.Unconfirmed() == 0 })
	for _, instance := range []int{1, 2, 3} {
		until(t, fmt.Sprintf("the new price on instance %d", instance), func() bool {
			return target.version(t, instance) == change.Version
		})
	}
}

// A new SKU may be remembered as one that nothing has.
func TestChangeOfASKU(t *testing.T) {
	target := start(t, fleet.Doppio, bound)
	status := func(instance int, path string) int {
		status, _, err := target.do(t.Context(), http.MethodGet, target.Fleet.Instances[instance-1].URL+path, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return status
	}
	for _, instance := range []int{1, 2, 3} {
		if got := status(instance, "/skus/new-sku"); got != http.StatusNotFound {
			t.Fatalf("new SKU on instance %d before the change: %d", instance, got)
		}
		if got := status(instance, "/skus/SKU-100007"); got != http.StatusOK {
			t.Fatalf("old SKU on instance %d before the change: %d", instance, got)
		}
	}
	url := target.Fleet.Instances[0].URL + path
	if _, _, err := target.do(t.Context(), http.MethodPatch, url, map[string]string{"sku": "new-sku"}, nil); err != nil {
		t.Fatal(err)
	}
	for _, instance := range []int{1, 2, 3} {
		until(t, fmt.Sprintf("the new SKU on instance %d", instance), func() bool {
			return status(instance, "/skus/new-sku") == http.StatusOK && status(instance, "/skus/SKU-100007") == http.StatusNotFound
		})
	}
}

func TestStampedeLoadsOnce(t *testing.T) {
	target := start(t, fleet.Doppio, bound)
	if n := stampede(t.Context(), target); n != 1 {
		t.Errorf("%d loads, want 1", n)
	}
	if n := target.errors.Load(); n > 0 {
		t.Errorf("%d requests failed: %v", n, *target.firstErr.Load())
	}
}

// What the service answers when it must not is counted, what it may answer is
// not.
func TestErrorsAreCounted(t *testing.T) {
	target := start(t, fleet.Doppio, bound)
	inst := target.Fleet.Instances[0]
	if err := target.get(t.Context(), inst, "/products/999999"); err != nil || target.errors.Load() != 0 {
		t.Errorf("404: %v, %d errors", err, target.errors.Load())
	}
	if err := target.get(t.Context(), inst, "/products/seven"); err == nil || target.errors.Load() != 1 {
		t.Errorf("400: %v, %d errors", err, target.errors.Load())
	}
}

// Visitors of the same seed and number ask for the same things.
func TestVisitorsAreReproducible(t *testing.T) {
	draw := func(seed uint64, n int) (ids [50]int64) {
		v := newVisitor(seed, n)
		for i := range ids {
			ids[i] = v.product()
		}
		return ids
	}
	first := draw(1, 2)
	if again := draw(1, 2); again != first {
		t.Error("the same visitor asks for other products")
	}
	if draw(1, 3) == first || draw(2, 2) == first {
		t.Error("different visitors ask for the same products")
	}
}

// until polls a condition.
func until(tb testing.TB, what string, met func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(30 * time.Second); !met(); {
		if time.Now().After(deadline) {
			tb.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(time.Millisecond) //nolint:forbidigo // between two looks of a poll
	}
}
