package l1_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/doppio-cache/doppio/l1"
)

// Each test in this file shows something that Ristretto does which would break
// a guarantee, and then that this package is not affected. If the first part
// of one fails after an update of Ristretto, what it is about may have been
// mended, and the code that it is the reason for may go.

// bare is a Ristretto as its documentation shows it. Setting the value stallAt
// makes the goroutine that works off its queue stop until release is called.
type bare struct {
	*ristretto.Cache[string, int]
	release func()
	stalled chan struct{}
}

const stallAt = -1

func newBare(tb testing.TB, change func(*ristretto.Config[string, int])) *bare {
	tb.Helper()
	stalled, released := make(chan struct{}), make(chan struct{})
	config := &ristretto.Config[string, int]{
		NumCounters: 10_000, MaxCost: 1000, BufferItems: 64, IgnoreInternalCost: true,
		Cost: func(v int) int64 {
			if v == stallAt {
				close(stalled)
				<-released
			}
			return 1
		},
	}
	if change != nil {
		change(config)
	}
	c, err := ristretto.NewCache(config)
	if err != nil {
		tb.Fatal(err)
	}
	b := &bare{Cache: c, stalled: stalled, release: once(func() { close(released) })}
	tb.Cleanup(func() {
		b.release()
		c.Close()
	})
	return b
}

// stall makes the goroutine stop. Whatever is queued before is processed,
// whatever is queued after is not until release.
func (b *bare) stall() {
	b.Set("stall", stallAt, 0)
	<-b.stalled
}

func (b *bare) want(t *testing.T, key string, want int, found bool) {
	t.Helper()
	if got, ok := b.Get(key); ok != found || got != want {
		t.Errorf("Ristretto: Get(%q) = %d, %v, want %d, %v", key, got, ok, want, found)
	}
}

func TestSetIsQueued(t *testing.T) {
	b := newBare(t, nil)
	b.stall()
	b.Set("k", 1, 1)
	b.want(t, "k", 0, false)
	b.release()
	b.Wait()
	b.want(t, "k", 1, true)

	// Here too. It matters to none of the guarantees; who needs the value to be
	// there calls Wait.
	h := newHarness(t, 1<<20)
	release := l1.Stall(h.Cache)
	h.Put(h.entry(1, 100, 1))
	h.wantValue(t, 1, nil)
	release()
	h.Wait()
	h.wantValue(t, 1, 1)
}

func TestAValueIsSeenAfterDel(t *testing.T) {
	// The goroutine stands still until all three are queued, and once more between
	// the Set and the Del: whichever of them it would be quick enough for.
	const again = -2
	between, released := make(chan struct{}), make(chan struct{})
	goOn := once(func() { close(released) })
	b := newBare(t, func(c *ristretto.Config[string, int]) {
		cost := c.Cost
		c.Cost = func(v int) int64 {
			if v == again {
				close(between)
				<-released
			}
			return cost(v)
		}
	})
	t.Cleanup(goOn)
	b.stall()
	b.Set("k", 1, 1)
	b.Set("again", again, 0)
	b.Del("k")
	b.release()
	<-between
	b.want(t, "k", 1, true) // the Set was queued, and so is the Del
	goOn()
	b.Wait()
	b.want(t, "k", 0, false)

	voids := map[string]func(h *harness){
		"Invalidated":   func(h *harness) { h.own(hash(1), 101) },
		"Heard":         func(h *harness) { h.fences.Heard(h.fences.Partition(hash(1)), 101, []uint64{hash(1)}) },
		"Void":          func(h *harness) { h.fences.Void(hash(1)) },
		"VoidPartition": func(h *harness) { h.fences.VoidPartition(h.fences.Partition(hash(1))) },
	}
	for name, void := range voids {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, 1<<20)
			release := l1.Stall(h.Cache)
			h.Put(h.entry(1, 100, 1))
			void(h)
			h.wantValue(t, 1, nil)
			release()
			for l1.Queued(h.Cache) > 0 {
				h.wantValue(t, 1, nil)
			}
			h.Wait()
			h.wantValue(t, 1, nil)
			if s := h.Stats(); s.Entries != 2 { // ours and the one of Stall
				t.Errorf("got %+v: the entry was to be there, and void", s)
			}
		})
	}
}

