package l1_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/l1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// harness is a cache with its fences and one region. There are no peers, so
// entries are valid until a fence is raised.
type harness struct {
	*l1.Cache
	fences *fence.Table
	region *l1.Region
}

func newHarness(tb testing.TB, maxBytes int64) *harness {
	tb.Helper()
	fences := fence.New(4, time.Minute, maxBytes)
	fences.GrantForever()
	c, err := l1.New(l1.Options{MaxBytes: maxBytes, Fences: fences})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return &harness{Cache: c, fences: fences, region: c.Region("products")}
}

// name and hash are those of key number i; no two share a stripe.
func name(i int) string { return fmt.Sprintf("key%05d", i) }

func hash(i int) uint64 { return uint64(i)<<32 | uint64(i) }

// entry is one of key number i with the given sequence.
func (h *harness) entry(i int, seq uint64, value any) *l1.Entry {
	return &l1.Entry{
		Region: h.region, Key: name(i), Value: value,
		Mark: h.fences.Stamp(hash(i)).At(seq), Expires: h.fences.Now() + int64(time.Hour),
	}
}

// own takes in an invalidation of a key that this instance has made, as number seq.
func (h *harness) own(hash, seq uint64) {
	p := h.fences.Partition(hash)
	h.fences.Invalidated(p, []uint64{hash}, seq, fence.Position{Generation: h.fences.Position(p).Generation})
}

// ownOfAll is own for all keys of a partition.
func (h *harness) ownOfAll(p int, seq uint64) {
	h.fences.Invalidated(p, nil, seq, fence.Position{Generation: h.fences.Position(p).Generation})
}

// value is what a Get of key number i finds, nil if nothing.
func (h *harness) value(i int) any {
	if e, _ := h.Find(h.region, hash(i), name(i)); e != nil {
		return e.Value
	}
	return nil
}

func (h *harness) wantValue(t *testing.T, i int, want any) {
	t.Helper()
	if got := h.value(i); got != want {
		t.Errorf("key %d: got %v, want %v", i, got, want)
	}
}

// eventually polls until ok holds.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			tb.Fatalf("not within 30s: %s", what)
		}
		time.Sleep(100 * time.Microsecond) //nolint:forbidigo // between two looks of a poll
	}
}

// once returns a func that calls f the first time.
func once(f func()) func() {
	var done atomic.Bool
	return func() {
		if !done.Swap(true) {
			f()
		}
	}
}
