package invalidation_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/invalidation"
)

// endless are a client's settings with which every call may take for ever.
func endless(o *redis.Options) {
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = time.Hour, -1, -1
	o.ContextTimeoutEnabled = false
}

// closes calls Close, and fails if that waits for Redis. Without its own bound
// Close would not return at all before the fault ends.
func closes(t *testing.T, n *node) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = n.Close()
		_ = n.Close()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("Close waits for Redis")
	}
}

func TestCloseDoesNotWaitForRedis(t *testing.T) {
	k := keyspace.Of("region", "k")
	faults := map[string]func(t *testing.T, s *redistest.Server, p *redistest.Proxy){
		"none":                   func(*testing.T, *redistest.Server, *redistest.Proxy) {},
		"server dead":            func(_ *testing.T, s *redistest.Server, _ *redistest.Proxy) { s.Kill() },
		"connections cut":        func(_ *testing.T, _ *redistest.Server, p *redistest.Proxy) { p.Cut() },
		"connections refused":    func(_ *testing.T, _ *redistest.Server, p *redistest.Proxy) { p.Refuse(true) },
		"everything swallowed":   func(_ *testing.T, _ *redistest.Server, p *redistest.Proxy) { p.BlackHole(true) },
		"replies swallowed":      func(_ *testing.T, _ *redistest.Server, p *redistest.Proxy) { p.BlackHoleReplies(true) },
		"subscription swallowed": func(_ *testing.T, _ *redistest.Server, p *redistest.Proxy) { p.PubSub().BlackHole(true) },
		"server paused": func(t *testing.T, s *redistest.Server, _ *redistest.Proxy) {
			s.Pause()
			t.Cleanup(s.Resume)
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			p := redistest.NewProxy(t, s.Addr())
			n := started(t, p.Client(t, endless))
			fault(t, s, p)
			n.Enqueue([]keyspace.Key{k})
			if name != "none" && name != "connections cut" && name != "subscription swallowed" {
				n.eventually("the fault to be noticed", func() bool { return n.Stats().ProbesFailed > 1 })
			}
			closes(t, n)
			p.Refuse(true) // lets hanging calls go
		})
	}
}

func TestCloseDoesNotWaitForADial(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	client := redistest.NewClient(t, "127.0.0.1:1", endless, func(o *redis.Options) {
		o.Dialer = func(context.Context, string, string) (net.Conn, error) {
			<-release
			return nil, errors.New("no connection")
		}
	})
	n := start(t, client)
	n.eventually("rounds that give up", func() bool { return n.Stats().ProbesFailed > 2 })
	n.eventually("the watchdog", func() bool { return n.Stats().Recycles > 0 })
	closes(t, n)
}

func TestCloseDoesNotWaitForTheInvalidator(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	r := &retrier{answer: func(call) (uint64, error) { <-release; return 0, errors.New("late") }}
	// Not until it is ready: in so short a time a probe need not have its answer.
	n := start(t, redistest.Mini(t).Client(t), slow, options(func(o *invalidation.Options) {
		o.Retrier, o.Timeout = r, 20*time.Millisecond
	}))
	n.Enqueue([]keyspace.Key{n.key(0, 0)})
	n.eventually("an attempt that is given up", func() bool { return n.Stats().RetriesFailed > 0 })
	closes(t, n)
}

func TestCloseRightAfterStart(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		for range 20 {
			closes(t, start(t, b.Client(t)))
		}
	})
}

func TestEverythingMayBeCalledAfterClose(t *testing.T) {
	n := started(t, redistest.Mini(t).Client(t))
	_ = n.Close()
	k := n.key(0, 0)
	n.ProbeNow()
	n.Enqueue([]keyspace.Key{k})
	n.Acknowledged(0, []keyspace.Key{k})
	if !n.Pending(k.Hash) {
		t.Error("what is queued after Close is not pending")
	}
	n.Stats()
	n.State()
	n.ServerNow()
	n.Epoch(0)
}

func TestStartNamesAllProblemsAtOnce(t *testing.T) {
	layout, err := keyspace.New("test", 4)
	if err != nil {
		t.Fatal(err)
	}
	var none *redis.Client
	var nobody *retrier
	_, err = invalidation.Start(invalidation.Options{
		Client: none, Layout: layout, Fences: fence.New(8, time.Second, 1), Retrier: nobody, Timeout: -1, QueueLimit: -1,
	})
	for _, want := range []string{"Client is nil", "Fences has 8 partitions, Layout has 4", "Retrier is nil", "Timeout is -1ns", "QueueLimit is -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	ring := redis.NewRing(&redis.RingOptions{})
	defer ring.Close()
	_, err = invalidation.Start(invalidation.Options{Client: ring, Fences: fence.New(1, 0, 1)})
	for _, want := range []string{"Ring", "Layout is nil", "the bound of Fences is 0s"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	if _, err = invalidation.Start(invalidation.Options{}); err == nil || !strings.Contains(err.Error(), "Client is nil") {
		t.Errorf("got %v", err)
	}
}
