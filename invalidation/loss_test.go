package invalidation_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
)

// Redis loses everything, and before the next probe the sequence has come to the
// number again that was heard last: its clock was set back, and an invalidation
// has created it. What was invalidated meanwhile is not known, so all is void.
func TestALostSequenceThatComesBackEqualVoidsItsPartition(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		client := b.Client(t)
		n, other := started(t, client), started(t, b.Client(t))
		n.confirmed()
		m, o := n.copyOf(n.key(1, 0)), other.copyOf(other.key(1, 0))
		sequence := n.fences.Last(1)
		_, err := client.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
			p.FlushAll(t.Context())
			p.Set(t.Context(), n.layout.Sequence(1), sequence, 0)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []*node{n, other} {
			i.eventually("the loss to be noticed", func() bool { return i.Stats().Flushes.Restarted > 0 })
			i.confirmed()
		}
		if n.valid(m) || other.valid(o) {
			t.Errorf("a copy from before is valid: %v, %v", n.valid(m), other.valid(o))
		}
		if fresh := n.copyOf(n.key(1, 0)); !n.valid(fresh) {
			t.Error("a copy from after it is not valid")
		}
	})
}
