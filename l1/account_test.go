package l1_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/doppio-cache/doppio/l1"
)

// wantAccountsToAgree compares what is in the store with the cache's account of
// it and with what the policy goes by.
func wantAccountsToAgree(t *testing.T, h *harness) {
	t.Helper()
	// What corrects a cost may be queued behind the marker of the first Wait.
	h.Wait()
	h.Wait()
	entries, bytes := l1.Held(h.Cache)
	s := h.Stats()
	if s.Entries != entries || s.Bytes != bytes {
		t.Errorf("account: %d entries, %d bytes; in the store: %d, %d", s.Entries, s.Bytes, entries, bytes)
	}
	if charged := l1.Charged(h.Cache); charged != bytes {
		t.Errorf("the policy goes by %d bytes, in the store are %d", charged, bytes)
	}
	if n := l1.Queued(h.Cache); n != 0 {
		t.Errorf("%d puts count as queued after Wait", n)
	}
}

// Whatever is put, by however many goroutines, new, larger, smaller, outdated
// or evicted: the accounts agree afterwards, and after Close there is nothing.
func TestAccountsAgree(t *testing.T) {
	const maxBytes = 1 << 20
	h := newHarness(t, maxBytes)
	var wg sync.WaitGroup
	for g := range uint64(4) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, g))
			for n := range 20_000 {
				i := int(r.ExpFloat64() * 500)
				e := h.entry(i, 100+r.Uint64N(10), n)
				e.Cost = int64(r.ExpFloat64() * 2000)
				if h.value(i) == nil || n%3 == 0 {
					h.Put(e)
				}
				if n%1000 == 0 {
					h.Wait() // or most are dropped
				}
			}
		})
	}
	wg.Wait()
	wantAccountsToAgree(t, h)
	s := h.Stats()
	if s.Evictions == 0 || s.Outdated == 0 {
		t.Errorf("got %+v: the test is to see evictions and outdated puts", s)
	}
	if s.Refused == 0 && !raceEnabled { // sync.Pool forgets then, and Ristretto learns no frequencies
		t.Errorf("got %+v: the test is to see refusals", s)
	}
	if limit := int64(maxBytes + maxBytes/16 + 4*20_000); s.Bytes > limit {
		t.Errorf("got %+v, want at most %d bytes", s, limit)
	}
	h.Close()
	if after := h.Stats(); after.Entries != 0 || after.Bytes != 0 || after.Evictions != s.Evictions {
		t.Errorf("after Close: got %+v, want nothing held and no more evictions", after)
	}
}
