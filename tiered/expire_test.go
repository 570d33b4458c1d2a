package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

func expires(t *testing.T, r *tiered.Region[string]) {
	t.Helper()
	if err := r.Expire(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	synctest.Wait() // the others hear of it
}

// Expire ends a life on all instances, and keeps the value in case that the load
// fails, once or twice, for StaleFor; a Delete after it wins.
func TestExpire(t *testing.T) {
	for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L2Only} {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				cfg := tiered.Config[string]{Name: "items", Mode: mode, TTL: time.Hour, StaleFor: time.Minute, Jitter: -1}
				rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, cfg)
				f := &flaky{source: source[string]{value: "0"}}
				f.is(t, rs[0], "0", false)
				f.is(t, rs[1], "0", false)
				f.reads(t, 1)
				for i, r := range rs {
					expires(t, r)
					f.value = fmt.Sprint(i + 1)
					f.is(t, rs[1], f.value, false)
					f.is(t, rs[0], f.value, false)
					f.reads(t, 1)
				}
				f.down.Store(true)
				expires(t, rs[0])
				pass(time.Minute / 2)
				expires(t, rs[1]) // does not prolong
				for _, r := range rs {
					f.is(t, r, "2", true)
				}
				if left := b.inRedis(t); left > time.Minute/2 {
					t.Errorf("the value stays for %v, want half a minute", left)
				}
				pass(time.Minute/2 + near)
				for _, r := range rs {
					f.fails(t, r)
				}
				f.down.Store(false)
				pass(tiered.StaleThrottle)
				f.is(t, rs[0], "2", false)
				f.down.Store(true)
				expires(t, rs[0])
				if err := rs[1].Delete(t.Context(), "k"); err != nil {
					t.Fatal(err)
				}
				expires(t, rs[0])
				for _, r := range rs {
					f.fails(t, r)
				}
			})
		})
	}
}

// Where there is nowhere to keep a value, Expire is a Delete.
func TestExpireIsADelete(t *testing.T) {
	for name, change := range map[string]func(*tiered.Config[string]){
		"without StaleFor": func(c *tiered.Config[string]) { c.StaleFor = 0 },
		"L1Only":           func(c *tiered.Config[string]) { c.Mode = tiered.L1Only },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				cfg := tiered.Config[string]{Name: "items", StaleFor: time.Hour}
				change(&cfg)
				rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, cfg)
				f := &flaky{source: source[string]{value: "v"}}
				f.is(t, rs[0], "v", false)
				f.is(t, rs[1], "v", false)
				f.down.Store(true)
				expires(t, rs[0])
				f.fails(t, rs[0])
				f.fails(t, rs[1])
			})
		})
	}
}

// A node that is alone keeps the value in memory.
func TestExpireInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := region(t, local(t), tiered.Config[string]{Name: "items", StaleFor: time.Minute, Jitter: -1})
		f := &flaky{source: source[string]{value: "v"}}
		f.is(t, r, "v", false)
		f.down.Store(true)
		expires(t, r)
		f.is(t, r, "v", true)
		pass(time.Minute / 2)
		expires(t, r)
		f.is(t, r, "v", true)
		pass(time.Minute / 2)
		f.fails(t, r)
		f.down.Store(false)
		pass(tiered.StaleThrottle)
		f.is(t, r, "v", false)
		f.down.Store(true)
		if err := r.Delete(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		expires(t, r)
		f.fails(t, r)
	})
}

func TestExpireOfKeysThatAreNone(t *testing.T) {
	r := region(t, local(t), tiered.Config[string]{Name: "items", StaleFor: time.Minute})
	f := &flaky{source: source[string]{value: "v"}}
	f.is(t, r, "v", false)
	if err := r.Expire(t.Context(), "", "k"); !errors.Is(err, tiered.ErrInvalidKey) {
		t.Errorf("%v, want ErrInvalidKey", err)
	}
	f.down.Store(true)
	f.is(t, r, "v", true) // the valid one was expired
	var none *tiered.Region[string]
	if err := none.Expire(t.Context(), "k"); err == nil {
		t.Error("no error of a nil region")
	}
}

