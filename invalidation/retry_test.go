package invalidation_test

import (
	"testing"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
)

// A retry is confirmed with a number of a sequence that Redis loses before the
// confirmation is here, and a probe notices. The number is no number of the new
// sequence: in its fences it would keep copies that are made without Redis from
// ever being void, and void all others.
func TestARetryThatIsConfirmedAfterTheSequenceWasLost(t *testing.T) {
	for name, whole := range map[string]bool{"a key": false, "the whole partition": true} {
		t.Run(name, func(t *testing.T) {
			r := new(retrier)
			r.answers(refuse)
			n := withRetrier(t, r)
			k := n.key(1, 0)
			const lost = 1 << 52 // far beyond what the new sequence will count
			r.answers(func(call) (uint64, error) {
				n.fences.Restart(1, 10)
				return lost, nil
			})
			if whole {
				n.EnqueuePartition(1, []string{k.Region})
			} else {
				n.Enqueue([]keyspace.Key{k})
			}
			n.eventually("the confirmation", func() bool { return !n.Pending(k.Hash) })
			read := n.fences.Stamp(k.Hash).At(20)
			alone := n.fences.Stamp(k.Hash).Mark()
			for _, m := range []fence.Mark{read, alone} {
				if _, ok := n.fences.Valid(&m); !ok {
					t.Errorf("a copy from after it is not valid: %+v", m)
				}
			}
			n.fences.Heard(1, 1000, []uint64{k.Hash})
			for _, m := range []fence.Mark{read, alone} {
				if _, ok := n.fences.Valid(&m); ok {
					t.Errorf("a copy outlives the next invalidation: %+v", m)
				}
			}
		})
	}
}
