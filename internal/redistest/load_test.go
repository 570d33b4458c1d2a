package redistest_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
)

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
			time.Sleep(time.Millisecond) //nolint:forbidigo // a rate, not a wait for an effect
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
