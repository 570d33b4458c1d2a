package invalidation_test

import (
	"context"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/redistest"
)

// Ten minutes of three instances with the default bound, in which every third
// message is lost: no copy outlives an invalidation by more than the bound, and
// no instance is ever without leases.
func TestTenMinutesWithLostMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := miniredis.NewMiniRedis()
		defer m.Close()
		m.ClockTTL(true)
		const bound = 5 * time.Second
		var nodes []*node
		for range 3 {
			client := redistest.NewClient(t, "in memory", func(o *redis.Options) {
				o.Dialer = func(context.Context, string, string) (net.Conn, error) { return m.Dial() }
			})
			nodes = append(nodes, started(t, client, func(c *config) { c.bound = bound }))
		}
		type held struct {
			n    *node
			mark *fence.Mark
			void time.Time // when it must be void, if it was invalidated
		}
		var copies []held
		random := rand.New(rand.NewPCG(1, 2))
		checked, lost := 0, 0
		for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); {
			k := nodes[0].key(random.IntN(4), random.IntN(5))
			for _, n := range nodes {
				copies = append(copies, held{n: n, mark: n.copyOf(k)})
			}
			time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond) //nolint:forbidigo // moves the clock
			if random.IntN(3) == 0 {
				lost++
				nodes[0].lose(nodes[0].layout.Partition(k.Hash))
			} else {
				nodes[0].invalidate(k)
			}
			now := time.Now()
			keep := copies[:0]
			for _, c := range copies {
				switch {
				case c.void.IsZero() && c.mark.Hash == k.Hash:
					c.void = now.Add(bound + time.Nanosecond)
				case !c.void.IsZero() && now.After(c.void):
					if checked++; c.n.valid(c.mark) {
						t.Fatalf("a copy is valid %v after it was invalidated", now.Sub(c.void)+bound)
					}
					continue
				}
				keep = append(keep, c)
			}
			copies = keep
			for _, n := range nodes {
				if !n.live() {
					t.Fatal("an instance is without leases")
				}
			}
		}
		if checked < 1000 || lost < 100 {
			t.Errorf("only %d copies and %d lost messages", checked, lost)
		}
		for _, n := range nodes {
			if s := n.Stats(); s.Flushes.Lost == 0 || s.Gaps == 0 || s.ProbesFailed > 0 {
				t.Errorf("stats: %+v", s)
			}
			_ = n.Close()
			if c, ok := n.redis.(*redis.Client); ok {
				_ = c.Close()
			}
		}
	})
}