func TestTheSecondSetOfANewKeyIsLost(t *testing.T) {
	b := newBare(t, nil)
	b.stall()
	b.Set("k", 1, 1)
	b.Set("k", 2, 1)
	b.release()
	b.Wait()
	b.want(t, "k", 1, true)

	h := newHarness(t, 1<<20)
	release := l1.Stall(h.Cache)
	h.Put(h.entry(1, 100, 1))
	h.Put(h.entry(1, 101, 2))
	release()
	h.Wait()
	h.wantValue(t, 1, 2)
}

// queuePlaces is the length of Ristretto's queue, which it does not let anyone
// choose.
const queuePlaces = 32 * 1024

func TestSetsAreDroppedWhenTheQueueIsFull(t *testing.T) {
	const plenty = 1_000_000
	b := newBare(t, func(c *ristretto.Config[string, int]) { c.MaxCost = plenty })
	b.Set("old", 1, 1)
	b.Wait()
	b.stall()
	taken := int64(0)
	for b.Set(name(int(taken)), 1, 1) {
		taken++
	}
	if taken != queuePlaces {
		t.Errorf("Ristretto: took %d Sets, want %d", taken, queuePlaces)
	}
	// An overwrite is taken, but what it costs is not.
	if !b.Set("old", 2, 500) {
		t.Error("Ristretto: the overwrite was not taken")
	}
	b.release()
	b.Wait()
	b.want(t, "old", 2, true)
	if used, want := plenty-b.RemainingCost(), taken+2; used != want {
		t.Errorf("Ristretto: accounts for %d, want %d", used, want)
	}

	h := newHarness(t, 64<<20)
	h.Put(h.entry(0, 100, "old"))
	h.Wait()
	release := l1.Stall(h.Cache)
	kept := int(l1.Queued(h.Cache))
	for h.Put(h.entry(1+kept, 100, "new")) {
		kept++
	}
	if kept != l1.MaxQueued {
		t.Errorf("took %d puts, want %d", kept, l1.MaxQueued)
	}
	overwrite := h.entry(0, 101, "larger")
	overwrite.Cost = 1 << 20
	if h.Put(overwrite) {
		t.Error("took an overwrite whose cost it cannot note")
	}
	h.wantValue(t, 0, "old") // as good as before: the fences decide
	release()
	h.Wait()
	if s := h.Stats(); s.Dropped != 2 {
		t.Errorf("got %+v, want 2 dropped", s)
	}
	wantAccountsToAgree(t, h)
	if !h.Put(overwrite) {
		t.Error("did not recover")
	}
	h.wantValue(t, 0, "larger")
}

func TestDelBlocksWhenTheQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, nil)
		b.stall()
		for i := 0; b.Set(name(i), 1, 1); i++ {
			continue
		}
		var returned atomic.Bool
		go func() {
			b.Del("k")
			returned.Store(true)
		}()
		synctest.Wait() // until nothing can go on by itself
		if returned.Load() {
			t.Error("Ristretto: Del returned")
		}
		b.release()
		synctest.Wait()
		if !returned.Load() {
			t.Error("Ristretto: Del has not returned although the queue is empty")
		}
	})

	h := newHarness(t, 64<<20)
	h.Put(h.entry(0, 100, "v"))
	h.Wait()
	release := l1.Stall(h.Cache)
	for i := 1; h.Put(h.entry(i, 100, "new")); i++ {
		continue
	}
	h.own(hash(0), 101)
	h.wantValue(t, 0, nil)
	release()
}

