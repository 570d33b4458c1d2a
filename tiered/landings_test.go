package tiered_test

import (
	"sync"
	"sync/atomic"
	"testing"

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
