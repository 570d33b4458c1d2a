package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// A value whose life Expire has ended was not invalidated: the origin is asked about
// it, on whichever instance, also where nothing is served stale. After a Delete, or a
// tag's invalidation, nobody asks.
func TestLoadIfAfterExpire(t *testing.T) {
	for _, stale := range []time.Duration{0, time.Minute} {
		t.Run(fmt.Sprint("StaleFor ", stale), func(t *testing.T) {
			redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
				b.FlushAll(t)
				cfg := pages()
				cfg.StaleFor = stale
				cfg.Tags = func(string, string) []string { return []string{"tag"} }
				nodes := instances(t, b, 2)
				rs := regions(t, nodes, cfg)
				expire := func() {
					t.Helper()
					received := nodes[1].Stats().Received
					succeeds(t, rs[0].Expire(t.Context(), "k"))
					eventually(t, "the other instance hears of it", func() bool { return nodes[1].Stats().Received > received })
				}
				d := &document{value: "a"}
				d.is(t, rs[0], "a", tiered.SourceLoad)
				d.was(t, 1, "")
				expire()
				if _, err := rs[1].Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) {
					t.Errorf("Get of what has expired: %v", err)
				}
				d.is(t, rs[1], "a", tiered.SourceLoad)
				d.was(t, 0, "a")
				d.is(t, rs[0], "a", tiered.SourceL2)
				expire()
				d.value = "b"
				d.is(t, rs[0], "b", tiered.SourceLoad)
				d.was(t, 1, "a")
				for name, invalidate := range map[string]func() error{
					"Delete":         func() error { return rs[1].Delete(t.Context(), "k") },
					"InvalidateTags": func() error { return rs[1].InvalidateTags(t.Context(), "tag") },
					"Clear":          func() error { return rs[1].Clear(t.Context()) },
				} {
					expire()
					received := nodes[0].Stats().Received
					succeeds(t, invalidate())
					expire() // what is gone does not come back
					eventually(t, name+" is heard of", func() bool { return nodes[0].Stats().Received > received+1 })
					for _, r := range rs {
						d.is(t, r, "b", d.source(r, rs[0]))
					}
					d.was(t, 1, "")
				}
			})
		})
	}
}

// source is where a value comes from that the first of two regions loads.
func (d *document) source(r, first *tiered.Region[string]) tiered.Source {
	if r == first {
		return tiered.SourceLoad
	}
	return tiered.SourceL2
}

// What is kept to be asked about is not served for that: StaleFor counts from the
// Expire.
func TestExpireKeepsNothingStaleForLonger(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		cfg := pages()
		cfg.StaleFor, cfg.RevalidateFor = time.Minute, whole
		rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, cfg)
		d := &document{value: "a"}
		d.is(t, rs[0], "a", tiered.SourceLoad)
		d.was(t, 1, "")
		expires(t, rs[0])
		down := func(context.Context, string, tiered.Entry[string]) (string, tiered.Validator, error) {
			return "", "", errors.New("down")
		}
		for _, r := range rs {
			var info tiered.Info
			if v, err := r.LoadIf(t.Context(), "k", down, tiered.WithInfo(&info)); v != "a" || err != nil || !info.Stale {
				t.Errorf("within StaleFor: %q, %v, %+v", v, err, info)
			}
		}
		pass(time.Minute + near)
		expires(t, rs[1]) // does not prolong
		for _, r := range rs {
			if v, err := r.LoadIf(t.Context(), "k", down); err == nil {
				t.Errorf("after StaleFor: %q", v)
			}
		}
		if left := b.inRedis(t); left > whole-time.Minute {
			t.Errorf("the value stays for %v, want no longer than since the first Expire", left)
		}
		pass(tiered.StaleThrottle)
		d.is(t, rs[1], "a", tiered.SourceLoad)
		d.was(t, 0, "a")
	})
}

// A node that is alone keeps the value in memory.
func TestLoadIfAfterExpireInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := region(t, local(t), pages())
		d := &document{value: "a"}
		d.is(t, r, "a", tiered.SourceLoad)
		expires(t, r)
		if v, err := r.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("Get of what has expired: %q, %v", v, err)
		}
		d.is(t, r, "a", tiered.SourceLoad)
		d.was(t, 1, "", "a")
		expires(t, r)
		succeeds(t, r.Delete(t.Context(), "k"))
		expires(t, r)
		d.is(t, r, "a", tiered.SourceLoad)
		d.was(t, 1, "")
	})
}
