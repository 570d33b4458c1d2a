package l2_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/l2"
)

func manyKeys(n int) []l2.Key {
	keys := make([]l2.Key, n)
	for i := range keys {
		keys[i] = keyspace.Of("products", fmt.Sprint(i))
	}
	return keys
}

func TestInvalidateRemovesCountsAndAnnounces(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		other := sibling(apple)
		old := put(t, s, apple, "old")
		l := grant(t, s, other)
		hear := listen(t, c)
		before := c.Time(t.Context()).Val().UnixMicro()
		seq := invalidate(t, s, apple, other)
		after := c.Time(t.Context()).Val().UnixMicro()

		if seq != old.Seq+1 {
			t.Errorf("sequence %d after %d, want one more", seq, old.Seq)
		}
		a := hear(1)[0]
		if a.partition != partition(apple) || a.seq != seq || a.at < before || a.at > after {
			t.Errorf("announced %+v, want sequence %d, at %d to %d", a, seq, before, after)
		}
		if want := fmt.Sprintf("%x", []uint64{apple.Hash, other.Hash}); a.hashes != want {
			t.Errorf("announced hashes %s, want %s", a.hashes, want)
		}
		if r := wantMiss(t, s, apple); r.Seq != seq {
			t.Errorf("read at %d, want %d", r.Seq, seq)
		}
		wantRefused(t, s, l)
	})
}

func TestLostSequenceComesBackLarger(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		s := newStore(t, b.Client(t))
		last := uint64(0)
		for range 3 {
			for range 100 {
				seq := invalidate(t, s, apple)
				if seq <= last {
					t.Fatalf("sequence %d after %d", seq, last)
				}
				last = seq
			}
			b.FlushAll(t)
		}
	})
}

func TestInvalidateAllIsOneRoundTrip(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		loadScripts(t, c)
		p := b.Proxy(t)
		s := newStore(t, p.Client(t))
		keys := manyKeys(100)
		for _, k := range keys {
			put(t, s, k, "old")
		}
		hear := listen(t, c)
		p.ResetCounts()
		out := s.InvalidateAll(t.Context(), keys)
		if n := p.RoundTrips(); n != 1 {
			t.Errorf("%d round trips", n)
		}
		if len(out) != partitions {
			t.Fatalf("%d outcomes, want one for each of %d partitions", len(out), partitions)
		}
		seqs := make(map[int]uint64)
		for _, a := range hear(partitions) {
			seqs[a.partition] = a.seq
		}
		n := 0
		for _, o := range out {
			n += len(o.Keys)
			if o.Err != nil || o.Seq != seqs[o.Partition] {
				t.Errorf("partition %d: sequence %d, %v, announced %d", o.Partition, o.Seq, o.Err, seqs[o.Partition])
			}
			for _, k := range o.Keys {
				if partition(k) != o.Partition {
					t.Errorf("%s is not of partition %d", k.Name, o.Partition)
				}
				if r := wantMiss(t, s, k); r.Seq != o.Seq {
					t.Errorf("%s is read at %d, want %d", k.Name, r.Seq, o.Seq)
				}
			}
		}
		if n != len(keys) {
			t.Errorf("outcomes for %d keys, want %d", n, len(keys))
		}
	})
}

func TestInvalidateManyKeysOfOnePartition(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		var keys []l2.Key
		for _, k := range manyKeys(partitions * 1500) {
			if partition(k) == 0 {
				keys = append(keys, k)
			}
		}
		last := keys[len(keys)-1]
		put(t, s, last, "old")
		hear := listen(t, c)
		out := s.InvalidateAll(t.Context(), keys)
		if len(out) != 1 || out[0].Err != nil {
			t.Fatalf("%d outcomes, %v", len(out), out[0].Err)
		}
		a := hear((len(keys) + 511) / 512) // no script holds Redis up for long
		if out[0].Seq != a[len(a)-1].seq {
			t.Errorf("sequence %d, want the last one announced, %d", out[0].Seq, a[len(a)-1].seq)
		}
		all := ""
		for _, x := range a {
			all += x.hashes
		}
		for _, k := range keys {
			if !strings.Contains(all, fmt.Sprintf("%x", k.Hash)) {
				t.Errorf("%s was not announced", k.Name)
			}
		}
		wantMiss(t, s, last)
	})
}

