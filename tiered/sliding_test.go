package tiered_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// A value that is read stays, on all instances that read it and in Redis, until
// TTL; one that nobody reads goes between SlidingTTL and 1.5 times that.
func TestSlidingTTL(t *testing.T) {
	const sliding = 4 * time.Minute
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				r := region(t, b.node(t), tiered.Config[string]{Name: "items", Mode: mode, TTL: time.Hour, SlidingTTL: sliding, Jitter: -1})
				s := &source[string]{value: "v"}
				began := time.Now()
				get := func() error {
					_, err := r.GetOrLoad(t.Context(), "k", s.load)
					synctest.Wait()
					return err
				}
				_ = get()
				for time.Since(began) < 55*time.Minute {
					pass(sliding - near)
					if err := get(); err != nil {
						t.Fatal(err)
					}
				}
				s.reads(t, 1)
				for time.Since(began) < time.Hour-time.Second {
					pass(time.Second)
					if err := get(); err != nil {
						t.Fatal(err)
					}
				}
				s.reads(t, 0)
				pass(time.Second + near)
				_ = get() // TTL is the limit
				s.reads(t, 1)
				for _, often := range []time.Duration{time.Second, time.Minute / 2, 55 * time.Second, 90 * time.Second} {
					for range 10 {
						pass(often)
						_ = get()
					}
					pass(sliding - near)
					_ = get()
					s.reads(t, 0)
					pass(sliding + sliding/2 + 2*near)
					if _, err := r.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) {
						t.Errorf("nobody has read it for a long time: %v, want ErrNotFound", err)
					}
					_ = get()
					s.reads(t, 1)
				}
			})
		})
	}
}

// Reads answered by L1 keep the value in Redis, also one that was Set, for the
// instances that come later.
func TestL1HitsKeepTheValueInRedis(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		cfg := tiered.Config[string]{Name: "items", TTL: 10 * time.Hour, SlidingTTL: 4 * time.Minute, Jitter: -1}
		rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, cfg)
		s := &source[string]{value: "v"}
		if err := rs[0].Set(t.Context(), "k", "v"); err != nil {
			t.Fatal(err)
		}
		for range 50 {
			pass(time.Minute)
			if v, err := rs[0].Get(t.Context(), "k"); v != "v" || err != nil {
				t.Fatal(v, err)
			}
			synctest.Wait()
		}
		if n := rs[0].Stats().L2Hits; n != 0 {
			t.Fatalf("%d reads from L2, want L1 to answer", n)
		}
		wants(t, rs[1], "k", s, "v", tiered.SourceL2)
		pass(6*time.Minute + 2*near)
		if keys := valueKeys(t, b.client(t)); len(keys) != 0 {
			t.Errorf("still in Redis: %q", keys)
		}
	})
}

// A value that is read all the time is written four times in SlidingTTL.
func TestTouchesAreBounded(t *testing.T) {
	for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L2Only} {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				r := region(t, b.node(t), tiered.Config[string]{Name: "items", Mode: mode, TTL: time.Hour, SlidingTTL: 4 * time.Minute, Jitter: -1})
				s := &source[string]{value: "v"}
				c := b.client(t)
				touches, last := 0, time.Duration(0)
				for range 600 { // ten minutes
					pass(time.Second)
					if _, err := r.GetOrLoad(t.Context(), "k", s.load); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					left := c.PTTL(t.Context(), valueKeys(t, c)[0]).Val()
					if left > last {
						touches++
					}
					last = left
				}
				// The first is the fill.
				if touches < 10 || touches > 11 {
					t.Errorf("%d writes in ten minutes, want one a minute", touches)
				}
				// One that follows the fill at once does not show.
				if n := int(r.Stats().Touches); n < touches-1 || n > touches {
					t.Errorf("%d touches are counted, want %d or one more", n, touches-1)
				}
			})
		})
	}
}

// That there is nothing does not stay for being asked for.
func TestNegativeEntriesDoNotSlide(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[string]{Name: "items", SlidingTTL: time.Minute, NegativeTTL: 3 * time.Minute, Jitter: -1})
		s := &source[string]{err: tiered.ErrNotFound}
		for range 18 {
			_, _ = r.GetOrLoad(t.Context(), "k", s.load)
			pass(10 * time.Second)
		}
		pass(near)
		s.reads(t, 1)
		_, _ = r.GetOrLoad(t.Context(), "k", s.load)
		s.reads(t, 1)
		pass(2 * time.Minute) // unread
		_, _ = r.GetOrLoad(t.Context(), "k", s.load)
		s.reads(t, 0)
	})
}

