package tiered_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// Two loads of a key can be under way on one instance, both good: one that began
// when the message of a Delete had come, and one that began when the Delete had
// returned. Whichever ends last, the value does not go back.
func TestLoadsBesideEachOtherDoNotGoBack(t *testing.T) {
	for name, firstEndsFirst := range map[string]bool{"the first one ends first": true, "the first one ends last": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleetWith(t, 1, tiered.Options{MaxStaleness: patience, L2Timeout: patience}, func(c *tiered.Config[int]) {
				c.Mode = tiered.L1Only
			})
			m := f.members[0]
			f.origin.commit("k")
			m.warm(t, "k")
			if err := m.items.Delete(t.Context(), "warm"); err != nil { // Redis knows the script then
				t.Fatal(err)
			}
			eventually(t, "that is heard", func() bool { return m.Stats().Received == 1 })
			var struck atomic.Int64
			reply := m.proxy.HoldReply(step("k", 1, &struck))
			var wg, deleting sync.WaitGroup
			deleting.Go(func() {
				if err := m.items.Delete(t.Context(), "k"); err != nil {
					t.Errorf("delete: %v", err)
				}
			})
			eventually(t, "the message has come", func() bool { return m.Stats().Received == 2 })
			first := f.origin.holdNext()
			firstEnded := make(chan struct{})
			wg.Go(func() {
				defer close(firstEnded)
				m.get(t, "k")
			})
			<-first.read // version 1
			reply.Release()
			deleting.Wait()
			f.origin.commit("k")
			var newest int
			if firstEndsFirst {
				second := f.origin.holdNext()
				wg.Go(func() { newest = m.get(t, "k") })
				<-second.read
				close(first.release)
				<-firstEnded
				close(second.release)
			} else {
				newest = m.get(t, "k")
				close(first.release)
			}
			wg.Wait()
			if v := m.get(t, "k"); v < newest {
				t.Errorf("version %d after version %d", v, newest)
			}
		})
	}
}

// A load that fails beside another has brought nothing that could go back: neither the
// value that is there is lost by it, nor what the other brings.
func TestALoadThatFailsBesideAnotherLeavesTheValue(t *testing.T) {
	forced := func(ctx context.Context, r *tiered.Region[string], f *flaky) error {
		_, err := r.GetOrLoad(ctx, "k", f.load, tiered.ForceLoad())
		return err
	}
	many := func(ctx context.Context, r *tiered.Region[string], f *flaky) error {
		_, err := r.GetOrLoadMany(ctx, []string{"k"}, func(ctx context.Context, keys []string) (map[string]string, error) {
			v, err := f.load(ctx, keys[0])
			if err != nil {
				return nil, err
			}
			return map[string]string{"k": v}, nil
		}, tiered.ForceLoad())
		return err
	}
	for name, force := range map[string]func(context.Context, *tiered.Region[string], *flaky) error{"one": forced, "many": many} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				r := region(t, b.node(t), tiered.Config[string]{Name: "items", Mode: tiered.L1Only, TTL: time.Minute, StaleFor: time.Hour, Jitter: -1})
				f := &flaky{source: source[string]{value: "1"}}
				f.is(t, r, "1", false)
				pass(time.Minute + near)
				f.down.Store(true)
				f.slow.Store(int64(2 * time.Second))
				var wg sync.WaitGroup
				wg.Go(func() { f.is(t, r, "1", true) })
				pass(time.Second)
				if err := force(t.Context(), r, f); !errors.Is(err, errDown) { // ends last
					t.Errorf("a forced load that fails: %v", err)
				}
				wg.Wait()
				f.is(t, r, "1", true)
				pass(tiered.StaleThrottle)

				wg.Go(func() { _ = force(t.Context(), r, f) })
				pass(time.Second)
				good := &flaky{source: source[string]{value: "2"}}
				good.slow.Store(int64(2 * time.Second)) // ends when the forced one has failed
				wg.Go(func() { good.is(t, r, "2", false) })
				wg.Wait()
				f.reads(t, 4)
				good.reads(t, 1)
				good.is(t, r, "2", false)
				good.reads(t, 0)
			})
		})
	}
}
