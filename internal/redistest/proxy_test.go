package redistest_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
)

// short makes a client give up soon on a reply that never comes.
func short(o *redis.Options) {
	o.ReadTimeout = 50 * time.Millisecond
	o.DialTimeout = time.Second
}

func patient(o *redis.Options) { o.ReadTimeout = 20 * time.Second }

func resp2(o *redis.Options) { o.Protocol = 2 }

// setup is a backend, a client that goes straight to it, and a proxy.
type setup struct {
	b      *redistest.Backend
	direct *redis.Client
	p      *redistest.Proxy
}

func each(t *testing.T, fn func(t *testing.T, s setup)) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		fn(t, setup{b: b, direct: b.Client(t), p: b.Proxy(t)})
	})
}

func (s setup) value(t *testing.T, key string) string {
	t.Helper()
	v, err := s.direct.Get(ctx, key).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	return v
}

func TestProxyPassesEverythingOn(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprint("RESP", protocol), func(t *testing.T) {
			each(t, func(t *testing.T, s setup) {
				c := s.p.Client(t, func(o *redis.Options) { o.Protocol = protocol })
				big := strings.Repeat("0123456789abcdef\r\n$-1\r\n", 100_000)
				must(t, c.Set(ctx, "big", big, 0).Err())
				if got := s.value(t, "big"); got != big {
					t.Errorf("the server has %d bytes, not %d", len(got), len(big))
				}
				if got := c.Get(ctx, "big").Val(); got != big {
					t.Errorf("the client gets %d bytes, not %d", len(got), len(big))
				}
				pipe := c.Pipeline()
				for i := range 3000 {
					pipe.Incr(ctx, "n")
					pipe.HSet(ctx, "h", fmt.Sprint(i), "")
				}
				cmds, err := pipe.Exec(ctx)
				must(t, err)
				if got := cmds[len(cmds)-2].(*redis.IntCmd).Val(); got != 3000 {
					t.Errorf("last of the pipeline: %d", got)
				}
				if got := len(c.HGetAll(ctx, "h").Val()); got != 3000 {
					t.Errorf("hash of %d", got)
				}
				if err := c.Get(ctx, "none").Err(); !errors.Is(err, redis.Nil) {
					t.Errorf("missing key: %v", err)
				}
				if err := c.Do(ctx, "NONSENSE").Err(); err == nil || !strings.Contains(err.Error(), "unknown command") {
					t.Errorf("unknown command: %v", err)
				}
				_, err = c.TxPipelined(ctx, func(tx redis.Pipeliner) error {
					tx.Set(ctx, "tx", "1", 0)
					return nil
				})
				must(t, err)
				if got := s.value(t, "tx"); got != "1" {
					t.Errorf("after MULTI and EXEC: %q", got)
				}
			})
		})
	}
}

func TestCutClosesConnectionsOnce(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		c := s.p.Client(t, func(o *redis.Options) { o.MaxRetries = 1 })
		must(t, c.Ping(ctx).Err())
		held := s.p.HoldReply(redistest.Command("GET"))
		result := make(chan error, 1)
		go func() { result <- c.Do(ctx, "GET", "k").Err() }()
		held.Wait(t)
		s.p.Cut()
		// The retry finds a new connection.
		if err := <-result; !errors.Is(err, redis.Nil) {
			t.Errorf("after the cut: %v", err)
		}
	})
}

func TestRefuseClosesConnectionsWhileOn(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		c := s.p.Client(t)
		must(t, c.Ping(ctx).Err())
		s.p.Refuse(true)
		for range 3 {
			if err := c.Ping(ctx).Err(); err == nil {
				t.Error("answered while connections are refused")
			}
		}
		if n := s.p.Conns(); n != 0 {
			t.Errorf("%d connections", n)
		}
		silent, err := net.Dial("tcp", s.p.Addr())
		must(t, err)
		defer silent.Close()
		must(t, silent.SetDeadline(time.Now().Add(10*time.Second)))
		if _, err := silent.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("a connection that sends nothing: %v, want EOF at once", err)
		}
		s.p.Refuse(false)
		must(t, c.Ping(ctx).Err())
	})
}

