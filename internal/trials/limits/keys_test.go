package limits_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// l1Bytes is the L1 of these tests.
const l1Bytes = 16 << 20

// heapFactor is how much more heap than L1MaxBytes an L1 may take: the account of
// an entry includes what keeping it costs on average, but maps that have grown
// keep the room, and the allocator rounds. The policy's counters come on top.
const heapFactor = 1.5

// slackBytes is for what does not depend on the size: the fences, goroutines,
// the test itself.
const slackBytes = 4 << 20

// A million distinct keys go through an L1 of 16 MiB, which has room for some
// thirty thousand. The heap stays within what L1MaxBytes allows, at its peak and
// at the end; nothing else grows with the number of keys.
//
// The node is Local: with Redis the round trips would take minutes, and L1 is
// the same one. See TestKeysThroughBothTiers for fewer. Under the race detector
// it is a part of the keys; `make test` runs it without as well.
func TestMillionKeysAllocInBounds(t *testing.T) {
	const keys = distinctKeys
	before, routines := heap(), runtime.NumGoroutine()
	n := open(t, tiered.Options{Local: true, L1MaxBytes: l1Bytes})
	r := region(t, n, tiered.Config[string]{Name: "items", MaxL1Bytes: l1Bytes, Size: func(s string) int64 { return int64(len(s)) }})
	load := func(_ context.Context, key string) (string, error) { return key + strings.Repeat("v", 90), nil }
	peak := pass(t, r, keys, load)

	s := n.Stats()
	limit := int64(heapFactor*l1Bytes) + s.L1.PolicyBytes + slackBytes
	after := heap()
	t.Logf("heap: %d KiB before, %d KiB at most, %d KiB after; limit +%d KiB; %+v", before>>10, peak>>10, after>>10, limit>>10, s.L1)
	if grown := max(peak, after) - before; grown > limit {
		t.Errorf("the heap grew by %d bytes, want at most %d", grown, limit)
	}
	if s.L1.Entries == 0 || s.L1.Evictions+s.L1.Rejected == 0 || s.L1.Bytes > l1Bytes+l1Bytes/16 {
		t.Errorf("L1: %+v; want some entries, some that had to go, and at most %d bytes", s.L1, l1Bytes)
	}
	if got := s.Regions["items"].Loads; got != keys {
		t.Errorf("%d loads, want %d", got, keys)
	}
	eventually(t, "the goroutines of the loads end", func() bool { return runtime.NumGoroutine() <= routines+20 })
	runtime.KeepAlive(r)
}

// The same through Redis: what an instance keeps for a key that it has loaded
// and filled does not outlive the key's place in L1.
func TestKeysThroughBothTiers(t *testing.T) {
	const keys = 12_000
	b := redistest.Real(t)
	before, routines := heap(), runtime.NumGoroutine()
	n := open(t, tiered.Options{Redis: b.Client(t), L1MaxBytes: 1 << 20})
	r := region(t, n, tiered.Config[string]{Name: "items", MaxL1Bytes: 1 << 20})
	load := func(_ context.Context, key string) (string, error) { return key + strings.Repeat("v", 90), nil }
	peak := pass(t, r, keys, load)
	if grown, limit := peak-before, int64(1<<20*heapFactor)+slackBytes; grown > limit {
		t.Errorf("the heap grew by %d bytes, want at most %d", grown, limit)
	}
	for i := range keys {
		if i%4 == 0 {
			if err := r.Delete(t.Context(), name(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	after := heap()
	t.Logf("heap: %d KiB before, %d KiB at most, %d KiB after Deletes", before>>10, peak>>10, after>>10)
	if grown, limit := after-before, int64(1<<20*heapFactor)+slackBytes; grown > limit {
		t.Errorf("after Deletes the heap has grown by %d bytes, want at most %d", grown, limit)
	}
	eventually(t, "the goroutines of the loads end", func() bool { return runtime.NumGoroutine() <= routines+60 })
	runtime.KeepAlive(r)
}

func name(i int) string { return fmt.Sprintf("key-%07d", i) }

// pass reads each key once, by some callers at a time, and returns the largest
// heap on the way.
func pass(t *testing.T, r *tiered.Region[string], keys int, load func(context.Context, string) (string, error)) (peak int64) {
	t.Helper()
	const looks, callers = 4, 32
	for look := range looks {
		var next atomic.Int64
		next.Store(int64(look * keys / looks))
		end := int64((look + 1) * keys / looks)
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for i := next.Add(1) - 1; i < end; i = next.Add(1) - 1 {
					key := name(int(i))
					if v, err := r.GetOrLoad(t.Context(), key, load); err != nil || !strings.HasPrefix(v, key) {
						t.Errorf("%s: %q, %v", key, v, err)
						return
					}
				}
			})
		}
		wg.Wait()
		peak = max(peak, heap())
	}
	return peak
}
