package redistest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestHolesOfDifferentSidesOverlap(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		c := s.p.Client(t)
		must(t, c.Ping(ctx).Err())
		s.p.Data().BlackHole(true)
		s.p.BlackHoleReplies(true)
		s.p.BlackHoleReplies(false)
		if n := s.p.Conns(); n != 1 {
			t.Fatalf("%d connections while one hole is still there", n)
		}
		s.p.Data().BlackHole(false)
		if n := s.p.Conns(); n != 0 {
			t.Fatalf("%d connections after both", n)
		}
	})
}

func TestDelayKeepsOrder(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		sub := s.p.Client(t, patient).Subscribe(ctx, "ch")
		defer sub.Close()
		_, err := sub.Receive(ctx)
		must(t, err)
		s.p.PubSub().Delay(5 * time.Millisecond)
		for i := range 50 {
			if i == 25 {
				s.p.PubSub().Delay(time.Millisecond)
			}
			must(t, s.direct.Publish(ctx, "ch", fmt.Sprint(i)).Err())
		}
		for i := range 50 {
			if m := receive(t, sub); m != fmt.Sprint(i) {
				t.Fatalf("message %d is %q", i, m)
			}
		}
	})
}

func TestDropMessages(t *testing.T) {
	for name, proto := range map[string]func(*redis.Options){"RESP2": resp2, "RESP3": func(*redis.Options) {}} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s setup) {
				c := s.p.Client(t, proto, patient)
				sub := c.Subscribe(ctx, "a", "b")
				defer sub.Close()
				for range 2 {
					_, err := sub.Receive(ctx)
					must(t, err)
				}
				psub := c.PSubscribe(ctx, "a*")
				defer psub.Close()
				_, err := psub.Receive(ctx)
				must(t, err)

				s.p.DropMessages(func(channel string, payload []byte) bool {
					return channel == "a" && string(payload) == "bad"
				})
				for _, m := range []struct{ channel, payload string }{
					{"a", "1"}, {"a", "bad"}, {"b", "bad"}, {"a", "2"},
				} {
					must(t, s.direct.Publish(ctx, m.channel, m.payload).Err())
				}
				for _, want := range []string{"1", "bad", "2"} {
					if got := receive(t, sub); got != want {
						t.Fatalf("got %q, want %q", got, want)
					}
				}
				for _, want := range []string{"1", "2"} {
					if got := receive(t, psub); got != want {
						t.Fatalf("by pattern: got %q, want %q", got, want)
					}
				}
				if n := s.p.Dropped(); n != 2 {
					t.Errorf("%d dropped", n)
				}
				// Replies between messages are not taken for messages.
				must(t, sub.Ping(ctx, "hello"))
				if m, err := sub.Receive(ctx); err != nil {
					t.Fatal(err)
				} else if pong, ok := m.(*redis.Pong); !ok || pong.Payload != "hello" {
					t.Errorf("got %v for a PING", m)
				}
				s.p.DropMessages(nil)
				must(t, s.direct.Publish(ctx, "a", "bad").Err())
				if got := receive(t, sub); got != "bad" {
					t.Errorf("got %q after dropping was turned off", got)
				}
			})
		})
	}
}

func TestSides(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		c := s.p.Client(t, short)
		must(t, c.Ping(ctx).Err())
		// The subscriber connects while data connections are in a black hole, as
		// what it is for is not known before it subscribes.
		s.p.Data().BlackHole(true)
		sub := s.p.Client(t, patient).Subscribe(ctx, "ch")
		defer sub.Close()
		_, err := sub.Receive(ctx)
		must(t, err)
		if d, p := s.p.Data().Conns(), s.p.PubSub().Conns(); d != 1 || p != 1 {
			t.Fatalf("%d data connections and %d subscribers", d, p)
		}
		must(t, s.direct.Publish(ctx, "ch", "1").Err())
		if got := receive(t, sub); got != "1" {
			t.Errorf("got %q", got)
		}
		wantTimeout(t, c.Ping(ctx).Err())
		s.p.Data().BlackHole(false)
		must(t, c.Ping(ctx).Err())

		s.p.PubSub().Refuse(true)
		if _, err := sub.Receive(ctx); err == nil {
			t.Error("the subscriber was not cut")
		}
		must(t, c.Ping(ctx).Err())
		if _, err := sub.Receive(ctx); err == nil {
			t.Error("a subscriber got through")
		}
		s.p.PubSub().Refuse(false)
		eventually(t, "it is back", func() bool { _, err := sub.Receive(ctx); return err == nil })
		s.p.Data().Cut()
		must(t, s.direct.Publish(ctx, "ch", "2").Err())
		if got := receive(t, sub); got != "2" {
			t.Errorf("got %q", got)
		}
	})
}

func receive(t *testing.T, sub *redis.PubSub) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	m, err := sub.ReceiveMessage(ctx)
	must(t, err)
	return m.Payload
}
