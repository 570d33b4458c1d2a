package l2_test

import (
	"testing"
	"time"

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

// A fill that runs a second time, after the value's life was ended, must not vouch
// for it: the sequence in its answer includes the Expire.
func TestAFillThatRunsTwiceDoesNotVouchForALifeThatIsOver(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		s := newStore(t, b.Client(t))
		l := grant(t, s, apple)
		fill(t, s, l, "x")
		expire(t, s, time.Minute, apple)
		if f, err := s.Fill(t.Context(), l, value("x")); err != nil || f.Accepted {
			t.Errorf("asked again: %+v, %v, want not accepted", f, err)
		}
		wantHit(t, s, apple, "x") // to be served stale

		old, l := renewing(t, s, pear, "x")
		if f, err := s.Revalidate(t.Context(), l, again(old)); err != nil || !f.Accepted {
			t.Fatalf("got %+v, %v", f, err)
		}
		expire(t, s, time.Minute, pear)
		if f, err := s.Revalidate(t.Context(), l, again(old)); err != nil || f.Accepted || f.Gone {
			t.Errorf("asked again to renew: %+v, %v, want not accepted", f, err)
		}
	})
}
