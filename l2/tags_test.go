package l2_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/l2"
)

func tag(name string) l2.Key { return keyspace.Of("", name) }

// tagStates asks for tags.
func tagStates(t *testing.T, s *l2.Store, tags ...l2.Key) []l2.TagState {
	t.Helper()
	got, err := s.Tags(t.Context(), tags)
	if err != nil || len(got) != len(tags) {
		t.Fatalf("tags: %+v, %v", got, err)
	}
	return got
}

func TestATagThatIsNotKnownCountsAsInvalidatedNow(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		s := newStore(t, b.Client(t))
		red := tag("red")
		first := tagStates(t, s, red)[0]
		if first.Seq == 0 || first.Invalidated != first.Seq {
			t.Errorf("got %+v, want that it was invalidated at the present sequence", first)
		}
		seq := invalidate(t, s, sibling(red)) // of another tag of the partition
		if got, want := tagStates(t, s, red)[0], (l2.TagState{Seq: seq, Invalidated: first.Seq}); got != want {
			t.Errorf("got %+v, want %+v: asking has written it down", got, want)
		}
	})
}

func TestTagsAreInvalidatedLikeKeys(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		red, other := tag("red"), sibling(tag("red"))
		put(t, s, apple, "kept")
		tagStates(t, s, red, other)
		hear := listen(t, c)
		seq := invalidate(t, s, red)
		if a := hear(1)[0]; a.hashes != fmt.Sprintf("%x", []uint64{red.Hash}) || a.seq != seq {
			t.Errorf("announced %+v", a)
		}
		got := tagStates(t, s, red, other)
		if got[0].Invalidated != seq || got[1].Invalidated >= seq {
			t.Errorf("got %+v, want only the first at %d", got, seq)
		}
		wantHit(t, s, apple, "kept")
		if ttl := c.PTTL(t.Context(), layout.Tag(partition(red), red.Name)).Val(); ttl <= 0 {
			t.Errorf("a tag is kept for ever: %v", ttl)
		}
	})
}

func TestManyTagsAreOneRoundTrip(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		loadScripts(t, b.Client(t))
		p := b.Proxy(t)
		s := newStore(t, p.Client(t))
		tags := make([]l2.Key, 100)
		for i := range tags {
			tags[i] = tag(fmt.Sprint(i))
		}
		tagStates(t, s, tags...) // it is connected
		p.ResetCounts()
		for _, out := range s.InvalidateAll(t.Context(), tags) {
			if out.Err != nil {
				t.Error(out.Err)
			}
		}
		if n := p.RoundTrips(); n != 1 {
			t.Errorf("invalidating took %d round trips", n)
		}
		p.ResetCounts()
		tagStates(t, s, tags...)
		if n := p.RoundTrips(); n != 1 {
			t.Errorf("asking took %d round trips", n)
		}
	})
}

// What the retry queue does when it holds too much.
func TestAllTagsOfAPartitionAreInvalidated(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		s := newStore(t, b.Client(t))
		red := tag("red")
		tagStates(t, s, red)
		seq, err := s.InvalidatePartition(t.Context(), partition(red), []string{""})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := tagStates(t, s, red)[0], (l2.TagState{Seq: seq, Invalidated: seq}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// With the sequence everything is lost that was compared with it.
func TestTagsOfALostSequenceCountAsInvalidated(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		red := tag("red")
		old := tagStates(t, s, red)[0]
		if err := c.Del(t.Context(), layout.Sequence(partition(red))).Err(); err != nil {
			t.Fatal(err)
		}
		if got := tagStates(t, s, red)[0]; got.Invalidated <= old.Seq || got.Invalidated != got.Seq {
			t.Errorf("got %+v after %+v, want that it was invalidated at the new sequence", got, old)
		}
	})
}

func TestTagsTwiceAndAfterALostReply(t *testing.T) {
	eachCut(t, func(t *testing.T, c cut) {
		red := tag("red")
		c.lose("tags")
		got, err := c.Tags(t.Context(), []l2.Key{red})
		if c.check(t, err) && got[0].Invalidated != got[0].Seq {
			t.Errorf("got %+v", got)
		}
		first := tagStates(t, c.direct, red)[0]
		if again := tagStates(t, c.direct, red)[0]; again != first {
			t.Errorf("asked again: %+v, then %+v", first, again)
		}
	})
}

func TestAFillMakesItsTagsKnown(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		loadScripts(t, c)
		p := b.Proxy(t)
		s := newStore(t, p.Client(t))
		red, blue := tag("red"), tag("blue")
		l := grant(t, s, apple)
		f := value("v")
		f.Tags = []l2.Tag{{Name: red.Name, Stamp: 7}, {Name: blue.Name, Stamp: 8}}
		p.ResetCounts()
		if got, err := s.Fill(t.Context(), l, f); err != nil || !got.Accepted {
			t.Fatalf("fill: %+v, %v", got, err)
		}
		if n := p.RoundTrips(); n != 1 {
			t.Errorf("%d round trips, want 1", n)
		}
		for _, k := range []l2.Key{red, blue} {
			if !exists(t, c, layout.Tag(partition(k), k.Name)) {
				t.Errorf("Redis does not know %s", k.Name)
			}
		}
		if r := wantHit(t, s, apple, "v"); len(r.Value.Tags) != 2 || r.Value.Tags[1].Stamp != 8 {
			t.Errorf("got tags %+v", r.Value.Tags)
		}
	})
}

func TestInvalidateRegionIsOneRoundTrip(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		loadScripts(t, c)
		p := b.Proxy(t)
		s := newStore(t, p.Client(t))
		keys := manyKeys(50)
		for _, k := range keys {
			put(t, s, k, "old")
		}
		elsewhere := keyspace.Of("customers", "1")
		put(t, s, elsewhere, "kept")
		loading := grant(t, s, sibling(apple))
		hear := listen(t, c)
		p.ResetCounts()
		out := s.InvalidateRegion(t.Context(), "products")
		if n := p.RoundTrips(); n != 1 || len(out) != partitions {
			t.Errorf("%d round trips and %d outcomes, want 1 and %d", n, len(out), partitions)
		}
		for _, a := range hear(partitions) {
			if o := out[a.partition]; o.Err != nil || o.Seq != a.seq || a.hashes != fmt.Sprintf("%x", []uint64{}) {
				t.Errorf("partition %d: %+v, announced %+v", a.partition, o, a)
			}
		}
		for _, k := range keys {
			wantMiss(t, s, k)
		}
		wantHit(t, s, elsewhere, "kept")
		wantRefused(t, s, loading)
		s.Close()
		for _, o := range s.InvalidateRegion(t.Context(), "products") {
			if !errors.Is(o.Err, l2.ErrClosed) {
				t.Errorf("closed: %v", o.Err)
			}
		}
	})
}
