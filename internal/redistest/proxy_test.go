package redistest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
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

func TestDropReplyAfterExecutes(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		c := s.p.Client(t)
		s.p.DropReplyAfter(redistest.Command("incr"), 2)
		for range 2 {
			if err := c.Incr(ctx, "n").Err(); err == nil {
				t.Error("an INCR was answered")
			}
		}
		if got := s.value(t, "n"); got != "2" {
			t.Errorf("executed %q times", got)
		}
		if got := c.Incr(ctx, "n").Val(); got != 3 {
			t.Errorf("the third: %d", got)
		}
	})
}

func TestFaultsOnOneCommandOfAPipeline(t *testing.T) {
	for name, tc := range map[string]struct {
		fault func(p *redistest.Proxy, match func([][]byte) bool)
		b     string // what key b has afterwards
	}{
		"DropReplyAfter": {func(p *redistest.Proxy, m func([][]byte) bool) { p.DropReplyAfter(m, 1) }, "1"},
		"CutBefore":      {func(p *redistest.Proxy, m func([][]byte) bool) { p.CutBefore(m, 1) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s setup) {
				tc.fault(s.p, redistest.AllOf(redistest.Command("SET"), redistest.Argument("b")))
				// By hand, as go-redis forgets the replies that came before an error.
				conn, err := net.Dial("tcp", s.p.Addr())
				must(t, err)
				defer conn.Close()
				_, err = conn.Write([]byte(command("SET", "a", "1") + command("GET", "a") + command("SET", "b", "1") + command("SET", "d", "1")))
				must(t, err)
				got, _ := io.ReadAll(conn)
				if want := "+OK\r\n$1\r\n1\r\n"; string(got) != want {
					t.Errorf("replies %q, want %q", got, want)
				}
				if got := s.value(t, "b"); got != tc.b {
					t.Errorf("b is %q, want %q", got, tc.b)
				}
				if name == "CutBefore" && s.value(t, "d") != "" {
					t.Error("what follows a cut was executed")
				}
				must(t, s.p.Client(t).Set(ctx, "b", 1, 0).Err()) // the rule is spent
			})
		})
	}
}

func TestScriptMatchesBothWaysOfCallingIt(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		script := redis.NewScript("return redis.call('INCR', KEYS[1])")
		other := redis.NewScript("return 1")
		c := s.p.Client(t)
		s.p.CutBefore(redistest.Script(script), 2)
		if err := script.Eval(ctx, c, []string{"n"}).Err(); err == nil {
			t.Error("EVAL got through")
		}
		must(t, other.Eval(ctx, c, nil).Err())
		if err := script.EvalSha(ctx, c, []string{"n"}).Err(); err == nil || redis.HasErrorPrefix(err, "NOSCRIPT") {
			t.Errorf("EVALSHA got through: %v", err)
		}
		must(t, script.Run(ctx, c, []string{"n"}).Err())
	})
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

func receive(t *testing.T, sub *redis.PubSub) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	m, err := sub.ReceiveMessage(ctx)
	must(t, err)
	return m.Payload
}

func wantTimeout(t *testing.T, err error) {
	t.Helper()
	var timeout interface{ Timeout() bool }
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v, want a time-out", err)
	}
}

// command encodes a command as clients do.
func command(args ...string) string {
	s := fmt.Sprintf("*%d\r\n", len(args))
	for _, a := range args {
		s += fmt.Sprintf("$%d\r\n%s\r\n", len(a), a)
	}
	return s
}

// A stream that is not replies to commands, the snapshot and the journal that
// a replica gets, passes unparsed, and black holes still apply.
func TestReplicationThroughTheProxy(t *testing.T) {
	primary, replica := redistest.Start(t, "--repl-diskless-sync-delay", "0"), redistest.Start(t)
	p := redistest.NewProxy(t, primary.Addr())
	from, to := primary.Client(t), replica.Client(t)
	must(t, from.Set(ctx, "before", strings.Repeat("x", 1<<20), 0).Err())
	host, port, err := net.SplitHostPort(p.Addr())
	must(t, err)
	must(t, to.Do(ctx, "REPLICAOF", host, port).Err())
	eventually(t, "the snapshot arrives", func() bool { return to.StrLen(ctx, "before").Val() == 1<<20 })
	must(t, from.Set(ctx, "during", "1", 0).Err())
	eventually(t, "the journal arrives", func() bool { return to.Get(ctx, "during").Val() == "1" })

	p.BlackHole(true)
	must(t, from.Set(ctx, "during", "2", 0).Err())
	must(t, from.Set(ctx, "other", "2", 0).Err())
	if got := to.Get(ctx, "during").Val(); got != "1" {
		t.Errorf("an isolated replica has %q", got)
	}
	p.BlackHole(false)
	eventually(t, "it catches up", func() bool { return to.Get(ctx, "during").Val() == "2" })
}

// Whatever is switched on and off while clients work and go, nothing blocks,
// and afterwards everything works.
func TestFaultsUnderLoad(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		var wg sync.WaitGroup
		stop := make(chan struct{})
		for i := range 4 {
			c := s.p.Client(t, func(o *redis.Options) { o.ReadTimeout = 5 * time.Millisecond })
			wg.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					key := fmt.Sprint(i, "-", n)
					pipe := c.Pipeline()
					pipe.Set(ctx, key, n, 0)
					pipe.Incr(ctx, "n")
					pipe.Publish(ctx, "ch", key)
					_, _ = pipe.Exec(ctx)
				}
			})
			sub := c.Subscribe(ctx, "ch")
			wg.Go(func() {
				<-stop
				_ = sub.Close()
			})
			wg.Go(func() {
				for {
					if _, err := sub.Receive(ctx); errors.Is(err, redis.ErrClosed) {
						return
					}
				}
			})
		}
		incr := redistest.Command("INCR")
		faults := []func(on bool){
			s.p.BlackHole, s.p.BlackHoleReplies, s.p.Refuse,
			s.p.Data().BlackHole, s.p.PubSub().BlackHoleReplies, s.p.PubSub().Refuse,
			func(bool) { s.p.Cut() },
			func(bool) { s.p.DropReplyAfter(incr, 2); s.p.CutBefore(incr, 2) },
			func(on bool) {
				s.p.DropMessages(func(string, []byte) bool { return on })
			},
			func(on bool) {
				s.p.Delay(map[bool]time.Duration{true: time.Millisecond}[on])
			},
			func(on bool) {
				h := s.p.Hold(incr)
				if on {
					h.Release()
				}
				s.p.HoldReply(incr).Release()
				s.p.HoldMessage(func(string, []byte) bool { return true }).Release()
			},
		}
		random := rand.New(rand.NewPCG(1, 2))
		for range 300 {
			faults[random.IntN(len(faults))](random.IntN(2) == 0)
			time.Sleep(time.Millisecond) // a rate, not a wait for an effect
		}
		close(stop)
		wg.Wait()
		for _, f := range faults[:6] {
			f(false)
		}
		s.p.ClearRules()
		s.p.DropMessages(nil)
		s.p.Delay(0)
		must(t, s.p.Client(t).Ping(ctx).Err())
	})
}
