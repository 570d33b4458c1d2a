package tiered_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// byBrand is a region whose values know their tags: a product belongs to a brand.
var byBrand = tiered.Config[string]{
	Name: "products", Jitter: -1,
	Tags: func(_, v string) []string { return []string{"brand:" + v} },
}

func invalidateTags(t testing.TB, n *tiered.Node, tags ...string) {
	t.Helper()
	if err := n.InvalidateTags(t.Context(), tags...); err != nil {
		t.Fatalf("InvalidateTags(%q): %v", tags, err)
	}
}

func TestATagInvalidatesItsValuesEverywhereAndNoOthers(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		nodes := instances(t, b, 3)
		products := regions(t, nodes, byBrand)
		lists := regions(t, nodes, tiered.Config[string]{Name: "lists", Jitter: -1})
		acme, other := &source[string]{value: "acme"}, &source[string]{value: "other"}
		warm := func(i int) {
			for r, keys := range map[*tiered.Region[string]]map[string]*source[string]{
				products[i]: {"1": acme, "2": other},
			} {
				for key, s := range keys {
					_, _, _ = read(t, r, key, s)
					settles(t, r, key)
				}
			}
			_, _, _ = read(t, lists[i], "front", acme, tiered.WithTags("brand:acme", "front"))
			settles(t, lists[i], "front")
		}
		for i := range nodes {
			warm(i)
			warm(i) // a first fill may have been older than the tag's first mention
		}
		acme.calls.Store(0)
		other.calls.Store(0)
		invalidateTags(t, nodes[0], "brand:acme")
		for i := range nodes {
			eventually(t, "the tag's values are gone", func() bool {
				_, err := products[i].Get(t.Context(), "1")
				return errors.Is(err, tiered.ErrNotFound)
			})
			if _, err := lists[i].Get(t.Context(), "front"); !errors.Is(err, tiered.ErrNotFound) {
				t.Errorf("a value of another region with the tag: %v", err)
			}
			if v, err := products[i].Get(t.Context(), "2"); v != "other" || err != nil {
				t.Errorf("a value without the tag: %q, %v", v, err)
			}
		}
		for i := range nodes {
			wantsValue(t, products[i], "1", acme, "acme")
		}
		acme.reads(t, 1)
		other.reads(t, 0)
	})
}

func wantsValue(t *testing.T, r *tiered.Region[string], key string, s *source[string], want string, opts ...tiered.Option) {
	t.Helper()
	if v, _, err := read(t, r, key, s, opts...); v != want || err != nil {
		t.Errorf("GetOrLoad(%q) = %q, %v; want %q", key, v, err, want)
	}
}

// An instance that has just come does not know what happened to the tags of the
// values that it finds in Redis, and asks.
func TestALateInstanceAsksForTags(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		first := region(t, instances(t, b, 1)[0], byBrand)
		s := &source[string]{value: "acme"}
		wantsValue(t, first, "1", s, "acme")
		invalidateTags(t, instances(t, b, 1)[0], "brand:acme")
		// It stores the value under what it has heard of the tag.
		eventually(t, "the first instance has heard", func() bool {
			_, err := first.Get(t.Context(), "1")
			return errors.Is(err, tiered.ErrNotFound)
		})
		wantsValue(t, first, "1", s, "acme")
		s.calls.Store(0)
		late := instances(t, b, 1)[0]
		wants(t, region(t, late, byBrand), "1", s, "acme", tiered.SourceL2)
		s.reads(t, 0)

		// Its own invalidation, and then another late one.
		invalidateTags(t, late, "brand:acme")
		later := region(t, instances(t, b, 1)[0], byBrand)
		if _, err := later.Get(t.Context(), "1"); !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("an instance that came after the invalidation got %v", err)
		}
	})
}

// A load that is under way when one of its tags is invalidated is not served
// afterwards, though nobody knew before it ended that it has the tag; and what it
// brought is stored for nobody.
func TestALoadDoesNotSurviveTheInvalidationOfItsTag(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		nodes := instances(t, b, 3)
		rs := regions(t, nodes, tiered.Config[int]{
			Name: "items", Jitter: -1,
			Tags: func(string, int) []string { return []string{"all"} },
		})
		for i := range rs { // here: on the instance that loads; there: on another one
			o := newOrigin()
			key := fmt.Sprint(i)
			o.commit(key)
			held := o.holdNext()
			var wg sync.WaitGroup
			wg.Go(func() {
				if v, err := rs[0].GetOrLoad(t.Context(), key, o.load); i == 0 && (err != nil || v != 2) {
					t.Errorf("the caller that loads got version %d, %v; want 2", v, err)
				}
			})
			<-held.read
			o.commit(key)
			invalidateTags(t, nodes[i], "all")
			close(held.release)
			wg.Wait()
			eventually(t, "everybody has version 2", func() bool {
				for _, r := range rs {
					if v, err := r.GetOrLoad(t.Context(), key, o.load); err != nil || v != 2 {
						return false
					}
				}
				return true
			})
			fresh := region(t, instances(t, b, 1)[0], tiered.Config[int]{Name: "items", Jitter: -1})
			if v, err := fresh.Get(t.Context(), key); err == nil && v != 2 {
				t.Errorf("Redis has version %d", v)
			}
		}
	})
}

