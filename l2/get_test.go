package l2_test

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/l2"
)

func TestValueComesBackAsItWasStored(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		wantMiss(t, s, apple)

		l := grant(t, s, apple)
		before := c.Time(t.Context()).Val().UnixMicro()
		f, err := s.Fill(t.Context(), l, l2.Fill{
			Codec: "msgpack", Schema: "v1", Payload: []byte{0, 255}, Life: time.Minute, Keep: time.Hour,
			Tags: []l2.Tag{{Name: "fruit", Stamp: 7}},
		})
		if err != nil || !f.Accepted || f.Seq != l.Seq {
			t.Fatalf("fill: %+v, %v, want accepted at %d", f, err, l.Seq)
		}
		after := c.Time(t.Context()).Val().UnixMicro()
		r := wantHit(t, s, apple, "\x00\xff")
		v := r.Value
		if v.Kind != l2.Live || v.Codec != "msgpack" || v.Schema != "v1" || v.Token != l.Token || v.Seq != l.Seq {
			t.Errorf("got %+v", v)
		}
		if !slices.Equal(v.Tags, []l2.Tag{{Name: "fruit", Stamp: 7}}) {
			t.Errorf("tags %v", v.Tags)
		}
		if v.Created < before || v.Created > after || v.SoftEnd != v.Created+time.Minute.Microseconds() {
			t.Errorf("created %d, soft end %d; the server's clock was between %d and %d", v.Created, v.SoftEnd, before, after)
		}
		if v.Created != f.Created || v.SoftEnd != f.SoftEnd {
			t.Errorf("fill said %+v, the value is %+v", f, v)
		}
		if r.Seq != l.Seq {
			t.Errorf("sequence %d, want that of the lease, %d", r.Seq, l.Seq)
		}
		if ttl := c.PTTL(t.Context(), valueName(apple)).Val(); ttl <= time.Hour || ttl > time.Hour+time.Minute {
			t.Errorf("kept for %v, want life and keep", ttl)
		}
		if exists(t, c, leaseName(apple)) {
			t.Error("the lease is still there")
		}
	})
}

func TestNegativeIsAHit(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		s := newStore(t, b.Client(t))
		f, err := s.Fill(t.Context(), grant(t, s, apple), l2.Fill{Kind: l2.Negative, Life: time.Minute})
		if err != nil || !f.Accepted {
			t.Fatalf("fill: %+v, %v", f, err)
		}
		if r := wantHit(t, s, apple, ""); r.Value.Kind != l2.Negative {
			t.Errorf("got kind %v", r.Value.Kind)
		}
		r, err := s.GetOrLease(t.Context(), apple, l2.NewToken(), l2.Token{})
		if err != nil || r.Status != l2.Hit || r.Value.Kind != l2.Negative {
			t.Errorf("get-or-lease: %+v, %v, want the negative", r, err)
		}
	})
}

func TestValueThatDoesNotCount(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		tests := map[string]func() uint64{ // what to do to it, and the sequence then
			"its region was cleared": func() uint64 {
				seq, err := s.InvalidatePartition(t.Context(), partition(apple), []string{"products"})
				if err != nil {
					t.Fatal(err)
				}
				return seq
			},
			"the sequence was lost": func() uint64 {
				c.Del(t.Context(), sequenceName(apple))
				return 0
			},
			"the sequence is none": func() uint64 {
				c.Set(t.Context(), sequenceName(apple), "x", 0)
				return 0
			},
		}
		for name, change := range tests {
			t.Run(name, func(t *testing.T) {
				b.FlushAll(t)
				put(t, s, apple, "old")
				want := change()
				if r := wantMiss(t, s, apple); r.Seq != want || r.Unreadable != nil {
					t.Errorf("got %+v, want sequence %d", r, want)
				}
				if want == 0 {
					c.Del(t.Context(), sequenceName(apple))
				}
				put(t, s, apple, "new") // get-or-lease does not take it for a value either
				wantHit(t, s, apple, "new")
			})
		}
		t.Run("another region was cleared", func(t *testing.T) {
			put(t, s, pear, "old")
			if _, err := s.InvalidatePartition(t.Context(), partition(pear), []string{"customers"}); err != nil {
				t.Fatal(err)
			}
			wantHit(t, s, pear, "old")
		})
	})
}

