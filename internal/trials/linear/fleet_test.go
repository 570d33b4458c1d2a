package linear_test

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// fleet is three nodes of which each call takes any.
func fleet(t *testing.T, b *redistest.Backend, opts tiered.Options, mode tiered.Mode) []*member {
	t.Helper()
	// A client that sends a command again when its connection breaks makes a
	// script run twice.
	return []*member{join(t, b, opts, mode, -1), join(t, b, opts, mode, 1), join(t, b, opts, mode, 3)}
}

// Across nodes a key is a register for reads past L1, with the origin behind it.
func TestThreeNodesPastL1(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		opts := tiered.Options{MaxStaleness: 2 * time.Second, L2Timeout: patience}
		tr := &trial{
			members: fleet(t, b, opts, tiered.BothTiers), origin: newOrigin(),
			writes: []writing{update, update, set, remove},
			reads:  []reading{getOrLoad, getOrLoad, get},
			opts:   []tiered.Option{tiered.BypassL1()},
			keys:   4, versions: 50, readers: 6,
		}
		tr.check(t)
	})
}

// What lives in Redis alone is a plain register: what was stored is there, what
// was deleted is not, whichever node is asked.
func TestThreeNodesWithoutOrigin(t *testing.T) {
	for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L2Only} {
		t.Run(mode.String(), func(t *testing.T) {
			redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
				opts := tiered.Options{MaxStaleness: 2 * time.Second, L2Timeout: patience}
				tr := &trial{
					members: fleet(t, b, opts, mode), origin: newOrigin(), strict: true,
					writes: []writing{onlySet, onlySet, onlyDelete},
					reads:  []reading{get},
					opts:   []tiered.Option{tiered.BypassL1()},
					keys:   4, versions: 50, readers: 6,
				}
				tr.check(t)
			})
		})
	}
}

// The same while replies are lost, commands are cut off and scripts run late. A
// retried invalidation may then remove what was stored after it, so that an
// empty key says nothing; but no version comes back.
func TestThreeNodesWithoutOriginUnderFaults(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		opts := tiered.Options{MaxStaleness: 2 * time.Second, L2Timeout: 100 * time.Millisecond}
		tr := &trial{
			members: fleet(t, b, opts, tiered.BothTiers), origin: newOrigin(), strict: true, faulty: true,
			writes: []writing{onlySet, onlySet, onlySet, onlyDelete},
			reads:  []reading{get},
			opts:   []tiered.Option{tiered.BypassL1()},
			keys:   4, versions: 30, readers: 6,
			late: newLate(),
		}
		for _, m := range tr.members {
			flaky(m.proxy)
		}
		tr.check(t)
	})
}

// Three nodes that do not hear each other are no register for reads of L1, for
// up to the bound: the checker must find that.
func TestReadsOfL1AcrossNodesAreFound(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		opts := tiered.Options{MaxStaleness: time.Minute, L2Timeout: patience}
		tr := &trial{
			members: fleet(t, b, opts, tiered.BothTiers), origin: newOrigin(),
			writes: []writing{update},
			reads:  []reading{getOrLoad},
			keys:   1, versions: 30, readers: 6,
		}
		for _, m := range tr.members {
			m.proxy.DropMessages(func(string, []byte) bool { return true })
		}
		for key, h := range tr.run(t) {
			if got := h.verdict(tr.first()); got != porcupine.Illegal {
				t.Errorf("%s: the checker says %s, want %s", key, got, porcupine.Illegal)
			}
		}
	})
}
