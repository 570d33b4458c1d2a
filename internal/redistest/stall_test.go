package redistest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
)

// The server closes the connection of a subscriber that does not keep up. Here
// that is the proxy, and the client learns of it only when the stall ends.
func TestStalledSubscriberIsClosedByTheServer(t *testing.T) {
	b := redistest.Real(t, "--client-output-buffer-limit", "pubsub 256kb 0 0")
	p, direct := b.Proxy(t), b.Client(t)
	sub := p.Client(t, patient).Subscribe(ctx, "ch")
	defer sub.Close()
	_, err := sub.Receive(ctx)
	must(t, err)

	p.PubSub().Stall(true)
	message := strings.Repeat("x", 64<<10)
	published := 0
	for deadline := time.Now().Add(20 * time.Second); ; published++ {
		n, err := direct.Publish(ctx, "ch", message).Result()
		must(t, err)
		if n == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %d messages the server still keeps the subscriber", published)
		}
	}
	// The server's log comes through a pipe.
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(b.Server.Log(), "output buffer limits"); {
		if time.Now().After(deadline) {
			t.Fatal("the server closed the connection for another reason")
		}
		time.Sleep(time.Millisecond) //nolint:forbidigo // the interval of a poll
	}
	if n := p.PubSub().Conns(); n != 1 {
		t.Errorf("%d connections while the stall hides that the server has closed one", n)
	}
	must(t, p.Client(t).Ping(ctx).Err()) // the other side goes on

	p.PubSub().Stall(false)
	received := 0
	for {
		if _, err := sub.ReceiveMessage(ctx); err != nil {
			break
		}
		received++
	}
	if received == 0 || received >= published {
		t.Errorf("%d messages received of %d: want those that were under way, and not all", received, published)
	}
}
