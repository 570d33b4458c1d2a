package l2_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/l2"
)

// renewing puts a value with a validator, and takes the lease of who is about to
// ask the origin for it.
func renewing(t *testing.T, s *l2.Store, k l2.Key, payload string) (old l2.Value, l l2.Lease) {
	t.Helper()
	v := value(payload)
	v.Validator, v.Tags = `"v1"`, []l2.Tag{{Name: "fruit", Stamp: 7}}
	if f, err := s.Fill(t.Context(), grant(t, s, k), v); err != nil || !f.Accepted {
		t.Fatalf("fill: %+v, %v", f, err)
	}
	old = wantHit(t, s, k, payload).Value
	r, err := s.GetOrLease(t.Context(), k, l2.NewToken(), old.Token)
	if err != nil || r.Status != l2.Granted {
		t.Fatalf("get-or-lease: %v, %v, want granted", r.Status, err)
	}
	return old, r.Lease
}

func again(old l2.Value) l2.Revalidation {
	return l2.Revalidation{Token: old.Token, Life: 2 * time.Hour, Keep: time.Hour}
}

func TestRevalidateGivesAValueAnotherLife(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		old, l := renewing(t, s, apple, "x")
		hear := listen(t, c)
		f, err := s.Revalidate(t.Context(), l, again(old))
		if err != nil || !f.Accepted || f.Gone || f.Created < old.Created || f.SoftEnd != f.Created+(2*time.Hour).Microseconds() {
			t.Fatalf("got %+v, %v", f, err)
		}
		hear(0) // who has a copy has the same value
		now := wantHit(t, s, apple, "x").Value
		want := old
		want.Token, want.Seq, want.Created, want.SoftEnd = l.Token, l.Seq, f.Created, f.SoftEnd
		if now.Token != want.Token || now.Seq != want.Seq || now.Created != want.Created || now.SoftEnd != want.SoftEnd ||
			now.Validator != old.Validator || len(now.Tags) != 1 || now.Tags[0] != old.Tags[0] {
			t.Errorf("got %+v, want %+v", now, want)
		}
		if left := c.PTTL(t.Context(), valueName(apple)).Val(); left <= 2*time.Hour || left > 3*time.Hour {
			t.Errorf("stays for %v, want its life and what it is kept beyond", left)
		}
		if exists(t, c, leaseName(apple)) || s.Stats().LeasesHeld != 0 {
			t.Error("the lease is not at its end")
		}
	})
}

func TestRevalidateAnnouncesIfAsked(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		old, l := renewing(t, s, apple, "x")
		hear := listen(t, c)
		r := again(old)
		r.Announce = true
		f, err := s.Revalidate(t.Context(), l, r)
		if a := hear(1); err != nil || !f.Accepted || f.Seq <= l.Seq || a[0].seq != f.Seq {
			t.Errorf("got %+v, %v, announced %+v", f, err, a)
		}
	})
}

