package instance

import (
	"context"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
	"github.com/doppio-cache/doppio/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

func open(t *testing.T) *doppio {
	t.Helper()
	s := &wire.Settings{
		Bound: time.Second, L2Timeout: 10 * time.Second, Instances: 1,
		Regions: wire.Regions{{Keys: 64, TTL: time.Hour}, {Keys: 16, TTL: time.Hour, StaleFor: time.Hour}, {Keys: 16, TTL: time.Hour}, {Keys: 16, TTL: time.Hour}},
	}
	d, err := openDoppio(t.Context(), s, redistest.Start(t).Client(t), &plan{s.Regions, 1}, origin{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.node.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := d.node.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// That a Mutate has its tombstones is seen where the library puts them. This
// fails when it puts them elsewhere, or they live for another time.
func TestTombstonesAreSeen(t *testing.T) {
	d := open(t)
	keys := []uint32{5, 40}
	put := func(keys ...uint32) {
		t.Helper()
		for _, key := range keys {
			if err := d.of(key).Set(t.Context(), nameOf(key), Item{Version: 1, Body: body}); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(keys...)
	look := func(since int64) wire.Tombstone { return d.stones.of(t.Context(), "items", namesOf(keys), since) }
	if s := look(wire.Now()); s.Ends != 0 {
		t.Errorf("values are taken for tombstones: %+v", s)
	}
	began := wire.Now()
	done, ok := d.mutate(t.Context(), keys, func(_ context.Context, stone wire.Tombstone) (*change, error) {
		now := wire.Now()
		if life := int64(wire.TombstoneLife); stone.Since < began || stone.Sure < now || stone.Ends < stone.Sure || stone.Ends > now+life+1e9 {
			t.Errorf("%+v, began %d, now %d", stone, began, now)
		}
		if s := look(now + int64(time.Minute)); s.Ends != 0 {
			t.Error("a tombstone from before is taken for one's own")
		}
		if _, ok := d.mutate(t.Context(), keys[1:], nil); ok {
			t.Error("two Mutates of a key at once")
		}
		return &change{how: wire.Mutate, keys: keys, versions: []uint64{2, 2}}, nil
	})
	if !ok || len(done) != 2 || !done[0].Confirmed {
		t.Errorf("Mutate: %v, %+v", ok, done)
	}
	put(keys[0])
	if s := look(began); s.Ends != 0 {
		t.Errorf("there is none any more: %+v", s)
	}
}
