package l1_test

import (
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l1"
)

func TestNewNamesAllProblemsAtOnce(t *testing.T) {
	c, err := l1.New(l1.Options{MaxBytes: -1})
	if c != nil || err == nil {
		t.Fatalf("got %v, %v, want an error", c, err)
	}
	for _, want := range []string{"MaxBytes is -1", "Fences is nil"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

func TestAHitIsOfTheSameRegionAndKeyAndNotVoid(t *testing.T) {
	const k = 7
	tests := []struct {
		name string
		do   func(h *harness)                            // after entry 7 with sequence 100 was put
		get  func(h *harness) (r *l1.Region, key string) // what to ask for, if not entry 7
		hit  bool
	}{
		{name: "as it was put", hit: true},
		{
			name: "another region whose key has the same hash",
			get:  func(h *harness) (*l1.Region, string) { return h.Region("customers"), name(k) },
		}, {
			name: "another key with the same hash",
			get:  func(h *harness) (*l1.Region, string) { return h.region, "forged" },
		}, {
			name: "its stripe is raised above it",
			do:   func(h *harness) { h.own(hash(k), 101) },
		}, {
			name: "its stripe is raised up to it",
			do:   func(h *harness) { h.own(hash(k), 100) },
			hit:  true,
		}, {
			name: "the floor of its partition is raised above it",
			do:   func(h *harness) { h.ownOfAll(h.fences.Partition(hash(k)), 101) },
		}, {
			name: "its stripe is voided",
			do:   func(h *harness) { h.fences.Void(hash(k)) },
		}, {
			name: "its partition is voided",
			do:   func(h *harness) { h.fences.VoidPartition(h.fences.Partition(hash(k))) },
		}, {
			name: "another partition is voided",
			do:   func(h *harness) { h.fences.VoidPartition(h.fences.Partition(hash(k + 1))) },
			hit:  true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, 1<<20)
			if !h.Put(h.entry(k, 100, "v")) {
				t.Fatal("not kept")
			}
			h.Wait()
			if tt.do != nil {
				tt.do(h)
			}
			r, key := h.region, name(k)
			if tt.get != nil {
				r, key = tt.get(h)
			}
			if e, _ := h.Find(r, hash(k), key); (e != nil) != tt.hit {
				t.Errorf("got %v, want a hit: %v", e, tt.hit)
			}
		})
	}
}

func TestFindLeavesTheLifeOfAnEntryToItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, 1<<20)
		e := h.entry(1, 100, "v")
		e.Expires = h.fences.Now() + int64(time.Second)
		h.Put(e)
		h.Wait()
		time.Sleep(time.Minute) //nolint:forbidigo // moves the bubble's clock
		got, now := h.Find(h.region, hash(1), name(1))
		if got != e {
			t.Errorf("got %v, want the expired entry", got)
		}
		if now != h.fences.Now() || now <= e.Expires {
			t.Errorf("decided at %d, want the time on the fences' clock, %d", now, h.fences.Now())
		}
		if got, value, _ := h.Get(h.region, hash(1), name(1)); got != nil || value != nil {
			t.Errorf("Get: got %v, %v, want nothing", got, value)
		}
	})
}

func TestAnEntryNeedsALeaseOnceItIsOlderThanTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fences := fence.New(1, 5*time.Second, 1<<20)
		c, err := l1.New(l1.Options{MaxBytes: 1 << 20, Fences: fences})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		h := &harness{Cache: c, fences: fences, region: c.Region("products")}
		h.Put(h.entry(1, 100, "v"))
		h.Wait()
		time.Sleep(5 * time.Second) //nolint:forbidigo // moves the bubble's clock
		h.wantValue(t, 1, "v")
		time.Sleep(time.Nanosecond) //nolint:forbidigo // moves the bubble's clock
		h.wantValue(t, 1, nil)
		fences.Settle(0, 100, fences.Now())
		h.wantValue(t, 1, "v")
	})
}

func TestEveryMissTellsTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, 1<<20)
		h.Put(h.entry(1, 100, "v"))
		h.Wait()
		h.fences.Void(hash(1))
		time.Sleep(time.Second) //nolint:forbidigo // moves the bubble's clock
		for _, key := range []int{1, 2} {
			if e, now := h.Find(h.region, hash(key), name(key)); e != nil || now != int64(time.Second) {
				t.Errorf("key %d: got %v at %d, want nothing at 1s", key, e, now)
			}
		}
		h.Close()
		if e, now := h.Find(h.region, hash(1), name(1)); e != nil || now != int64(time.Second) {
			t.Errorf("closed: got %v at %d, want nothing at 1s", e, now)
		}
	})
}

func TestPutSaysWhatItDoesNotKeep(t *testing.T) {
	const maxBytes = 100_000
	h := newHarness(t, maxBytes)
	sized := func(cost int64) *l1.Entry {
		e := h.entry(1, 100, "v")
		e.Cost = cost
		return e
	}
	largest := int64(maxBytes - l1.EntryOverhead - len(name(1)))
	tests := []struct {
		name string
		e    *l1.Entry
		want bool
	}{
		{"nil", nil, false},
		{"no region", &l1.Entry{Key: "k"}, false},
		{"as large as the cache", sized(largest), true},
		{"larger than the cache", sized(largest + 1), false},
		{"so large that adding the overhead overflows", sized(math.MaxInt64), false},
		{"a cost below 0", sized(-1 << 40), true},
	}
	for _, tt := range tests {
		if got := h.Put(tt.e); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	h.Wait()
	if s := h.Stats(); s.TooLarge != 2 || s.Entries != 1 || s.Bytes != maxBytes-largest {
		t.Errorf("got %+v, want 2 too large, and 1 entry of cost 0", s)
	}
}

func TestRegionReturnsOneHandlePerName(t *testing.T) {
	h := newHarness(t, 1<<20)
	if h.Region("products") != h.region {
		t.Error("the same name gave another handle")
	}
	if r := h.Region("customers"); r == h.region || r.Name() != "customers" {
		t.Errorf("another name gave %q", r.Name())
	}
}

func TestAHitDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool forgets at random, so Ristretto allocates")
	}
	h := newHarness(t, 1<<20)
	key := "a-product-whose-name-is-rather-long"
	h.Put(&l1.Entry{
		Region: h.region, Key: key, Value: "v",
		Mark: h.fences.Stamp(keyspace.Hash("products", key)).Mark(), Expires: math.MaxInt64,
	})
	h.Wait()
	allocations := testing.AllocsPerRun(10_000, func() {
		e, value, _ := h.Get(h.region, keyspace.Hash("products", key), key)
		if e == nil || value != "v" {
			t.Fatal("miss")
		}
	})
	if allocations != 0 {
		t.Errorf("got %v allocations", allocations)
	}
}
