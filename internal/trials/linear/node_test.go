package linear_test

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// On one node a key is a register, in each mode and whatever reads and writes it.
func TestOneNode(t *testing.T) {
	for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L1Only, tiered.L2Only} {
		t.Run(mode.String(), func(t *testing.T) {
			redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
				m := join(t, b, tiered.Options{MaxStaleness: 2 * time.Second, L2Timeout: patience}, mode, -1)
				tr := &trial{
					members: []*member{m}, origin: newOrigin(),
					writes: []writing{update, update, set, remove},
					reads:  []reading{getOrLoad, getOrLoad, get},
					keys:   4, versions: 50, readers: 6,
				}
				tr.check(t)
			})
		})
	}
}

// The same while replies are lost, commands are cut off and scripts run late.
// Writes fail, and Redis may carry them out now, later, twice or never. Yet the
// node that was told so serves nothing older: for its own reads the write ended
// when the call did, with an error.
func TestOneNodeUnderFaults(t *testing.T) {
	for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L1Only, tiered.L2Only} {
		t.Run(mode.String(), func(t *testing.T) {
			redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
				t.Parallel()
				m := join(t, b, tiered.Options{MaxStaleness: 2 * time.Second, L2Timeout: 100 * time.Millisecond}, mode, 1)
				tr := &trial{
					members: []*member{m}, origin: newOrigin(),
					writes: []writing{update, update, set, remove},
					reads:  []reading{getOrLoad, getOrLoad, get},
					faulty: true, own: true, late: newLate(),
					keys: 4, versions: 30, readers: 6,
				}
				flaky(m.proxy)
				tr.check(t)
			})
		})
	}
}

// A write that forgets its Delete is what the checker is there to find: if it
// does not, the trials above prove nothing.
func TestForgottenDeleteIsFound(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		m := join(t, b, tiered.Options{MaxStaleness: time.Minute, L2Timeout: patience}, tiered.BothTiers, -1)
		tr := &trial{
			members: []*member{m}, origin: newOrigin(),
			writes: []writing{update, forget},
			reads:  []reading{getOrLoad},
			keys:   1, versions: 30, readers: 4,
		}
		for key, h := range tr.run(t) {
			if got := h.verdict(tr.first()); got != porcupine.Illegal {
				t.Errorf("%s: the checker says %s, want %s", key, got, porcupine.Illegal)
			}
		}
	})
}
