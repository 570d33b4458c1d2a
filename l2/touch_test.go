package l2_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/l2"
)

// idle is a fill of a value that stays for a minute unless it is touched, and for
// life at most.
func idle(life time.Duration) l2.Fill {
	f := value("v")
	f.Life, f.Idle = life, time.Minute
	return f
}

func TestTouch(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		left := func() time.Duration { return c.PTTL(t.Context(), valueName(apple)).Val() }
		l := grant(t, s, apple)
		if f, err := s.Fill(t.Context(), l, idle(time.Hour)); err != nil || !f.Accepted {
			t.Fatal(f, err)
		}
		if d := left(); d <= 0 || d > time.Minute {
			t.Fatalf("stored for %v, want a minute", d)
		}
		s.Touch(apple, l.Token, 10*time.Minute, 0)
		eventually(t, "it stays for longer", func() bool { return left() > 9*time.Minute })
		s.Touch(apple, l.Token, 10*time.Hour, 0)
		eventually(t, "it stays to its end", func() bool { return left() > 59*time.Minute })
		if d := left(); d > time.Hour {
			t.Errorf("it stays for %v, beyond its life", d)
		}
		s.Touch(apple, l.Token, 10*time.Hour, time.Hour)
		eventually(t, "it stays for what it is kept", func() bool { return left() > 119*time.Minute })
		if d := left(); d > 2*time.Hour {
			t.Errorf("it stays for %v, beyond its life and the time that it is kept", d)
		}
		if r := wantHit(t, s, apple, "v"); r.Value.SoftEnd-r.Value.Created != time.Hour.Microseconds() {
			t.Error("its life has changed")
		}
		// A value that has taken its place is none of its reader's business.
		invalidate(t, s, apple)
		if f, err := s.Fill(t.Context(), grant(t, s, apple), idle(time.Hour)); err != nil || !f.Accepted {
			t.Fatal(f, err)
		}
		s.Touch(apple, l.Token, 10*time.Minute, 0)
		s.Touch(pear, l.Token, 10*time.Minute, 0) // there is none
		marker := grant(t, s, nut)
		if _, err := s.Fill(t.Context(), marker, idle(time.Hour)); err != nil {
			t.Fatal(err)
		}
		s.Touch(nut, marker.Token, 10*time.Minute, 0)
		eventually(t, "the touches have been sent", func() bool {
			return c.PTTL(t.Context(), valueName(nut)).Val() > 9*time.Minute
		})
		if d := left(); d > time.Minute {
			t.Errorf("another value was touched: it stays for %v", d)
		}
		if exists(t, c, valueName(pear)) {
			t.Error("a value has come out of nothing")
		}
	})
}

// Many touches take few round trips, and wait for nobody.
func TestTouchesAreSentTogether(t *testing.T) {
	b := redistest.Mini(t)
	c, p := b.Client(t), b.Proxy(t)
	loadScripts(t, c)
	s := newStore(t, p.Client(t))
	const n = 1000
	var last l2.Lease
	for i := range n {
		last = grant(t, s, keyspace.Of("products", fmt.Sprint(i)))
		if f, err := s.Fill(t.Context(), last, idle(time.Hour)); err != nil || !f.Accepted {
			t.Fatal(f, err)
		}
	}
	p.ResetCounts()
	for i := range n - 1 {
		s.Touch(keyspace.Of("products", fmt.Sprint(i)), l2.Token{1}, time.Hour, 0)
	}
	s.Touch(last.Key, last.Token, time.Hour, 0)
	eventually(t, "the last one is touched", func() bool {
		return c.PTTL(t.Context(), valueName(last.Key)).Val() > time.Minute
	})
	if trips := p.RoundTrips(); trips > n/10 {
		t.Errorf("%d round trips for %d touches", trips, n)
	}
}

func TestTouchOfAClosedStore(t *testing.T) {
	s := newStore(t, redistest.Mini(t).Client(t))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.Touch(apple, l2.NewToken(), time.Hour, 0)
}

// Carried out twice, or although nobody hears of it, a touch does the same.
func TestReplyToTouchIsLost(t *testing.T) {
	eachCut(t, func(t *testing.T, c cut) {
		l := grant(t, c.direct, apple)
		if f, err := c.direct.Fill(t.Context(), l, idle(time.Hour)); err != nil || !f.Accepted {
			t.Fatal(f, err)
		}
		c.lose("touch")
		c.Touch(apple, l.Token, 10*time.Minute, 0)
		eventually(t, "it was carried out", func() bool {
			d := c.redis.PTTL(t.Context(), valueName(apple)).Val()
			return d > 9*time.Minute && d <= 10*time.Minute
		})
	})
}