// G1b for tags: lost messages change nothing.
func TestTagsKeepTheBoundWhenMessagesAreLost(t *testing.T) {
	f := newFleet(t, 3, func(c *tiered.Config[int]) {
		c.Tags = func(string, int) []string { return []string{"all"} }
	})
	a, b := f.members[0], f.members[1]
	for round := range 5 {
		key := fmt.Sprintf("k%d", round)
		f.origin.commit(key)
		b.warm(t, key)
		b.proxy.DropMessages(allMessages)
		want := f.origin.commit(key)
		invalidateTags(t, a.Node, "all")
		deleted := time.Now()
		for {
			begin := time.Now()
			if got := b.get(t, key); begin.Sub(deleted) > bound && got < want {
				t.Fatalf("a read that began %v after the tag was invalidated returned version %d, want %d", begin.Sub(deleted), got, want)
			}
			if begin.Sub(deleted) > bound+bound/2 {
				break
			}
			pause()
		}
		if got := a.get(t, key); got != want {
			t.Errorf("on the instance that invalidated: version %d, want %d", got, want)
		}
	}
}

// Redis cannot be reached: the invalidation is queued, holds here at once, and
// for all others when Redis is back.
func TestAnUnconfirmedTagIsPending(t *testing.T) {
	f := newFleet(t, 2, func(c *tiered.Config[int]) {
		c.Tags = func(string, int) []string { return []string{"all", "more"} }
	})
	a, b := f.members[0], f.members[1]
	f.origin.commit("k")
	a.warm(t, "k")
	b.warm(t, "k")
	a.proxy.Refuse(true)
	a.proxy.Cut()
	f.origin.commit("k")
	err := a.InvalidateTags(t.Context(), "all", "unused")
	var pending *tiered.PendingError
	if !errors.As(err, &pending) || !errors.Is(err, tiered.ErrUnavailable) {
		t.Fatalf("got %v, want a PendingError", err)
	}
	if strings.Join(pending.Tags, " ") != "all unused" || len(pending.Refs) != 0 || !strings.Contains(err.Error(), `tag "all"`) {
		t.Errorf("got %+v: %v", pending, err)
	}
	if got := a.get(t, "k"); got != 2 {
		t.Errorf("here: version %d, want 2", got)
	}
	a.proxy.Refuse(false)
	eventually(t, "version 2 there", func() bool { return b.get(t, "k") == 2 })
	eventually(t, "nothing is pending", func() bool { return a.Stats().PendingRetries == 0 })
}

func TestTagsOfALostRedis(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		nodes := instances(t, b, 2)
		rs := regions(t, nodes, byBrand)
		s := &source[string]{value: "acme"}
		for _, r := range rs {
			wantsValue(t, r, "1", s, "acme")
		}
		b.FlushAll(t)
		invalidateTags(t, nodes[0], "brand:acme")
		for _, r := range rs {
			eventually(t, "the value is gone", func() bool {
				_, err := r.Get(t.Context(), "1")
				return errors.Is(err, tiered.ErrNotFound)
			})
		}
	})
}

// A tag that Redis has forgotten counts as invalidated.
func TestAForgottenTagCountsAsInvalidated(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		r := region(t, instances(t, b, 1)[0], byBrand)
		s := &source[string]{value: "acme"}
		wantsValue(t, r, "1", s, "acme")
		c := b.Client(t)
		invalidateTags(t, instances(t, b, 1)[0], "another") // so that sequences have moved on
		forget(t, c, "test:{*}:t:*")
		late := instances(t, b, 1)[0]
		invalidateTags(t, late, "yet another", "brand:else", "x", "y", "z")
		s.calls.Store(0)
		if _, err := region(t, late, byBrand).Get(t.Context(), "1"); err != nil && !errors.Is(err, tiered.ErrNotFound) {
			t.Error(err)
		}
		wantsValue(t, r, "1", s, "acme")
	})
}

