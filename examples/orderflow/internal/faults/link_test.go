package faults_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/faults"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newClient returns a client behind a link.
func newClient(t *testing.T, server *miniredis.Miniredis, timeout time.Duration, protocol int) (*redis.Client, *faults.Link) {
	t.Helper()
	var dialer net.Dialer
	link := faults.NewLink(dialer.DialContext)
	client := redis.NewClient(&redis.Options{
		Addr: server.Addr(), Dialer: link.Dial, Protocol: protocol, MaxRetries: -1,
		DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() {
		if err := errors.Join(client.Close(), link.Close()); err != nil {
			t.Error(err)
		}
	})
	return client, link
}

const (
	long  = 30 * time.Second      // more than anything takes
	short = 50 * time.Millisecond // a client's patience
)

func TestHealthyLinkPasses(t *testing.T) {
	client, _ := newClient(t, miniredis.RunT(t), long, 3)
	big := make([]byte, 1<<20)
	if err := client.Set(t.Context(), "k", big, 0).Err(); err != nil {
		t.Fatal(err)
	}
	got, err := client.Get(t.Context(), "k").Bytes()
	if err != nil || len(got) != len(big) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// A command that its client has given up during a cut is carried out when the
// link heals.
func TestCutDelays(t *testing.T) {
	server := miniredis.RunT(t)
	client, link := newClient(t, server, short, 3)
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	link.Cut()
	link.Cut()
	if err := client.Set(t.Context(), "k", "late", 0).Err(); err == nil {
		t.Fatal("SET was answered during the cut")
	}
	if server.Exists("k") {
		t.Fatal("SET passed during the cut")
	}
	link.Heal()
	link.Heal()
	until(t, "the late SET", func() bool { return server.Exists("k") })
	until(t, "a new connection", func() bool { return client.Ping(t.Context()).Err() == nil })
}

func TestCutStopsDialing(t *testing.T) {
	_, link := newClient(t, miniredis.RunT(t), long, 3)
	link.Cut()
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	if _, err := link.Dial(ctx, "tcp", "127.0.0.1:1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the context's", err)
	}
}

// Messages vanish, and nothing else does, in both versions of the protocol.
func TestDropMessages(t *testing.T) {
	for name, protocol := range map[string]int{"RESP2": 2, "RESP3": 3} {
		t.Run(name, func(t *testing.T) {
			server := miniredis.RunT(t)
			client, link := newClient(t, server, long, protocol)
			sub := client.Subscribe(t.Context(), "news")
			defer sub.Close()
			receive[*redis.Subscription](t, sub)

			link.DropMessages(true)
			server.Publish("news", "lost")
			until(t, "the loss", func() bool { return link.Dropped() == 1 })
			if err := sub.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			receive[*redis.Pong](t, sub) // the connection looks healthy

			link.DropMessages(false)
			server.Publish("news", "heard")
			if m := receive[*redis.Message](t, sub); m.Payload != "heard" {
				t.Errorf("received %q", m.Payload)
			}
		})
	}
}

func TestCloseEndsEverything(t *testing.T) {
	client, link := newClient(t, miniredis.RunT(t), long, 3)
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	link.Cut()
	ended := make(chan error, 1)
	go func() { ended <- client.Ping(t.Context()).Err() }()
	if err := link.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("PING was answered over a closed link")
	}
	if _, err := link.Dial(t.Context(), "tcp", "127.0.0.1:1"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Dial: %v, want net.ErrClosed", err)
	}
	if err := link.Close(); err != nil {
		t.Error("second Close:", err)
	}
}

func receive[T any](t *testing.T, sub *redis.PubSub) T {
	t.Helper()
	got, err := sub.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want, ok := got.(T)
	if !ok {
		t.Fatalf("received a %T, want a %T", got, want)
	}
	return want
}

// until polls a condition.
func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(long); !met(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(time.Millisecond) //nolint:forbidigo // between two looks of a poll
	}
}
