package limits_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// tagged loads keys, some at a time.
func tagged(t *testing.T, r *tiered.Region[string], keys int) {
	t.Helper()
	load := func(_ context.Context, key string) (string, error) { return key, nil }
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Go(func() {
			for i := g; i < keys; i += 32 {
				if _, err := r.GetOrLoad(t.Context(), fmt.Sprint(i), load); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// Ten thousand tags, two for each value, take what L1MaxBytes allows and no
// goroutines; in Redis each is one key, which ends by itself.
func TestTenThousandTags(t *testing.T) {
	const keys = 10_000
	b := redistest.Real(t)
	before, routines := heap(), runtime.NumGoroutine()
	n := open(t, tiered.Options{Redis: b.Client(t), L1MaxBytes: l1Bytes})
	r := region(t, n, tiered.Config[string]{
		Name: "items",
		Tags: func(key, _ string) []string { return []string{"own:" + key, "common"} },
	})
	tagged(t, r, keys)
	s := n.Stats()
	limit := int64(heapFactor*l1Bytes) + s.L1.PolicyBytes + slackBytes
	if grown := heap() - before; grown > limit || s.L1.Bytes > l1Bytes+l1Bytes/16 {
		t.Errorf("the heap grew by %d bytes, want at most %d; %+v", grown, limit, s.L1)
	}
	eventually(t, "the goroutines of the loads end", func() bool { return runtime.NumGoroutine() <= routines+60 })

	c := b.Client(t)
	names, err := c.Keys(t.Context(), "limits:{*}:t:*").Result()
	if err != nil || len(names) != keys+1 {
		t.Fatalf("Redis knows %d tags, %v; want %d", len(names), err, keys+1)
	}
	if ttl := c.PTTL(t.Context(), names[0]).Val(); ttl <= 0 {
		t.Errorf("a tag is kept for ever: %v", ttl)
	}
	if err := n.InvalidateTags(t.Context(), names...); err != nil { // as many, of other names
		t.Error(err)
	}
	runtime.KeepAlive(r)
}

// To invalidate a tag costs the same, whether ten values have it or ten thousand.
func TestATagOfManyValuesIsInvalidatedLikeOneOfFew(t *testing.T) {
	b := redistest.Real(t)
	p := b.Proxy(t)
	n := open(t, tiered.Options{Redis: p.Client(t), L1MaxBytes: l1Bytes})
	var cost []map[string]int
	for _, keys := range []int{10, 10_000} {
		name := fmt.Sprint("items", keys)
		r := region(t, n, tiered.Config[string]{Name: name, Tags: func(string, string) []string { return []string{name} }})
		tagged(t, r, keys)
		p.ResetCounts()
		if err := n.InvalidateTags(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		counts := p.Commands()
		for command := range counts { // what a probe sends may be among it
			if !strings.HasPrefix(strings.ToLower(command), "eval") {
				delete(counts, command)
			}
		}
		cost = append(cost, counts)
		for i := range keys {
			if v, err := r.Get(t.Context(), fmt.Sprint(i)); err == nil {
				t.Fatalf("key %d has %q still", i, v)
			}
		}
	}
	few, many := 0, 0
	for _, c := range cost[0] {
		few += c
	}
	for _, c := range cost[1] {
		many += c
	}
	if few == 0 || many > few+1 {
		t.Errorf("%d scripts for 10 values, %d for 10,000", few, many)
	}
}
