package l2_test

import (
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/l2"
)

// expire ends lives; it fails the test unless all outcomes are good.
func expire(t *testing.T, s *l2.Store, keep time.Duration, keys ...l2.Key) (seq uint64) {
	t.Helper()
	for _, o := range s.ExpireAll(t.Context(), keys, l2.Keep{Values: keep}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		seq = max(seq, o.Seq)
	}
	return seq
}

// Expire ends a life, and keeps the value, by Redis's clock.
func TestExpireKeepsTheValue(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		old := put(t, s, apple, "old") // for an hour
		other := sibling(apple)
		l := grant(t, s, other)
		hear := listen(t, c)
		seq := expire(t, s, time.Minute, apple, other)
		if seq != old.Seq+1 {
			t.Errorf("sequence %d after %d, want one more", seq, old.Seq)
		}
		if a := hear(1)[0]; a.seq != seq || a.partition != partition(apple) {
			t.Errorf("announced %+v, want sequence %d", a, seq)
		}
		r := wantHit(t, s, apple, "old")
		if now := c.Time(t.Context()).Val().UnixMicro(); r.Value.SoftEnd > now || r.Value.SoftEnd < r.Value.Created {
			t.Errorf("created %d, soft end %d, now %d", r.Value.Created, r.Value.SoftEnd, now)
		}
		if left := c.PTTL(t.Context(), valueName(apple)).Val(); left <= 0 || left > time.Minute {
			t.Errorf("it stays for %v, want a minute", left)
		}
		wantRefused(t, s, l) // what is being loaded is of before

		// Once more does not keep it for longer.
		c.PExpire(t.Context(), valueName(apple), time.Second)
		if again := expire(t, s, time.Minute, apple); again != seq+1 {
			t.Errorf("sequence %d after %d, want one more", again, seq)
		}
		if left := c.PTTL(t.Context(), valueName(apple)).Val(); left > time.Second {
			t.Errorf("it stays for %v, want no more than before", left)
		}
		if end := wantHit(t, s, apple, "old").Value.SoftEnd; end != r.Value.SoftEnd {
			t.Errorf("soft end %d, want it unchanged, %d", end, r.Value.SoftEnd)
		}
		invalidate(t, s, apple)
		expire(t, s, time.Minute, apple)
		wantMiss(t, s, apple)
	})
}

// What cannot be served stale is removed; a tombstone is not.
func TestExpireOfWhatIsNoValue(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		envelope := func(v l2.Value) []byte {
			e, err := l2.Envelope(v)
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		live := l2.Value{Token: l2.NewToken(), Seq: 1, Created: 1, SoftEnd: 1 << 52, Payload: []byte("payload")}
		negative, tombstone := live, live
		negative.Kind, tombstone.Kind = l2.Negative, l2.Tombstone
		for name, tt := range map[string]struct {
			at   []byte
			left bool
		}{
			"live":      {envelope(live), true},
			"negative":  {envelope(negative), false},
			"tombstone": {envelope(tombstone), true},
			"cut off":   {envelope(live)[:l2.HeaderSize+2], false},
			"foreign":   {[]byte("something else that is as long as a header, or longer than that"), false},
		} {
			c.Set(t.Context(), valueName(apple), tt.at, time.Hour)
			expire(t, s, time.Minute, apple)
			if got := exists(t, c, valueName(apple)); got != tt.left {
				t.Errorf("%s: there afterwards: %v, want %v", name, got, tt.left)
			}
		}
		c.Del(t.Context(), valueName(apple))
		c.HSet(t.Context(), valueName(apple), "of", "another type")
		expire(t, s, time.Minute, apple)
		if exists(t, c, valueName(apple)) {
			t.Error("a hash is still there")
		}
	})
}

func TestReplyToExpireIsLost(t *testing.T) {
	eachCut(t, func(t *testing.T, c cut) {
		old := put(t, c.direct, apple, "old")
		hear := listen(t, c.redis)
		c.lose("expire")
		out := c.ExpireAll(t.Context(), []l2.Key{apple}, l2.Keep{Values: time.Minute})
		if end := wantHit(t, c.direct, apple, "old").Value.SoftEnd; end >= old.SoftEnd {
			t.Errorf("soft end %d, want it before %d", end, old.SoftEnd)
		}
		if !c.check(t, out[0].Err) {
			hear(1)
			return
		}
		if a := hear(2); a[1].seq != out[0].Seq || out[0].Seq != old.Seq+2 {
			t.Errorf("sequence %d, announced %+v, want that of the second run", out[0].Seq, a)
		}
	})
}

// A value with a validator stays for longer than the others; one that is not to stay
// is removed.
func TestExpireKeepsWhatCanBeAskedAbout(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		plain := l2.Value{Token: l2.NewToken(), Seq: 1, Created: 1, SoftEnd: 1 << 52, Codec: "msgpack", Schema: "s", Payload: []byte("payload")}
		validated := plain
		validated.Validator = "etag"
		tagged := validated
		tagged.Tags = []l2.Tag{{Name: "t", Stamp: 1}, {Name: "a longer one", Stamp: 2}}
		later := validated // than now: the clock was set back
		later.Created, later.SoftEnd = 1<<52, 1<<52+1
		untold := tagged
		untold.Validator = ""
		untold.Payload = []byte{0, 9, 9} // that it might be one
		for _, tt := range []struct {
			name string
			v    l2.Value
			keep l2.Keep
			want time.Duration // 0: removed
		}{
			{"plain, not kept", plain, l2.Keep{Validated: time.Minute}, 0},
			{"plain, kept", plain, l2.Keep{Values: 10 * time.Second, Validated: time.Minute}, 10 * time.Second},
			{"validated", validated, l2.Keep{Validated: time.Minute}, time.Minute},
			{"validated, and stale for less", validated, l2.Keep{Values: 10 * time.Second, Validated: time.Minute}, time.Minute},
			{"validated, and stale for longer", validated, l2.Keep{Values: time.Minute, Validated: 10 * time.Second}, time.Minute},
			{"validated, not kept", validated, l2.Keep{}, 0},
			{"of a later time", later, l2.Keep{Values: time.Minute, Validated: time.Minute}, 0},
			{"tagged and validated", tagged, l2.Keep{Validated: time.Minute}, time.Minute},
			{"tagged", untold, l2.Keep{Values: 10 * time.Second, Validated: time.Minute}, 10 * time.Second},
		} {
			env, err := l2.Envelope(tt.v)
			if err != nil {
				t.Fatal(err)
			}
			c.Set(t.Context(), valueName(apple), env, time.Hour)
			for _, o := range s.ExpireAll(t.Context(), []l2.Key{apple}, tt.keep) {
				if o.Err != nil {
					t.Fatal(o.Err)
				}
			}
			left := max(0, c.PTTL(t.Context(), valueName(apple)).Val())
			if left > tt.want || left < tt.want/2 {
				t.Errorf("%s: it stays for %v, want %v", tt.name, left, tt.want)
			}
		}
	})
}