func TestClearIsNotAtomic(t *testing.T) {
	var cache *ristretto.Cache[uint64, int]
	seen := 0
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, int]{
		NumCounters: 10_000, MaxCost: 1000, BufferItems: 64, IgnoreInternalCost: true,
		OnEvict: func(item *ristretto.Item[int]) {
			// Clear takes one part of its store after the other.
			if item.Key == 0 {
				seen, _ = cache.Get(255)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	cache.Set(0, 1, 1)
	cache.Set(255, 2, 1)
	cache.Wait()
	cache.Clear()
	if seen != 2 {
		t.Error("Ristretto: during Clear, after it had dropped a key, another was gone as well")
	}

	// Raising a floor is one store. Whatever is in the cache or on its way there
	// is void from then on, and what is newer is not.
	h := newHarness(t, 1<<20)
	const entries = 100
	for i := range entries {
		h.Put(h.entry(i, 100, "old"))
	}
	h.Wait()
	release := l1.Stall(h.Cache)
	for i := range entries {
		h.Put(h.entry(entries+i, 100, "old and queued"))
		h.Put(h.entry(2*entries+i, 101, "new"))
	}
	for p := range h.fences.Partitions() {
		h.ownOfAll(p, 101)
	}
	release()
	h.Wait()
	for i := range entries {
		h.wantValue(t, i, nil)
		h.wantValue(t, entries+i, nil)
		h.wantValue(t, 2*entries+i, "new")
	}
}

func TestAnOverwriteThatLosesLeavesItsCost(t *testing.T) {
	b := newBare(t, func(c *ristretto.Config[string, int]) {
		c.ShouldUpdate = func(v, old int) bool { return v > old }
	})
	b.Set("k", 2, 10)
	b.Wait()
	b.Set("k", 1, 500)
	b.Wait()
	b.want(t, "k", 2, true)
	if used := b.MaxCost() - b.RemainingCost(); used != 500 {
		t.Errorf("Ristretto: accounts for %d, want the 500 of the value that it refused", used)
	}

	h := newHarness(t, 1<<20)
	h.Put(h.entry(1, 101, "newer"))
	h.Wait()
	loser := h.entry(1, 100, "older")
	loser.Cost = 500
	h.Put(loser)
	h.Wait()
	h.wantValue(t, 1, "newer")
	if s := h.Stats(); s.Outdated != 1 {
		t.Errorf("got %+v, want 1 outdated", s)
	}
	wantAccountsToAgree(t, h)
}

func TestOverwritingMakesNoRoom(t *testing.T) {
	const keys, maxCost = 100, 1000
	b := newBare(t, nil)
	for i := range keys {
		b.Set(name(i), 1, 1)
	}
	b.Wait()
	for i := range keys {
		b.Set(name(i), 2, 100)
	}
	b.Wait()
	if used := b.MaxCost() - b.RemainingCost(); used != keys*100 {
		t.Errorf("Ristretto: holds %d of at most %d, want %d", used, maxCost, keys*100)
	}

	const maxBytes, small, large = 4 << 20, 0, 64 << 10
	h := newHarness(t, maxBytes)
	put := func(i int, seq uint64, cost int64) {
		e := h.entry(i, seq, seq)
		e.Cost = cost
		h.Put(e)
		h.Wait()
		h.Wait() // what is handed over again is queued behind the first
	}
	for i := range 1000 {
		put(i, 100, small)
	}
	for i := range 1000 { // 16 times as much as there may be
		put(i, 101, large)
		if s := h.Stats(); s.Bytes > maxBytes+maxBytes/16+large+l1.EntryOverhead {
			t.Fatalf("after %d overwrites: got %+v, want a sixteenth and one overwrite above MaxBytes at most", i+1, s)
		}
	}
	wantAccountsToAgree(t, h)
	// A key that was refused then is not shut out: once it has been taken out,
	// its next entry passes admission like any other that is asked for.
	for i := range 100 {
		eventually(t, "the key that is asked for most is kept", func() bool {
			for range 100 {
				h.value(i)
			}
			put(i, 102, large)
			return h.value(i) == uint64(102)
		})
	}
	wantAccountsToAgree(t, h)
}