func TestBlackHoleSwallowsBothDirections(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		old := s.p.Client(t, short)
		must(t, old.Ping(ctx).Err())
		sub := s.p.Client(t, patient).Subscribe(ctx, "ch")
		defer sub.Close()
		_, err := sub.Receive(ctx)
		must(t, err)

		s.p.BlackHole(true)
		before := s.p.Conns()
		wantTimeout(t, old.Set(ctx, "k", "v", 0).Err())
		wantTimeout(t, s.p.Client(t, short).Set(ctx, "k", "v", 0).Err()) // a new connection
		if got := s.value(t, "k"); got != "" {
			t.Error("a swallowed command was executed")
		}
		s.direct.Publish(ctx, "ch", "lost")
		if s.p.Conns() == 0 || before == 0 {
			t.Error("a black hole closed connections")
		}

		s.p.BlackHole(false)
		if _, err := sub.Receive(ctx); err == nil {
			t.Error("a stream with a hole in it went on")
		}
		must(t, s.p.Client(t).Ping(ctx).Err())
	})
}

func TestBlackHoleHidesTheServersDeath(t *testing.T) {
	s := redistest.Start(t)
	p := redistest.NewProxy(t, s.Addr())
	c := p.Client(t)
	must(t, c.Ping(ctx).Err())
	p.BlackHole(true)
	s.Kill()
	// The next server being up says that the first one's end has been seen.
	s.Restart()
	must(t, s.Client(t).Ping(ctx).Err())
	if n := p.Conns(); n != 1 {
		t.Fatalf("%d connections behind the black hole", n)
	}
	p.BlackHole(false)
	if n := p.Conns(); n != 0 {
		t.Fatalf("%d connections after it", n)
	}
}

func TestBlackHoleRepliesSwallowsOnlyReplies(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		c := s.p.Client(t, short)
		must(t, c.Ping(ctx).Err())
		s.p.BlackHoleReplies(true)
		wantTimeout(t, c.Set(ctx, "k", "v", 0).Err())
		if got := s.value(t, "k"); got != "v" {
			t.Errorf("executed: %q", got)
		}
		s.p.BlackHoleReplies(false)
		must(t, s.p.Client(t).Ping(ctx).Err())
	})
}

func TestDelayHoldsBackAndLetsGo(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		c := s.p.Client(t, patient)
		must(t, c.Ping(ctx).Err())
		s.p.Delay(time.Hour)
		result := make(chan error, 1)
		go func() { result <- c.Set(ctx, "k", "v", 0).Err() }()
		eventually(t, "the command is executed", func() bool { return s.value(t, "k") == "v" })
		select {
		case err := <-result:
			t.Fatalf("answered: %v", err)
		default:
		}
		s.p.Delay(0)
		must(t, <-result)

		s.p.Delay(20 * time.Millisecond)
		start := time.Now()
		must(t, c.Ping(ctx).Err())
		if took := time.Since(start); took < 20*time.Millisecond {
			t.Errorf("took %v with a delay of 20ms", took)
		}
	})
}

func TestCounts(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		c := s.p.Client(t)
		must(t, c.Ping(ctx).Err())
		s.p.ResetCounts()
		must(t, c.Set(ctx, "a", 1, 0).Err())
		pipe := c.Pipeline()
		for range 10 {
			pipe.Get(ctx, "a")
		}
		_, err := pipe.Exec(ctx)
		must(t, err)
		got := s.p.Commands()
		if got["SET"] != 1 || got["GET"] != 10 {
			t.Errorf("commands: %v", got)
		}
		if n := s.p.RoundTrips(); n != 2 {
			t.Errorf("%d round trips for a command and a pipeline", n)
		}
		sub := s.p.Client(t, resp2).Subscribe(ctx, "ch")
		defer sub.Close()
		_, err = sub.Receive(ctx)
		must(t, err)
		must(t, sub.Ping(ctx))
		_, err = sub.Receive(ctx)
		must(t, err)
		if n := s.p.RoundTrips(); n != 2 {
			t.Errorf("%d round trips after a subscription", n)
		}
	})
}

func TestTargetMovesNewConnections(t *testing.T) {
	first, second := redistest.Mini(t), redistest.Mini(t)
	p := first.Proxy(t)
	c := p.Client(t)
	must(t, c.Set(ctx, "k", "v", 0).Err())
	p.Target(second.Addr)
	if got := c.Get(ctx, "k").Val(); got != "v" {
		t.Errorf("on the open connection: %q", got)
	}
	p.Cut()
	eventually(t, "an empty server answers", func() bool {
		return errors.Is(c.Get(ctx, "k").Err(), redis.Nil)
	})
}

func TestProxyWithoutServer(t *testing.T) {
	b := redistest.Mini(t)
	p := b.Proxy(t)
	b.Miniredis.Close()
	if err := p.Client(t).Ping(ctx).Err(); err == nil {
		t.Error("nobody answered")
	}
}

func wantTimeout(t *testing.T, err error) {
	t.Helper()
	var timeout interface{ Timeout() bool }
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v, want a time-out", err)
	}
}
