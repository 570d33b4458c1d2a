package tiered_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// A value whose tag was invalidated, or whose region was cleared, is gone, not
// stale: neither in memory nor in Redis.
func TestStaleAndTags(t *testing.T) {
	for name, invalidate := range map[string]func(t *testing.T, r *tiered.Region[string]) error{
		"InvalidateTags": func(t *testing.T, r *tiered.Region[string]) error { return r.InvalidateTags(t.Context(), "tag") },
		"Clear":          func(t *testing.T, r *tiered.Region[string]) error { return r.Clear(t.Context()) },
	} {
		for _, mode := range modes {
			t.Run(name+", "+mode.String(), func(t *testing.T) {
				inBubble(t, func(t *testing.T, b *bubble) {
					cfg := tiered.Config[string]{
						Name: "items", Mode: mode, TTL: time.Minute, StaleFor: time.Hour, Jitter: -1,
						Tags: func(string, string) []string { return []string{"tag"} },
					}
					rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, cfg)
					f := &flaky{source: source[string]{value: "old"}}
					for _, r := range rs {
						f.is(t, r, "old", false)
					}
					pass(2 * time.Minute)
					f.down.Store(true)
					for _, r := range rs {
						f.is(t, r, "old", true)
					}
					if err := invalidate(t, rs[0]); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					for _, r := range rs {
						f.fails(t, r)
					}
				})
			})
		}
	}
}

// An instance that comes later judges the tags of what it serves stale, too.
func TestStaleFromRedisWithTags(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		cfg := tiered.Config[string]{
			Name: "items", TTL: time.Minute, StaleFor: time.Hour, Jitter: -1,
			Tags: func(string, string) []string { return []string{"tag"} },
		}
		rs := regions(t, []*tiered.Node{b.node(t), b.node(t), b.node(t)}, cfg)
		f := &flaky{source: source[string]{value: "old"}}
		f.is(t, rs[0], "old", false)
		pass(2 * time.Minute)
		f.down.Store(true)
		f.is(t, rs[1], "old", true)
		if err := rs[0].InvalidateTags(t.Context(), "tag"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f.fails(t, rs[1])
		f.fails(t, rs[2])
	})
}

// A load ahead of time gives the value the tags of the call that began it.
func TestRefreshKeepsTags(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[string]{Name: "items", TTL: 10 * time.Minute, RefreshAhead: 0.5, Jitter: -1})
		f := &flaky{source: source[string]{value: "1"}}
		f.is(t, r, "1", false, tiered.WithTags("tag"))
		f.value = "2"
		pass(6 * time.Minute)
		f.is(t, r, "1", false, tiered.WithTags("tag"))
		pass(time.Second)
		f.is(t, r, "2", false)
		f.value = "3"
		if err := r.InvalidateTags(t.Context(), "tag"); err != nil {
			t.Fatal(err)
		}
		f.is(t, r, "3", false)
	})
}

// Where loads lag behind, an Expire is a Delete: what is loaded at once after it
// may be what was there before.
func TestExpireWithOriginLag(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[string]{Name: "items", StaleFor: time.Hour, OriginLag: time.Second, Jitter: -1})
		f := &flaky{source: source[string]{value: "old"}}
		f.is(t, r, "old", false)
		expires(t, r)
		f.is(t, r, "old", false) // of the replica that lags behind
		f.value = "new"
		pass(2 * time.Second)
		f.is(t, r, "new", false)
		f.down.Store(true)
		expires(t, r)
		f.fails(t, r)
	})
}
