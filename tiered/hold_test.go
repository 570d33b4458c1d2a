package tiered_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// guaranteesHold fails the test unless G1a, G1b and G3 hold in regions of this
// kind, in each mode, with an origin that fails and is slow at times, with Deletes,
// and with lost messages, until tested says that something has come to the test.
func guaranteesHold(t *testing.T, change func(*tiered.Config[int]), tested func(tiered.RegionStats) bool) {
	t.Helper()
	// On a busy machine it need not happen each time.
	var happened atomic.Bool
	t.Cleanup(func() {
		if !happened.Load() {
			t.Error("what was to be tested never happened")
		}
	})
	for _, mode := range modes {
		for _, lost := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, messages lost %v", mode, lost), func(t *testing.T) {
				t.Parallel()
				f := newFleetWith(t, 3, tiered.Options{MaxStaleness: bound, L2Timeout: patience}, change, func(c *tiered.Config[int]) {
					c.Mode = mode
				})
				if lost {
					for _, m := range f.members[1:] {
						m.proxy.DropMessages(allMessages)
					}
				}
				f.origin.commit("k")
				a := f.members[0]
				load := func(ctx context.Context, key string) (int, error) {
					v, err := f.origin.load(ctx, key)
					switch rand.N(3) {
					case 0:
						return 0, errDown
					case 1:
						time.Sleep(3 * time.Millisecond) //nolint:forbidigo // a slow origin
					}
					return v, err
				}
				var confirmed atomic.Int64      // newest version whose Delete on a returned nil
				deleted := [1000]atomic.Int64{} // version → when
				began := time.Now()             // of the clock of deleted
				clock := func() int64 { return int64(time.Since(began)) }
				stop := make(chan struct{})
				var wg sync.WaitGroup
				for i, m := range f.members {
					for range 2 {
						wg.Go(func() {
							newest := 0
							for {
								select {
								case <-stop:
									return
								default:
								}
								least, due, begin := int(confirmed.Load()), 0, clock()
								for v := least; v > newest && due == 0; v-- {
									if at := deleted[v].Load(); at != 0 && time.Duration(begin-at) > bound {
										due = v
									}
								}
								v, err := m.items.GetOrLoad(t.Context(), "k", load)
								if err != nil {
									continue
								}
								if i == 0 && v < least {
									t.Errorf("G1a: version %d after the Delete that follows version %d returned", v, least)
								}
								if v < due {
									t.Errorf("G1b: version %d later than the bound after the Delete that follows version %d", v, due)
								}
								if v < newest {
									t.Errorf("G3: version %d after version %d", v, newest)
								}
								newest = max(newest, v)
								if t.Failed() {
									return
								}
								pause()
							}
						})
					}
				}
				done := func() bool {
					for _, m := range f.members {
						if tested(m.items.Stats()) {
							return true
						}
					}
					return false
				}
				for i := 0; i < 40 || i < len(deleted)/2 && !done(); i++ {
					time.Sleep(20 * time.Millisecond) //nolint:forbidigo // values are to die between the Deletes
					v := f.origin.commit("k")
					if err := a.items.Delete(t.Context(), "k"); err != nil {
						t.Errorf("delete: %v", err)
						break
					}
					deleted[v].Store(clock())
					confirmed.Store(int64(v))
				}
				close(stop)
				wg.Wait()
				if done() {
					happened.Store(true)
				}
			})
		}
	}
}
