package limits_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// More Deletes fail than the queue has room for. What is queued stays bounded,
// and none is forgotten: afterwards no instance has a value that was deleted.
func TestFailedDeletesBeyondTheQueue(t *testing.T) {
	const (
		deletes  = 100_000
		batch    = 1000
		watched  = 200
		queue    = 65_536
		perEntry = 1 << 10 // bytes of heap, for the key, the queue and a PendingError's share
	)
	b := redistest.Real(t)
	proxy := b.Proxy(t)
	// Long enough that the other instance can vouch for what it reads at first.
	opts := tiered.Options{L1MaxBytes: 1 << 20, MaxStaleness: 3 * time.Second}
	opts.Redis = proxy.Client(t)
	na := open(t, opts)
	opts.Redis = b.Client(t)
	nb := open(t, opts)
	a, z := region(t, na, tiered.Config[int]{Name: "items"}), region(t, nb, tiered.Config[int]{Name: "items"})
	version := func(v int) func(context.Context, string) (int, error) {
		return func(context.Context, string) (int, error) { return v, nil }
	}
	for i := range watched {
		reads(t, a, key(i*deletes/watched), version(1), 1, tiered.SourceLoad)
		reads(t, z, key(i*deletes/watched), none, 1, tiered.SourceL2)
	}

	before := heap()
	proxy.Refuse(true)
	most := 0
	for i := 0; i < deletes; i += batch {
		var keys []string
		for j := range batch {
			keys = append(keys, key(i+j))
		}
		var pending *tiered.PendingError
		if err := a.Delete(t.Context(), keys...); !errors.As(err, &pending) || len(pending.Refs) != batch {
			t.Fatalf("Delete: %v, want a PendingError of %d keys", err, batch)
		}
		most = max(most, na.Stats().PendingRetries)
	}
	s := na.Stats()
	if most > queue+tiered.DefaultPartitions || s.RetryOverflows == 0 {
		t.Errorf("at most %d waited, %d overflows; want at most %d, and some overflows", most, s.RetryOverflows, queue)
	}
	if grown := heap() - before; grown > queue*perEntry {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	for i := range watched {
		reads(t, a, key(i*deletes/watched), version(2), 2, tiered.SourceLoad)
	}

	proxy.Refuse(false)
	eventually(t, "nothing is pending", func() bool {
		s := na.Stats()
		return s.PendingRetries == 0 && !s.Degraded
	})
	well := time.Now()
	eventually(t, "the bound is over", func() bool { return time.Since(well) > opts.MaxStaleness })
	for i := range watched {
		for name, r := range map[string]*tiered.Region[int]{"the deleting instance": a, "the other one": z} {
			for _, opts := range [][]tiered.Option{nil, {tiered.BypassL1()}} {
				if v, err := r.Get(t.Context(), key(i*deletes/watched), opts...); err == nil && v == 1 {
					t.Errorf("%s still has %s", name, fmt.Sprint(i*deletes/watched))
				}
			}
		}
	}
}