// What may not be renewed: each is what has happened since the lease was granted.
func TestRevalidateIsNot(t *testing.T) {
	type world struct {
		s   *l2.Store
		c   *redis.Client
		old l2.Value
		l   l2.Lease
	}
	tests := map[string]struct {
		since func(t *testing.T, w world)
		gone  bool // and not refused
	}{
		"after an invalidation": {since: func(t *testing.T, w world) { invalidate(t, w.s, apple) }},
		"after an expiry of the lease": {since: func(t *testing.T, w world) {
			w.c.Del(t.Context(), leaseName(apple))
		}},
		"under another's lease": {since: func(t *testing.T, w world) {
			w.c.Del(t.Context(), leaseName(apple))
			r, err := w.s.GetOrLease(t.Context(), apple, l2.NewToken(), w.old.Token)
			if err != nil || r.Status != l2.Granted {
				t.Fatal(r, err)
			}
		}},
		"after a clearing of the region": {since: func(t *testing.T, w world) {
			for _, o := range w.s.InvalidateRegion(t.Context(), apple.Region) {
				if o.Err != nil {
					t.Fatal(o.Err)
				}
			}
		}},
		"under a tombstone": {since: func(t *testing.T, w world) {
			for _, o := range w.s.Block(t.Context(), []l2.Key{apple}, l2.NewToken(), time.Minute) {
				if o.Err != nil {
					t.Fatal(o.Err)
				}
			}
		}},
		"where the sequence was lost": {since: func(t *testing.T, w world) {
			w.c.Del(t.Context(), sequenceName(apple))
		}},
		"where the value was evicted": {gone: true, since: func(t *testing.T, w world) {
			w.c.Del(t.Context(), valueName(apple))
		}},
		"where there is something else": {gone: true, since: func(t *testing.T, w world) {
			w.c.Set(t.Context(), valueName(apple), "somebody else's", 0)
		}},
		"where there is a list": {gone: true, since: func(t *testing.T, w world) {
			w.c.Del(t.Context(), valueName(apple))
			w.c.RPush(t.Context(), valueName(apple), "somebody else's")
		}},
		"where another primary has taken over": {gone: true, since: func(t *testing.T, w world) {
			w.c.Set(t.Context(), layout.Epoch(partition(apple)), fmt.Sprintf("run|%d|1|", w.l.Seq+1), 0)
		}},
		"where another value is": {gone: true, since: func(t *testing.T, w world) {
			v := w.old
			v.Token = l2.NewToken()
			env, err := l2.Envelope(v)
			if err != nil {
				t.Fatal(err)
			}
			w.c.Set(t.Context(), valueName(apple), env, 0)
		}},
	}
	for name, tt := range tests {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
				c := b.Client(t)
				s := newStore(t, c)
				old, l := renewing(t, s, apple, "x")
				tt.since(t, world{s, c, old, l})
				f, err := s.Revalidate(t.Context(), l, again(old))
				if err != nil || f.Accepted || f.Gone != tt.gone {
					t.Fatalf("got %+v, %v, want gone: %v", f, err, tt.gone)
				}
				if !tt.gone {
					return
				}
				if !exists(t, c, leaseName(apple)) || s.Stats().LeasesHeld != 1 {
					t.Fatal("the lease is at its end")
				}
				fill(t, s, l, "new")
				wantHit(t, s, apple, "new")
			})
		})
	}
}

func TestRevalidateSendsNoPayload(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		loadScripts(t, c)
		old, l := renewing(t, s, apple, strings.Repeat("x", 1<<20))
		received := func() int {
			_, text, _ := strings.Cut(c.Info(t.Context(), "stats").Val(), "total_net_input_bytes:")
			text, _, _ = strings.Cut(text, "\r\n")
			n, err := strconv.Atoi(text)
			if err != nil {
				t.Skip("this server does not count what it receives")
			}
			return n
		}
		before := received()
		if f, err := s.Revalidate(t.Context(), l, again(old)); err != nil || !f.Accepted {
			t.Fatalf("got %+v, %v", f, err)
		}
		if n := received() - before; n > 4096 {
			t.Errorf("Redis received %d bytes to renew a value of a MiB", n)
		}
		wantHit(t, s, apple, strings.Repeat("x", 1<<20))
	})
}

func TestReplyToRevalidateIsLost(t *testing.T) {
	eachCut(t, func(t *testing.T, c cut) {
		old, l := renewing(t, c.Store, apple, "x")
		c.lose("revalidate")
		f, err := c.Revalidate(t.Context(), l, again(old))
		if c.check(t, err) && !f.Accepted {
			t.Errorf("got %+v, want what the first run did", f)
		}
		now := wantHit(t, c.direct, apple, "x").Value
		if now.Token != l.Token {
			t.Errorf("got %+v, want it renewed", now)
		}
		if exists(t, c.redis, leaseName(apple)) {
			t.Error("the lease is still there")
		}
		again, err := c.Revalidate(t.Context(), l, again(old))
		if err != nil || !again.Accepted || again.SoftEnd != now.SoftEnd {
			t.Errorf("asked again: %+v, %v, want what is there, %+v", again, err, now)
		}
	})
}

func TestRevalidateOfAStoreThatCannot(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		s := newStore(t, b.Client(t))
		old, l := renewing(t, s, apple, "x")
		if _, err := s.Revalidate(t.Context(), l, l2.Revalidation{Token: old.Token, Life: -1}); err == nil {
			t.Error("a negative life is no error")
		}
		s.Close()
		if _, err := s.Revalidate(t.Context(), l, again(old)); err == nil {
			t.Error("a closed store revalidates")
		}
	})
}