// An Expire that Redis does not confirm is queued as a Delete: the old value is
// not served any more, and in the end is gone.
func TestExpirePending(t *testing.T) {
	f := newFleetWith(t, 2, tiered.Options{MaxStaleness: bound, L2Timeout: 200 * time.Millisecond}, func(c *tiered.Config[int]) {
		c.StaleFor = time.Hour
	})
	a, b := f.members[0], f.members[1]
	f.origin.commit("k")
	a.get(t, "k")
	b.warm(t, "k")
	a.proxy.BlackHole(true)
	var pending *tiered.PendingError
	if err := a.items.Expire(t.Context(), "k"); !errors.As(err, &pending) || len(pending.Refs) != 1 {
		t.Fatalf("Expire: %v, want a PendingError", err)
	}
	f.origin.commit("k")
	if v := a.get(t, "k"); v != 2 {
		t.Errorf("version %d after the Expire, want 2", v)
	}
	a.proxy.BlackHole(false)
	eventually(t, "the other instance hears of it", func() bool { return b.get(t, "k") == 2 })
}

// The reply is lost: it may have happened or not, and in either case the other
// instance loads anew.
func TestExpireUnknown(t *testing.T) {
	f := newFleetWith(t, 2, tiered.Options{MaxStaleness: bound, L2Timeout: patience}, func(c *tiered.Config[int]) {
		c.StaleFor = time.Hour
	})
	a, b := f.members[0], f.members[1]
	for n, lose := range []func(at func([][]byte) bool){
		func(at func([][]byte) bool) { a.proxy.CutBefore(at, 1) },
		func(at func([][]byte) bool) { a.proxy.DropReplyAfter(at, 1) },
	} {
		key := fmt.Sprint("k", n)
		f.origin.commit(key)
		a.get(t, key)
		b.warm(t, key)
		var struck atomic.Int64
		lose(step(key, 1, &struck))
		f.origin.commit(key)
		err := a.items.Expire(t.Context(), key)
		if pending := new(tiered.PendingError); err != nil && !errors.As(err, &pending) {
			t.Errorf("Expire: %v, want nil or a PendingError", err)
		}
		if struck.Load() == 0 {
			t.Error("nothing was lost")
		}
		a.proxy.ClearRules()
		if v := a.get(t, key); v != 2 {
			t.Errorf("version %d after the Expire, want 2", v)
		}
		eventually(t, "the other instance hears of it", func() bool { return b.get(t, key) == 2 })
	}
}

// A load that began before an Expire does not count as one from after it.
func TestExpireDuringALoad(t *testing.T) {
	f := newFleetWith(t, 2, tiered.Options{MaxStaleness: bound, L2Timeout: patience}, func(c *tiered.Config[int]) {
		c.StaleFor = time.Hour
	})
	a, b := f.members[0], f.members[1]
	f.origin.commit("k")
	h := f.origin.holdNext()
	var wg sync.WaitGroup
	wg.Go(func() {
		if v := a.get(t, "k"); v != 2 {
			t.Errorf("the caller of the load got version %d, want that it loads again", v)
		}
	})
	<-h.read
	f.origin.commit("k")
	if err := b.items.Expire(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the loading instance has heard of it", func() bool { return a.Stats().Received > 0 })
	close(h.release)
	wg.Wait()
	if v := b.get(t, "k"); v != 2 {
		t.Errorf("version %d after the Expire, want 2", v)
	}
	if n := a.items.Stats().FillsRejected; n != 1 {
		t.Errorf("%d fills rejected, want 1", n)
	}
}

// After Expire returned nil, no read that begins later on this instance takes an
// older value for a fresh one, and none on another that begins more than the
// bound later, whatever was lost.
func TestGuaranteesOfExpire(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("messages lost %v", lost), func(t *testing.T) {
			t.Parallel()
			f := newFleetWith(t, 2, tiered.Options{MaxStaleness: bound, L2Timeout: patience}, func(c *tiered.Config[int]) {
				c.StaleFor = time.Hour
			})
			a, b := f.members[0], f.members[1]
			if lost {
				b.proxy.DropMessages(allMessages)
			}
			f.origin.commit("k")
			for range 3 {
				b.warm(t, "k")
				want := f.origin.commit("k")
				if err := a.items.Expire(t.Context(), "k"); err != nil {
					t.Fatal(err)
				}
				expired := time.Now()
				if v := a.get(t, "k"); v < want {
					t.Errorf("version %d after the Expire that follows version %d returned", v, want)
				}
				eventually(t, "the bound is over", func() bool {
					late := time.Since(expired) - bound
					if v := b.get(t, "k"); late > 0 && v < want {
						t.Errorf("version %d, %v after the bound, want %d", v, late, want)
					}
					return late > bound/8
				})
			}
		})
	}
}

