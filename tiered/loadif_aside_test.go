package tiered_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// replaceUnheard has a key invalidated by somebody whose message is lost, and then
// stored by a version of the service with another schema, as its key "other" was.
func (b *bubble) replaceUnheard(t *testing.T) {
	t.Helper()
	var k, other string
	for _, key := range b.redis.Keys() {
		switch {
		case strings.HasSuffix(key, ":v:items:k"):
			k = key
		case strings.HasSuffix(key, ":v:items:other"):
			other = key
		}
	}
	envelope, err := b.redis.Get(other)
	succeeds(t, err)
	sequence := strings.TrimSuffix(k, "v:items:k") + "s"
	s, err := b.redis.Get(sequence)
	succeeds(t, err)
	n, err := strconv.ParseInt(s, 10, 64)
	succeeds(t, err)
	succeeds(t, b.redis.Set(sequence, strconv.FormatInt(n+1, 10)))
	succeeds(t, b.redis.Set(k, envelope))
	b.redis.SetTTL(k, whole)
}

// Where Redis has a value of another schema, "unchanged" is about the copy that this
// instance has, and of the invalidation that came before the other value nothing was
// heard: the copy does not include it because Redis has counted it.
func TestLoadIfBesideAValueOfAnotherSchema(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		cfg := pages()
		r := region(t, b.node(t), cfg)
		next := cfg
		next.Schema = "next"
		other := region(t, b.node(t), next)
		d := &document{value: "old", validate: func(string) tiered.Validator { return "weak" }}
		d.is(t, r, "old", tiered.SourceLoad)
		pass(whole + near)
		succeeds(t, other.Set(t.Context(), "other", "x"))
		d.value = "new"
		b.replaceUnheard(t)
		d.is(t, r, "old", tiered.SourceLoad) // it may: nothing was heard, and the bound is not over
		d.was(t, 1, "", "old")
		pass(5 * time.Minute) // the bound is 4
		if got, err := r.LoadIf(t.Context(), "k", d.load); err != nil || got != "new" {
			t.Errorf("more than the bound after the invalidation: %q, %v", got, err)
		}
	})
}

// What L1 has from before a newer value that it has not kept is not asked about: the newer
// one was served, and Redis need not have counted that it came in the older one's place.
func TestLoadIfDoesNotGoBackToACopyThatWasOutlived(t *testing.T) {
	for name, away := range map[string]bool{"beside another schema": false, "without Redis": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				cfg := pages()
				cfg.RevalidateFor, cfg.MaxL1Bytes = time.Minute, 100
				r := region(t, b.node(t), cfg)
				next := cfg
				next.Schema = "next"
				other := region(t, b.node(t), next)
				d := &document{value: "old", validate: func(string) tiered.Validator { return "weak" }}
				d.is(t, r, "old", tiered.SourceLoad)
				pass(whole + 2*time.Minute) // Redis has dropped it
				large := strings.Repeat("new", 100)
				d.value = large
				d.is(t, r, large, tiered.SourceLoad)
				d.is(t, r, large, tiered.SourceL2)
				d.was(t, 2, "", "")
				if away {
					b.redis.SetError(outOfReach)
					defer b.redis.SetError("")
				} else {
					succeeds(t, other.Set(t.Context(), "other", "x"))
					b.replaceUnheard(t)
				}
				d.is(t, r, large, tiered.SourceLoad)
				if got, err := r.Get(t.Context(), "k"); err == nil && got != large {
					t.Errorf("back from the newer value to %q", got)
				}
			})
		})
	}
}

// The same where the newer one was past its life when it was read, and served stale.
func TestLoadIfDoesNotGoBackFromAStaleValue(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		cfg := pages()
		cfg.RevalidateFor, cfg.StaleFor = time.Minute, time.Minute
		rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, cfg)
		d := &document{value: "old", validate: func(string) tiered.Validator { return "weak" }}
		d.is(t, rs[0], "old", tiered.SourceLoad)
		pass(whole + 2*time.Minute) // Redis has dropped it
		d.value = "new"
		d.is(t, rs[1], "new", tiered.SourceLoad)
		pass(whole + near)
		if got, err := rs[0].LoadIf(t.Context(), "k", unreachable); err != nil || got != "new" {
			t.Errorf("past its life: %q, %v; want the stale value", got, err)
		}
		b.redis.SetError(outOfReach)
		defer b.redis.SetError("")
		pass(tiered.StaleThrottle)
		d.is(t, rs[0], "new", tiered.SourceLoad)
	})
}

// Nor is it asked about after a newer one that was not to be kept at all.
func TestLoadIfDoesNotGoBackFromWhatIsNotKept(t *testing.T) {
	for name, change := range map[string]func(cfg *tiered.Config[string], d *document){
		"TTLFor": func(cfg *tiered.Config[string], _ *document) {
			cfg.TTLFor = func(_, v string) time.Duration {
				if v == "new" {
					return -1
				}
				return 0
			}
		},
		"a tag that is none": func(cfg *tiered.Config[string], _ *document) {
			cfg.Tags = func(_, v string) []string {
				if v == "new" {
					return []string{""}
				}
				return nil
			}
		},
	} {
		for _, alone := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " alone=", alone), func(t *testing.T) {
				inBubble(t, func(t *testing.T, b *bubble) {
					cfg := pages()
					d := &document{value: "old", validate: func(string) tiered.Validator { return "weak" }}
					change(&cfg, d)
					n := local(t)
					if !alone {
						n = b.node(t)
						cfg.Mode = tiered.L1Only
					}
					r := region(t, n, cfg)
					d.is(t, r, "old", tiered.SourceLoad)
					pass(whole + near)
					d.value = "new"
					if got, err := r.GetOrLoad(t.Context(), "k", func(context.Context, string) (string, error) { return "new", nil }); got != "new" || err != nil {
						t.Fatal(got, err)
					}
					d.was(t, 1, "")
					d.is(t, r, "new", tiered.SourceLoad)
					d.was(t, 1, "")
				})
			})
		}
	}
}
