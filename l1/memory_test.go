package l1_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l1"
)

// heap is the memory in use after everything unreachable has been freed.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what sync.Pool kept during the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func wantWithin(t *testing.T, what string, got, want int64, percent int64) {
	t.Helper()
	t.Logf("%s: %d, accounted: %d (%+.1f %%)", what, got, want, 100*(float64(got)/float64(want)-1))
	if got < want-want*percent/100 || got > want+want*percent/100 {
		t.Errorf("%s: %d, want %d, give or take %d %%", what, got, want, percent)
	}
}

// What the cache accounts for is what it takes: just filled, and after its
// entries have been replaced many times, when the maps have grown and are full
// of gaps.
func TestTheHeapIsWhatIsAccountedWithoutRace(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes fourteen seconds to say nothing of the heap that is not said without it")
	}
	type value [100]byte
	tests := []struct {
		name           string
		maxBytes, puts int
	}{
		{"few entries, filled", 1 << 30, 5_000},
		{"many entries, filled", 1 << 30, 200_000},
		{"more entries, filled", 1 << 30, 130_000},
		{"few entries, replaced", 4 << 20, 60_000},
		{"many entries, replaced", 16 << 20, 200_000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, int64(tt.maxBytes))
			before := heap()
			for i := range tt.puts {
				key := fmt.Sprintf("product:%08d", i)
				h.Put(&l1.Entry{
					Region: h.region, Key: key, Value: value{byte(i)}, Cost: int64(len(value{})),
					Mark: h.fences.Stamp(keyspace.Hash("products", key)).At(100),
				})
				if i%1000 == 0 {
					h.Wait()
				}
			}
			h.Wait()
			wantWithin(t, "heap", heap()-before, h.Stats().Bytes, 25)
		})
	}
}

func TestTheHeapOfAnEmptyCacheIsThePolicys(t *testing.T) {
	before := heap()
	h := newHarness(t, 64<<20)
	// Besides: 64 Ki stripes of the fences, the queue, and small things.
	const fences, queue = 8 * 64 << 10, 8 * queuePlaces
	wantWithin(t, "heap", heap()-before-fences-queue, h.Stats().PolicyBytes, 5)
}