func forget(t *testing.T, c redis.UniversalClient, pattern string) {
	t.Helper()
	names, err := c.Keys(t.Context(), pattern).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := c.Del(t.Context(), name).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTagsOfSetAndOfNegativeEntries(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		nodes := instances(t, b, 2)
		rs := regions(t, nodes, byBrand)
		if err := rs[0].Set(t.Context(), "1", "acme", tiered.WithTags("promo")); err != nil {
			t.Fatal(err)
		}
		settles(t, rs[0], "1")
		invalidateTags(t, nodes[1], "promo")
		eventually(t, "the value that was set is gone", func() bool {
			_, err := rs[0].Get(t.Context(), "1")
			return errors.Is(err, tiered.ErrNotFound)
		})
		none := &source[string]{err: tiered.ErrNotFound}
		for range 2 {
			if _, _, err := read(t, rs[0], "2", none, tiered.WithTags("search")); !errors.Is(err, tiered.ErrAbsent) {
				t.Fatal(err)
			}
		}
		invalidateTags(t, nodes[1], "search")
		eventually(t, "the negative entry is gone", func() bool {
			_, err := rs[0].Get(t.Context(), "2")
			return !errors.Is(err, tiered.ErrAbsent)
		})
	})
}

func TestTagsInALocalNode(t *testing.T) {
	n := local(t)
	r := region(t, n, byBrand)
	s := &source[string]{value: "acme"}
	wantsValue(t, r, "1", s, "acme")
	wantsValue(t, r, "1", s, "acme")
	s.reads(t, 1)
	invalidateTags(t, n, "brand:acme", "brand:other")
	wantsValue(t, r, "1", s, "acme")
	s.reads(t, 1)
	if err := r.Set(t.Context(), "1", "acme"); err != nil {
		t.Fatal(err)
	}
	if err := r.InvalidateTags(t.Context(), "brand:acme"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Get(t.Context(), "1"); !errors.Is(err, tiered.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestInvalidTags(t *testing.T) {
	n := local(t)
	r := region(t, n, byBrand)
	long := strings.Repeat("x", tiered.MaxTagBytes+1)
	many := make([]string, tiered.MaxTags+1)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	s := &source[string]{value: "acme"}
	for name, tags := range map[string][]string{"empty": {""}, "too long": {"ok", long}, "too many": many} {
		_, _, err := read(t, r, "1", s, tiered.WithTags(tags...))
		if !errors.Is(err, tiered.ErrInvalidOption) || !errors.Is(err, tiered.ErrInvalidTag) {
			t.Errorf("%s: WithTags: got %v", name, err)
		}
	}
	wantsValue(t, r, "1", s, "acme")
	if err := n.InvalidateTags(t.Context(), "", "brand:acme", long); !errors.Is(err, tiered.ErrInvalidTag) {
		t.Errorf("InvalidateTags: got %v", err)
	}
	if _, err := r.Get(t.Context(), "1"); !errors.Is(err, tiered.ErrNotFound) {
		t.Errorf("the valid tag was not invalidated: %v", err)
	}
	bad := region(t, n, tiered.Config[string]{Name: "bad", Tags: func(_, v string) []string { return []string{v} }})
	empty := &source[string]{}
	for range 2 {
		wantsValue(t, bad, "1", empty, "")
	}
	empty.reads(t, 2)
	if err := bad.Set(t.Context(), "1", ""); !errors.Is(err, tiered.ErrInvalidTag) {
		t.Errorf("Set of a value with an invalid tag: %v", err)
	}
	if err := (*tiered.Node)(nil).InvalidateTags(t.Context(), "x"); err == nil {
		t.Error("a nil node has tags")
	}
	if _, err := r.Get(t.Context(), "1", tiered.WithTags("x")); !errors.Is(err, tiered.ErrInvalidOption) {
		t.Errorf("Get with tags: %v", err)
	}
}

// The limit is one of the value, however many options its tags come in. A tag that
// comes twice is one.
func TestTooManyTagsInSeveralOptions(t *testing.T) {
	r := region(t, local(t), tiered.Config[int]{Name: "items"})
	var a, b []string
	for i := range 40 {
		a, b = append(a, fmt.Sprint("a", i)), append(b, fmt.Sprint("b", i))
	}
	s := &source[int]{value: 1}
	_, _, err := read(t, r, "k", s, tiered.WithTags(a...), tiered.WithTags(b...))
	if !errors.Is(err, tiered.ErrInvalidOption) || !errors.Is(err, tiered.ErrInvalidTag) {
		t.Errorf("80 tags: %v", err)
	}
	if err := r.Set(t.Context(), "k", 1, tiered.WithTags(a...), tiered.WithTags(b...)); !errors.Is(err, tiered.ErrInvalidOption) {
		t.Errorf("Set with 80 tags: %v", err)
	}
	s.reads(t, 0)
	wants(t, r, "k", s, 1, tiered.SourceLoad, tiered.WithTags(a...), tiered.WithTags(a...))
	wants(t, r, "k", s, 1, tiered.SourceL1, tiered.WithTags(a...), tiered.WithTags(a...))
}
