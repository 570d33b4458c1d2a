package l1_test

import (
	"fmt"
	"testing"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l1"
)

func TestSizing(t *testing.T) {
	tests := []struct {
		maxBytes int64
		sketch   int64
	}{
		{1, 1 << 10},
		{500 * 512, 1 << 16},       // 500 entries, 100 counters each
		{1_000 * 512, 1 << 17},     // 100
		{10_000 * 512, 1 << 19},    // 32
		{100_000 * 512, 1 << 20},   // 10
		{64 << 20, 1 << 21},        // 10
		{1_000_000 * 512, 1 << 24}, // 10
		{1 << 62, 1 << 28},         // the bound
	}
	for _, tt := range tests {
		if sketch, _, _ := l1.Sizing(tt.maxBytes); sketch != tt.sketch {
			t.Errorf("%d bytes: a sketch of %d, want %d", tt.maxBytes, sketch, tt.sketch)
		}
	}
}

func TestThePolicyTakesNoMoreThanIsDocumented(t *testing.T) {
	for maxBytes := int64(1000); maxBytes < 1<<45; maxBytes += maxBytes / 7 {
		sketch, asked, bytes := l1.Sizing(maxBytes)
		if limit := max(3<<20, maxBytes/8); bytes > limit {
			t.Errorf("%d bytes: the policy takes %d, want at most %d", maxBytes, bytes, limit)
		}
		if asked <= sketch/2 || asked > sketch {
			t.Errorf("asked for %d counters, which gives another sketch than one of %d", asked, sketch)
		}
		if bits := float64(asked) * 9.5851; bits > float64(8*sketch) {
			t.Errorf("asked for %d counters, whose filter takes %.0f bits, more than a byte for each of %d", asked, bits, sketch)
		}
	}
}

// A cache of 1,000 entries hits more often than with the number of counters
// that Ristretto advises.
func TestSmallCachesGetMoreCountersWithoutRace(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool forgets at random, and Ristretto learns no frequencies")
	}
	const entries, entryBytes = 1000, 512
	trace := zipfTrace(100_000, 0.8, 600_000, 1)
	keys := make([]string, 100_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("%05d", i)
	}

	b, err := ristretto.NewCache(&ristretto.Config[string, int32]{
		NumCounters: 10 * entries, MaxCost: entries, BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	advised := hitRatio(trace, func(i int32) bool {
		if _, ok := b.Get(keys[i]); ok {
			return true
		}
		b.Set(keys[i], i, 1)
		b.Wait()
		return false
	})

	h := newHarness(t, entries*entryBytes)
	ours := hitRatio(trace, func(i int32) bool {
		hash := keyspace.Hash("products", keys[i])
		if e, _ := h.Find(h.region, hash, keys[i]); e != nil {
			return true
		}
		h.Put(&l1.Entry{
			Region: h.region, Key: keys[i], Cost: entryBytes - l1.EntryOverhead - 5,
			Mark: h.fences.Stamp(hash).At(100),
		})
		h.Wait()
		return false
	})
	t.Logf("hits: %.1f %% with 10 counters for each entry, %.1f %% here", 100*advised, 100*ours)
	if ours < 1.15*advised {
		t.Errorf("got %.1f %%, want at least 1.15 times %.1f %%", 100*ours, 100*advised)
	}
}

// hitRatio is the share of hits in the second half of the trace.
func hitRatio(trace []int32, get func(i int32) bool) float64 {
	hits, half := 0, len(trace)/2
	for n, i := range trace {
		if get(i) && n >= half {
			hits++
		}
	}
	return float64(hits) / float64(half)
}
