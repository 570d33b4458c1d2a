package l2_test

import (
	"testing"

	"github.com/doppio-cache/doppio/internal/redistest"
)

func TestFillIsAnnouncedIfAsked(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		l := grant(t, s, apple)
		hear := listen(t, c)
		v := value("x")
		v.Announce = true
		f, err := s.Fill(t.Context(), l, v)
		if err != nil || !f.Accepted || f.Seq != l.Seq+1 {
			t.Fatalf("fill: %+v, %v, want accepted at %d", f, err, l.Seq+1)
		}
		if a := hear(1)[0]; a.seq != f.Seq {
			t.Errorf("announced %d, want %d", a.seq, f.Seq)
		}
		again, err := s.Fill(t.Context(), l, v)
		if err != nil || !again.Accepted || again.Seq != f.Seq {
			t.Errorf("asked again: %+v, %v, want %+v", again, err, f)
		}
		hear(0)
		wantHit(t, s, apple, "x")
	})
}