// A deleted value does not come back for being touched.
func TestDeleteBesideTouches(t *testing.T) {
	f := newFleetWith(t, 2, tiered.Options{MaxStaleness: bound, L2Timeout: patience}, func(c *tiered.Config[int]) {
		c.SlidingTTL = 100 * time.Millisecond
	})
	a, b := f.members[0], f.members[1]
	for range 20 {
		want := f.origin.commit("k")
		if err := b.items.Delete(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		for began := time.Now(); time.Since(began) < 60*time.Millisecond; {
			if v := b.get(t, "k"); v != want {
				t.Fatalf("version %d after the Delete that follows version %d", v, want)
			}
			a.get(t, "k")
			pause()
		}
	}
}

// G1a, G1b and G3 hold with all that concerns lives at once.
func TestGuaranteesWithSlidingValues(t *testing.T) {
	guaranteesHold(t, func(c *tiered.Config[int]) {
		c.TTL, c.SlidingTTL = 150*time.Millisecond, 100*time.Millisecond
		c.RefreshAhead, c.StaleFor, c.SoftTimeout = 0.03, time.Second, time.Millisecond
	}, func(s tiered.RegionStats) bool { return s.Refreshes > 0 })
}

func TestSlidingConfig(t *testing.T) {
	tests := []struct {
		cfg  tiered.Config[int]
		want string // "": it is good
	}{
		{tiered.Config[int]{SlidingTTL: time.Minute}, ""},
		{tiered.Config[int]{SlidingTTL: -1}, "SlidingTTL is negative"},
		{tiered.Config[int]{SlidingTTL: time.Minute, TTL: time.Minute}, "not shorter than TTL"},
		{tiered.Config[int]{SlidingTTL: tiered.DefaultTTL}, "not shorter than TTL"},
		{tiered.Config[int]{SlidingTTL: time.Millisecond}, "shorter than 100ms"},
	}
	for i, tt := range tests {
		t.Run(fmt.Sprint(tt.cfg.SlidingTTL), func(t *testing.T) {
			tt.cfg.Name = fmt.Sprint("items", i)
			_, err := tiered.New(local(t), tt.cfg)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// A hit on a value that stays because it is read allocates nothing between two
// touches, nor does a touch of a value that lives in memory alone.
func TestHitOfASlidingRegionAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations are counted without the race detector, which allocates itself")
	}
	for _, period := range []time.Duration{time.Hour, 100 * time.Millisecond} {
		r := region(t, local(t), tiered.Config[int]{Name: "items", TTL: 2 * time.Hour, SlidingTTL: period})
		s := &source[int]{value: 1000}
		load, ctx := s.load, t.Context()
		if _, err := r.GetOrLoad(ctx, "k", load); err != nil {
			t.Fatal(err)
		}
		settles(t, r, "k")
		if n := testing.AllocsPerRun(1000, func() { _, _ = r.Get(ctx, "k"); _, _ = r.GetOrLoad(ctx, "k", load) }); n != 0 {
			t.Errorf("%v: %v allocations for two hits", period, n)
		}
	}
}

// What nobody has read is over then: it is served stale from memory for StaleFor from
// that moment on, and not up to its TTL.
func TestStaleAfterSliding(t *testing.T) {
	for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L1Only} {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				r := region(t, b.node(t), tiered.Config[string]{
					Name: "items", Mode: mode, TTL: 12 * time.Hour, SlidingTTL: 20 * time.Minute, StaleFor: 30 * time.Minute, Jitter: -1,
				})
				f := &flaky{source: source[string]{value: "v"}}
				f.is(t, r, "v", false)
				f.down.Store(true)
				pass(30 * time.Minute) // its end was after 25
				info := f.is(t, r, "v", true)
				wantInfo(t, "unread", info, tiered.Info{Source: tiered.SourceL1, StaleRemaining: 25 * time.Minute, Age: 30 * time.Minute, Stale: true})
				pass(25*time.Minute - near)
				f.is(t, r, "v", true)
				pass(2 * near)
				f.fails(t, r)
			})
		})
	}
}

// An Expire does not bring it back either.
func TestExpireOfWhatNobodyHasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := region(t, local(t), tiered.Config[string]{Name: "items", TTL: 12 * time.Hour, SlidingTTL: 20 * time.Minute, StaleFor: 30 * time.Minute, Jitter: -1})
		f := &flaky{source: source[string]{value: "v"}}
		f.is(t, r, "v", false)
		f.down.Store(true)
		pass(50 * time.Minute)
		expires(t, r)
		f.is(t, r, "v", true)
		pass(5 * time.Minute)
		f.fails(t, r)
	})
}