func TestInvalidateNothing(t *testing.T) {
	s := newStore(t, redistest.Mini(t).Client(t))
	if out := s.InvalidateAll(t.Context(), nil); len(out) != 0 {
		t.Errorf("got %+v", out)
	}
	if seq, err := s.Invalidate(t.Context(), 0, nil); err != nil || seq != 0 {
		t.Errorf("got %d, %v", seq, err)
	}
}

func TestInvalidatePartitionAnnouncesAllOfIt(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		put(t, s, apple, "old")
		hear := listen(t, c)
		seq, err := s.InvalidatePartition(t.Context(), partition(apple), []string{"products", "customers"})
		if err != nil {
			t.Fatal(err)
		}
		if a := hear(1)[0]; a.seq != seq || a.partition != partition(apple) || a.hashes != "[]" {
			t.Errorf("announced %+v, want sequence %d and no hashes", a, seq)
		}
		for _, region := range []string{"products", "customers"} {
			if got := c.Get(t.Context(), layout.Clear(partition(apple), region)).Val(); got != fmt.Sprint(seq) {
				t.Errorf("clearing of %s is %q, want %d", region, got, seq)
			}
		}
		wantMiss(t, s, apple)
		put(t, s, apple, "new")
		wantHit(t, s, apple, "new")
	})
}

func TestFillIsSilentUnlessItReplaces(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		hear := listen(t, c)
		first := put(t, s, apple, "old")
		hear(0)
		r, err := s.GetOrLease(t.Context(), apple, l2.NewToken(), wantHit(t, s, apple, "old").Value.Token)
		if err != nil || r.Status != l2.Granted || r.Seq != first.Seq {
			t.Fatalf("refusing the value: %+v, %v, want granted at %d", r, err, first.Seq)
		}
		f := fill(t, s, r.Lease, "new")
		a := hear(1)[0]
		if f.Seq != first.Seq+1 || a.seq != f.Seq || a.hashes != fmt.Sprintf("%x", []uint64{apple.Hash}) {
			t.Errorf("filled at %d, announced %+v, want %d", f.Seq, a, first.Seq+1)
		}
		if r := wantHit(t, s, apple, "new"); r.Seq != f.Seq {
			t.Errorf("read at %d, want %d", r.Seq, f.Seq)
		}
	})
}

func TestBeginIsAnInvalidationThatLeavesALease(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		old := put(t, s, apple, "old")
		hear := listen(t, c)
		l, err := s.Begin(t.Context(), apple, l2.NewToken())
		if err != nil || l.Seq != old.Seq+1 {
			t.Fatalf("begin: %+v, %v, want sequence %d", l, err, old.Seq+1)
		}
		if a := hear(1)[0]; a.seq != l.Seq || a.hashes != fmt.Sprintf("%x", []uint64{apple.Hash}) {
			t.Errorf("announced %+v, want sequence %d", a, l.Seq)
		}
		wantMiss(t, s, apple)
		if r, err := s.GetOrLease(t.Context(), apple, l2.NewToken(), l2.Token{}); err != nil || r.Status != l2.Busy {
			t.Errorf("get-or-lease meanwhile: %v, %v, want busy", r.Status, err)
		}
		fill(t, s, l, "new")
		hear(0)
		wantHit(t, s, apple, "new")
	})
}

func TestBeginTakesTheKeyFromALoad(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		s := newStore(t, b.Client(t))
		loading := grant(t, s, apple)
		first, err := s.Begin(t.Context(), apple, l2.NewToken())
		if err != nil {
			t.Fatal(err)
		}
		second, err := s.Begin(t.Context(), apple, l2.NewToken())
		if err != nil {
			t.Fatal(err)
		}
		wantRefused(t, s, loading)
		wantRefused(t, s, first)
		fill(t, s, second, "second")
		wantRefused(t, s, first)
		wantHit(t, s, apple, "second")
	})
}

func TestInvalidationIsUnknownWhenItsCallerLeaves(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		s := newStore(t, b.Client(t))
		put(t, s, apple, "old")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Invalidate(ctx, partition(apple), []l2.Key{apple}); !isCanceled(err) {
			t.Errorf("got %v", err)
		}
		for _, o := range s.InvalidateAll(ctx, []l2.Key{apple, pear, nut}) {
			if !isCanceled(o.Err) || len(o.Keys) == 0 {
				t.Errorf("got %+v", o)
			}
		}
		wantHit(t, s, apple, "old") // nothing was sent
	})
}