// A fill may run twice, with an Expire between the two runs: then its answer is
// from after the Expire, and the value is from before.
func TestExpireBetweenTwoRunsOfAFill(t *testing.T) {
	cfg := tiered.Config[int]{Name: "items", Jitter: -1, StaleFor: time.Hour, TTL: time.Hour}
	f := newFleetWith(t, 1, tiered.Options{MaxStaleness: bound, L2Timeout: patience}, func(c *tiered.Config[int]) { *c = cfg })
	b := f.members[0]
	a := &member{proxy: redistest.NewProxy(t, f.server.Addr()), origin: f.origin}
	a.client = a.proxy.Client(t, func(o *redis.Options) { o.MaxRetries = 3 })
	a.Node = open(t, tiered.Options{Redis: a.client, MaxStaleness: bound, L2Timeout: patience})
	ready(t, a.Node)
	a.items = region(t, a.Node, cfg)
	f.origin.commit("warm") // Redis knows the scripts
	a.warm(t, "warm")
	b.warm(t, "warm")
	f.origin.commit("k")
	var dropped, again atomic.Int64
	a.proxy.DropReplyAfter(step("k", 3, &dropped), 1) // MGET, get-or-lease, fill
	h := a.proxy.Hold(step("k", 3, &again))           // which the client sends again; the first rule that matches applies
	got := make(chan int, 1)
	go func() { got <- a.get(t, "k") }()
	h.Wait(t)
	if err := b.items.Expire(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	f.origin.commit("k") // what the Expire is for
	h.ReleaseAndWait(t)
	<-got
	if dropped.Load() != 1 || again.Load() != 1 {
		t.Fatalf("the fill was lost %d times, and sent again %d times", dropped.Load(), again.Load())
	}
	eventually(t, "a reads what is there since the Expire", func() bool { return b.get(t, "k") == 2 && a.get(t, "k") == 2 })
	time.Sleep(2 * bound) //nolint:forbidigo // what is in L1 now would still be
	if v := a.get(t, "k"); v != 2 {
		t.Errorf("long after the Expire: %d", v)
	}
}

// A key that is answered with its stale value, because its load has failed, is
// loaded after an Expire.
func TestExpireEndsTheThrottle(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[string]{Name: "items", TTL: time.Minute, StaleFor: time.Hour, Jitter: -1})
		f := &flaky{source: source[string]{value: "1"}}
		f.is(t, r, "1", false)
		pass(time.Minute + time.Second)
		f.down.Store(true)
		f.is(t, r, "1", true)
		f.down.Store(false)
		f.value = "2"
		expires(t, r)
		f.is(t, r, "2", false)
	})
}

// A load that began before an Expire, and fails or is slow, says nothing of the next
// one: the next call loads.
func TestExpireDuringALoadThatFails(t *testing.T) {
	slow := func(ctx context.Context, r *tiered.Region[string], many bool) {
		if many {
			_, _ = r.GetOrLoadMany(ctx, []string{"k"}, func(context.Context, []string) (map[string]string, error) {
				time.Sleep(3 * time.Second) //nolint:forbidigo // moves the bubble's clock
				return nil, errDown
			})
			return
		}
		_, _ = r.GetOrLoad(ctx, "k", func(context.Context, string) (string, error) {
			time.Sleep(3 * time.Second) //nolint:forbidigo // moves the bubble's clock
			return "", errDown
		})
	}
	for _, soft := range []time.Duration{0, time.Second} {
		for _, many := range []bool{false, true} {
			t.Run(fmt.Sprint("soft ", soft, " many ", many), func(t *testing.T) {
				inBubble(t, func(t *testing.T, b *bubble) {
					r := region(t, b.node(t), tiered.Config[string]{Name: "items", TTL: time.Minute, StaleFor: time.Hour, SoftTimeout: soft, Jitter: -1})
					f := &flaky{source: source[string]{value: "old"}}
					f.is(t, r, "old", false)
					pass(2 * time.Minute)
					var wg sync.WaitGroup
					wg.Go(func() { slow(t.Context(), r, many) })
					pass(time.Second / 2)
					expires(t, r)
					if pass(3 * time.Second); soft > 0 {
						wg.Wait()
					}
					f.value = "new"
					f.is(t, r, "new", false)
					wg.Wait()
				})
			})
		}
	}
}
