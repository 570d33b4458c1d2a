package tiered_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// A tag is invalidated while a region is cleared twice, in the same partition. One
// Clear fails, which voids the partition, and is sent again. All three confirmations
// are under way when the others come, so that none of their numbers is known to belong
// to the generation that it is compared in. The value with the tag is still in Redis.
func TestATagThatIsConfirmedWhileItsPartitionIsVoided(t *testing.T) {
	opts := unhurried
	opts.Partitions = 1
	f := newFleetWith(t, 1, opts, func(c *tiered.Config[int]) {
		c.Tags = func(string, int) []string { return []string{"all"} }
	})
	m := f.members[0]
	layout, err := keyspace.New("test", 1)
	if err != nil {
		t.Fatal(err)
	}
	clearing, untagging := redistest.Argument(layout.Clear(0, "others")), redistest.Argument(layout.Tag(0, "all"))

	f.origin.commit("k")
	if err := m.Clear(t.Context(), "yet others"); err != nil { // the script is known to the server
		t.Fatal(err)
	}
	invalidateTags(t, m.Node, "another")
	eventually(t, "both messages have come", func() bool { return m.Stats().Received >= 2 })
	m.warm(t, "k") // with a stamp of which the instance knows by itself
	m.proxy.DropMessages(allMessages)
	want := f.origin.commit("k")

	var wg sync.WaitGroup
	cleared := m.proxy.HoldReply(clearing)
	wg.Go(func() {
		if err := m.Clear(t.Context(), "others"); err != nil {
			t.Errorf("the first Clear: %v", err)
		}
	})
	cleared.Wait(t)
	untagged := m.proxy.HoldReply(untagging)
	tagged := make(chan error, 1)
	wg.Go(func() { tagged <- m.InvalidateTags(t.Context(), "all") })
	untagged.Wait(t)

	m.proxy.CutBefore(clearing, 1)
	retried := m.proxy.HoldReply(clearing)
	var pending *tiered.PendingError
	if err := m.Clear(t.Context(), "others"); !errors.As(err, &pending) {
		t.Fatalf("the second Clear: got %v, want a PendingError", err)
	}
	retried.Wait(t)
	untagged.Release()
	if err := <-tagged; err != nil {
		t.Fatalf("InvalidateTags: %v", err)
	}
	cleared.Release()
	wg.Wait()
	retried.Release()
	eventually(t, "nothing is pending", func() bool { return m.Stats().PendingRetries == 0 })
	if got := m.get(t, "k"); got != want {
		t.Errorf("after InvalidateTags: version %d, want %d", got, want)
	}
}
