package invalidation_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/invalidation"
)

func TestACutSubscriptionComesBackWithoutLosingCopies(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		p := b.Proxy(t)
		n := started(t, redistest.NewClient(t, p.Addr()))
		m := n.copyOf(n.key(1, 0))
		p.PubSub().Cut()
		n.eventually("a new subscription", func() bool { return n.Stats().Resubscriptions == 1 })
		n.confirmed()
		if !n.valid(m) {
			t.Error("a copy is void though nothing was invalidated")
		}
		n.invalidate(n.key(1, 0))
		n.eventually("a message on the new subscription", func() bool { return n.Stats().Received == 1 })
		if n.valid(m) || n.Stats().Flushes != (invalidation.Flushes{}) {
			t.Errorf("valid: %v, flushes: %+v", n.valid(m), n.Stats().Flushes)
		}
	})
}

func TestWhatHappensWithoutASubscriptionIsFoundByTheProbe(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		p := b.Proxy(t)
		n := started(t, redistest.NewClient(t, p.Addr()))
		p.PubSub().Refuse(true)
		n.eventually("the loss", func() bool { return !n.Stats().Subscribed })
		k := n.key(1, 0)
		m := n.copyOf(k)
		n.invalidate(k)
		n.eventually("the probe", func() bool { return !n.valid(m) })
		n.eventually("the state", func() bool { return n.State().Cause == invalidation.CauseSubscription })
		n.confirmed() // leases do not need a subscription
		p.PubSub().Refuse(false)
		n.eventually("a subscription", func() bool { return n.Stats().Subscribed })
		n.eventually("the state", func() bool { return n.State().Cause == invalidation.CauseNone })
	})
}

func TestASilentSubscriptionIsReplaced(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		p := b.Proxy(t)
		n := started(t, redistest.NewClient(t, p.Addr()))
		m := n.copyOf(n.key(1, 0))
		p.PubSub().BlackHole(true)
		n.eventually("the watchdog", func() bool { return n.Stats().Recycles > 0 })
		n.lose(1)
		n.eventually("the probe, meanwhile", func() bool { return !n.valid(m) })
		p.PubSub().BlackHole(false)
		n.eventually("a new subscription", func() bool { return n.Stats().Resubscriptions > 0 })
		k := n.key(1, 0)
		n.eventually("a message on the new subscription", func() bool {
			n.invalidate(k)
			return n.Stats().Received > 0
		})
	})
}

func TestWithoutAnyMessageCoherenceHoldsByProbing(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		p := b.Proxy(t)
		n := started(t, redistest.NewClient(t, p.Addr()))
		p.DropMessages(func(string, []byte) bool { return true })
		for i := range 8 {
			k := n.key(i%4, 0)
			m := n.copyOf(k)
			n.invalidate(k)
			n.eventually("the probe", func() bool { return !n.valid(m) })
		}
		n.confirmed()
		s := n.Stats()
		if s.Received != 0 || s.Flushes.Lost != 8 {
			t.Errorf("stats: %+v", s)
		}
		if s.Recycles == 0 {
			t.Error("a subscription that loses everything was not replaced")
		}
		if s.Recycles > 4 {
			t.Errorf("it was replaced %d times in 8 rounds: that does not help any more", s.Recycles)
		}
	})
}

func TestAServerThatRefusesTheSubscriptionIsNotBeleaguered(t *testing.T) {
	s := redistest.Start(t)
	do(t, s, "ACL", "SETUSER", "deaf", "on", "nopass", "~*", "+@all", "resetchannels")
	deaf := func(o *redis.Options) { o.Username, o.Password = "deaf", "x" }
	n := start(t, s.Client(t, deaf))
	began := time.Now() // the first attempts have been made before
	before := n.Stats().Recycles
	n.eventually("more attempts", func() bool { return n.Stats().Recycles >= before+6 })
	// The five waits between them are 20, 40, 80 … ms, less a random half.
	if took := time.Since(began); took < (20+40+80+160+320)*time.Millisecond/2 {
		t.Errorf("6 more attempts took only %v", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := n.Ready(ctx)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "no subscription to test:1.4:invalidations: NOPERM") {
		t.Errorf("got %v, want one that names what is missing", err)
	}
	n.eventually("a word about it", func() bool { return strings.Contains(n.logs.String(), "level=WARN") })
	n.confirmed()
	if !n.live() {
		t.Error("no leases without a subscription")
	}
}

func TestReadyNamesWhatIsMissing(t *testing.T) {
	client := redistest.NewClient(t, "127.0.0.1:1")
	n := start(t, client)
	ctx, cancel := context.WithCancel(t.Context())
	n.eventually("a failed round", func() bool { return n.Stats().ProbesFailed > 0 })
	cancel()
	err := n.Ready(ctx)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "4 of 4 partitions not confirmed") ||
		!strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
	_ = n.Close()
	if err := n.Ready(t.Context()); !errors.Is(err, invalidation.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
}

// oddServer accepts subscriptions and does something odd to each, by its
// number from 1. It knows no scripts.
func oddServer(t *testing.T, odd func(number int, c *server.Peer)) *redis.Client {
	t.Helper()
	s, err := server.NewServer("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	var number atomic.Int64
	if err := s.Register("SUBSCRIBE", func(c *server.Peer, _ string, args []string) {
		c.Block(func(w *server.Writer) {
			w.WriteLen(3)
			w.WriteBulk("subscribe")
			w.WriteBulk(args[0])
			w.WriteInt(1)
		})
		odd(int(number.Add(1)), c)
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Register("PING", func(c *server.Peer, _ string, _ []string) {
		c.Block(func(w *server.Writer) { w.WriteStrings([]string{"pong", ""}) })
	}); err != nil {
		t.Fatal(err)
	}
	return redistest.NewClient(t, s.Addr().String(), func(o *redis.Options) { o.Protocol = 2 })
}

func TestAnOddReplyEndsTheSubscriptionAndNotTheProcess(t *testing.T) {
	oddities := map[string]func(w *server.Writer){
		"unsubscribed by the server": func(w *server.Writer) {
			w.WriteLen(3)
			w.WriteBulk("unsubscribe")
			w.WriteBulk("test:1.4:invalidations")
			w.WriteInt(0)
		},
		"a panic in go-redis": func(w *server.Writer) {
			w.WriteLen(1)
			w.WriteInt(1)
		},
		"an error": func(w *server.Writer) { w.WriteError("NOPERM not any more") },
		"no RESP":  func(w *server.Writer) { w.WriteRaw("?what\r\n") },
	}
	for name, odd := range oddities {
		t.Run(name, func(t *testing.T) {
			n := start(t, oddServer(t, func(number int, c *server.Peer) {
				if number < 3 {
					c.Block(odd)
				}
			}))
			n.eventually("a third subscription", func() bool { s := n.Stats(); return s.Resubscriptions == 2 && s.Subscribed })
		})
	}
}
