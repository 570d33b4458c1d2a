package fence_test

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/doppio-cache/doppio/internal/fence"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// D is the bound on staleness of all tests.
const D = 5 * time.Second

// Keys of the only partition of most tests. A stripe is chosen by the upper
// half of the hash, so neighbour has one of its own and twin has that of key.
const (
	key       uint64 = 1 << 32
	twin      uint64 = 1<<32 + 1
	neighbour uint64 = 2 << 32
)

// inBubble runs f with a table of one partition, in which only sleep moves the
// clock.
func inBubble(t *testing.T, f func(t *testing.T, table *fence.Table)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(t, fence.New(1, D, 0))
	})
}

// sleep moves the clock of the bubble.
func sleep(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // inside a synctest bubble
}

func valid(table *fence.Table, m fence.Mark) bool {
	_, ok := table.Valid(&m)
	return ok
}

func wantValid(t *testing.T, table *fence.Table, m fence.Mark, want bool, when string) {
	t.Helper()
	if got := valid(table, m); got != want {
		t.Errorf("%s: valid is %v, want %v", when, got, want)
	}
}

// own takes in an invalidation of a key that this instance has made, as number seq.
func own(table *fence.Table, hash, seq uint64) {
	p := table.Partition(hash)
	table.Invalidated(p, []uint64{hash}, seq, fence.Position{Generation: table.Position(p).Generation})
}

// ownOfAll is own for all keys of a partition.
func ownOfAll(table *fence.Table, p int, seq uint64) {
	table.Invalidated(p, nil, seq, fence.Position{Generation: table.Position(p).Generation})
}
