package l2_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"net"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/l2"
)

func TestReadsThatWaitShareARoundTrip(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		loadScripts(t, c)
		p := b.Proxy(t)
		s := newStore(t, p.Client(t))
		var keys []l2.Key
		for i := range 300 {
			keys = append(keys, keyspace.Of([]string{"products", "customers", "stock"}[i%3], fmt.Sprint(i)))
		}
		want := make(map[l2.Key]l2.Status)
		for i, k := range keys {
			if want[k] = l2.Miss; i%4 != 0 {
				put(t, s, k, k.Region+k.Name)
				want[k] = l2.Hit
			}
		}
		// Clear one region in one partition: requests that share a sequence do not
		// share the clearing of another region.
		if _, err := s.InvalidatePartition(t.Context(), 3, []string{"customers"}); err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if k.Region == "customers" && partition(k) == 3 {
				want[k] = l2.Miss
			}
		}
		seqs := make([]uint64, partitions)
		for i := range seqs {
			seqs[i], _ = c.Get(t.Context(), layout.Sequence(i)).Uint64()
		}

		p.ResetCounts()
		s.GoTheLongWay()
		held := p.Hold(redistest.Command("MGET"))
		also := p.Hold(redistest.Command("MGET"))
		var wg sync.WaitGroup
		for _, k := range keys {
			wg.Go(func() {
				r, err := s.Get(t.Context(), k)
				if err != nil || r.Status != want[k] || r.Seq != seqs[partition(k)] {
					t.Errorf("%s:%s: %v at %d, %v, want %v at %d", k.Region, k.Name, r.Status, r.Seq, err, want[k], seqs[partition(k)])
				}
				if r.Status == l2.Hit && string(r.Value.Payload) != k.Region+k.Name {
					t.Errorf("%s:%s: got the value %q", k.Region, k.Name, r.Value.Payload)
				}
			})
		}
		eventually(t, "all are waiting", func() bool { return s.Waiting() == len(keys) })
		held.Release()
		also.Release()
		wg.Wait()
		if n := p.Commands()["MGET"]; n > 10 {
			t.Errorf("%d commands for %d reads at once", n, len(keys))
		}
	})
}

func TestLargeValuesAreNotAskedForAllAtOnce(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		p := b.Proxy(t)
		s := newStore(t, p.Client(t))
		large := strings.Repeat("x", 1<<20)
		for i := range 4 {
			put(t, s, keyspace.Of("products", fmt.Sprint(i)), large)
		}
		read := func(i int) {
			k := keyspace.Of("products", fmt.Sprint(i%4))
			if r, err := s.Get(t.Context(), k); err != nil || string(r.Value.Payload) != large {
				t.Errorf("got %v of %d bytes, %v", r.Status, len(r.Value.Payload), err)
			}
		}
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() { read(i) })
		}
		wg.Wait()
		p.ResetCounts()
		for i := range 16 {
			wg.Go(func() { read(i) })
		}
		wg.Wait()
		if n := p.Commands()["MGET"]; n < 8 {
			t.Errorf("%d commands for 16 values of 1 MiB", n)
		}
	})
}

func TestLargeValuesAreNotStoredAllAtOnce(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		loadScripts(t, c)
		p := b.Proxy(t)
		s := newStore(t, p.Client(t))
		keys := manyKeys(24)
		var leases []l2.Lease
		for _, k := range keys {
			leases = append(leases, grant(t, s, k))
		}
		large := strings.Repeat("x", 600_000)
		s.GoTheLongWay()
		var wg sync.WaitGroup
		held := p.Hold(redistest.Script(l2.Scripts["fill"]))
		for i := range leases {
			wg.Go(func() { fill(t, s, leases[i], large) })
		}
		eventually(t, "what waits waits", func() bool { return s.LargestBatch() > 0 && s.Waiting() > 0 })
		for s.Waiting() > 1 {
			if n := s.LargestBatch(); n > 1 {
				t.Errorf("%d values of 600,000 bytes in one round trip", n)
				break
			}
		}
		held.Release()
		wg.Wait()
	})
}

func TestLoneReaderOfAQuickRedisReadsDirectly(t *testing.T) {
	b := redistest.Mini(t)
	p := b.Proxy(t)
	s := newStore(t, p.Client(t))
	put(t, s, apple, "x")
	if s.ReadsDirectly() {
		t.Error("before it is known how quick Redis is")
	}
	direct := func() {
		eventually(t, "reads are direct", func() bool {
			wantHit(t, s, apple, "x")
			return s.ReadsDirectly()
		})
	}
	// On a busy machine the read that is held may just then not be a direct one.
	// It then waits for as long as it is held.
	eventually(t, "a direct read is held, and goes the long way", func() bool {
		direct()
		held := p.Hold(redistest.Command("MGET"))
		done := make(chan struct{})
		go func() {
			defer close(done)
			wantHit(t, s, apple, "x")
		}()
		held.Wait(t)
		patience := time.NewTimer(3 * time.Second)
		defer patience.Stop()
		select {
		case <-done:
			held.Release()
			return true
		case <-patience.C:
			held.Release()
			<-done
			return false
		}
	})
	if s.ReadsDirectly() {
		t.Error("still, after a read that was not answered at once")
	}

	p.Delay(5 * time.Millisecond)
	for range 100 {
		wantHit(t, s, apple, "x")
	}
	if s.ReadsDirectly() {
		t.Error("though Redis is far away")
	}
}

// inBubble runs fn in a bubble of testing/synctest, where time passes when all
// wait, with a client of a miniredis that is reached without sockets.
func inBubble(t *testing.T, fn func(t *testing.T, c *redis.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := miniredis.NewMiniRedis()
		m.ClockTTL(true)
		t.Cleanup(m.Close)
		c := redis.NewClient(&redis.Options{
			Addr:                     "bubble",
			Dialer:                   func(context.Context, string, string) (net.Conn, error) { return m.Dial() },
			DisableIdentity:          true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		t.Cleanup(func() { c.Close() })
		fn(t, c)
	})
}

func TestLeaseLivesAsLongAsTheLoadAndNoLonger(t *testing.T) {
	inBubble(t, func(t *testing.T, c *redis.Client) {
		s := newStore(t, c, leaseTTL(5*time.Second), timeout(250*time.Millisecond))
		l := grant(t, s, apple)
		time.Sleep(time.Hour) //nolint:forbidigo // in a bubble this moves the clock
		fill(t, s, l, "after an hour")

		// The process dies: nobody renews any more.
		dead := newStore(t, c, leaseTTL(5*time.Second), timeout(250*time.Millisecond))
		grant(t, dead, pear)
		dead.Close()
		if r, err := s.GetOrLease(t.Context(), pear, l2.NewToken(), l2.Token{}); err != nil || r.Status != l2.Busy {
			t.Errorf("at once: %v, %v, want busy", r.Status, err)
		}
		time.Sleep(5 * time.Second) //nolint:forbidigo // in a bubble this moves the clock
		grant(t, s, pear)
	})
}

func TestTokensAreUnlikeEachOther(t *testing.T) {
	var mu sync.Mutex
	seen := map[l2.Token]bool{{}: true}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				tok := l2.NewToken()
				mu.Lock()
				if seen[tok] {
					t.Errorf("%x again", tok)
				}
				seen[tok] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}