func TestUnreadableValueIsAMissThatIsOverwritten(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		live := readGolden(t, "live")
		newer := slices.Clone(live)
		newer[2]++
		flipped := slices.Clone(live)
		flipped[len(flipped)-1]++
		corrupt := l2.Seal(l2.NewToken(), "\xff")
		tests := map[string]struct {
			stored []byte
			want   error
		}{
			"foreign":                       {[]byte("somebody else's"), l2.ErrForeign},
			"foreign, one byte":             {[]byte("x"), l2.ErrForeign},
			"newer":                         {newer, l2.ErrLayout},
			"cut off in the payload":        {live[:len(live)-1], l2.ErrTruncated},
			"cut off in the header":         {live[:10], l2.ErrTruncated},
			"a header that ends early":      {[]byte("\xd0\x9f\x01\x00\x00\x00\x00\x08"), l2.ErrTruncated},
			"too long":                      {append(slices.Clone(live), 0), l2.ErrTruncated},
			"changed, as the checksum says": {flipped, l2.ErrCorrupt},
			"nonsense":                      {corrupt, l2.ErrCorrupt},
		}
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				b.FlushAll(t)
				c := b.Client(t)
				logged := new(record)
				s := newStore(t, c, func(o *l2.Options) { o.Logger = slog.New(logged) })
				invalidate(t, s, apple) // so that there is a sequence
				c.Set(t.Context(), valueName(apple), tt.stored, time.Hour)

				for range 2 {
					if r := wantMiss(t, s, apple); !errors.Is(r.Unreadable, tt.want) {
						t.Errorf("get: unreadable because %v, want %v", r.Unreadable, tt.want)
					}
				}
				hear := listen(t, c)
				r, err := s.GetOrLease(t.Context(), apple, l2.NewToken(), l2.Token{})
				if err != nil || r.Status != l2.Granted || !errors.Is(r.Unreadable, tt.want) {
					t.Fatalf("get-or-lease: %+v, %v, want granted and %v", r, err, tt.want)
				}
				f := fill(t, s, r.Lease, "ours")
				wantHit(t, s, apple, "ours")
				if a := hear(1)[0]; f.Seq != r.Seq+1 || a.seq != f.Seq {
					t.Errorf("filled at %d and announced %d; replacing it must count, after %d", f.Seq, a.seq, r.Seq)
				}
				if n := s.Stats().Unreadable; n < 3 {
					t.Errorf("counted %d, want each read", n)
				}
				if l := logged.all(); len(l) != 1 || !strings.Contains(l[0], tt.want.Error()) {
					t.Errorf("logged %q, want one line with the reason", l)
				}
			})
		}
	})
}

func TestSomethingElseThanAStringIsNoValue(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		invalidate(t, s, apple)
		for _, name := range []string{valueName(apple), leaseName(apple), layout.Clear(partition(apple), "products")} {
			c.RPush(t.Context(), name, "x")
		}
		wantMiss(t, s, apple)
		r, err := s.GetOrLease(t.Context(), apple, l2.NewToken(), l2.Token{})
		if err != nil || r.Status != l2.Granted || !errors.Is(r.Unreadable, l2.ErrForeign) {
			t.Fatalf("get-or-lease: %+v, %v, want granted", r, err)
		}
		fill(t, s, r.Lease, "ours")
		c.Set(t.Context(), leaseName(pear), "not a lease", 0)
		put(t, s, pear, "ours too")
		c.Del(t.Context(), valueName(apple))
		c.RPush(t.Context(), valueName(apple), "x")
		invalidate(t, s, apple)
		if exists(t, c, valueName(apple)) {
			t.Error("invalidate left it")
		}
	})
}

func TestTombstoneBlocksAndStays(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		l := grant(t, s, apple)
		c.Set(t.Context(), valueName(apple), readGolden(t, "tombstone"), time.Hour)

		if r, err := s.Get(t.Context(), apple); err != nil || r.Status != l2.Blocked {
			t.Errorf("get: %v, %v, want blocked", r.Status, err)
		}
		if r, err := s.GetOrLease(t.Context(), apple, l2.NewToken(), token); err != nil || r.Status != l2.Blocked {
			t.Errorf("get-or-lease: %v, %v, want blocked", r.Status, err)
		}
		wantRefused(t, s, l)
		seq := invalidate(t, s, apple)
		hear := listen(t, c)
		l, err := s.Begin(t.Context(), apple, l2.NewToken())
		if err != nil || l.Seq != seq+1 {
			t.Errorf("begin: %+v, %v, want it to count after %d", l, err, seq)
		}
		hear(1)
		wantRefused(t, s, l)
		if _, err := s.InvalidatePartition(t.Context(), partition(apple), []string{"products"}); err != nil {
			t.Fatal(err)
		}
		if r, err := s.GetOrLease(t.Context(), apple, l2.NewToken(), l2.Token{}); err != nil || r.Status != l2.Blocked {
			t.Errorf("get-or-lease after all that: %v, %v, want blocked", r.Status, err)
		}
	})
}
