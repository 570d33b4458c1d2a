package l2_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/l2"
)

// wrapper is a client of a user's own.
type wrapper struct{ redis.UniversalClient }

func TestClientsThatMayAnswerWithWhatIsNotThereAreRefused(t *testing.T) {
	closed := func(c redis.UniversalClient) redis.UniversalClient {
		t.Cleanup(func() { c.Close() })
		return c
	}
	plain := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	piper, err := plain.AutoPipeline()
	if err != nil {
		t.Fatal(err)
	}
	cluster := func(change func(*redis.ClusterOptions)) redis.UniversalClient {
		o := &redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}}
		change(o)
		return closed(redis.NewClusterClient(o))
	}
	var none *redis.Client
	tests := map[string]struct {
		client redis.UniversalClient
		want   string // "": taken
	}{
		"none":                {nil, "is nil"},
		"a nil client":        {none, "is nil"},
		"a nil cluster":       {(*redis.ClusterClient)(nil), "is nil"},
		"a ring":              {closed(redis.NewRing(&redis.RingOptions{})), "Ring"},
		"an auto-pipeliner":   {piper, "AutoPipeliner"},
		"client-side caching": {closed(redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", Protocol: 3, ClientSideCacheConfig: &redis.ClientSideCacheConfig{}})), "client-side caching"},
		"reads from replicas": {cluster(func(o *redis.ClusterOptions) { o.ReadOnly = true }), "ReadOnly"},
		"by latency":          {cluster(func(o *redis.ClusterOptions) { o.RouteByLatency = true }), "RouteByLatency"},
		"at random":           {cluster(func(o *redis.ClusterOptions) { o.RouteRandomly = true }), "RouteRandomly"},
		"sentinel at random":  {closed(redis.NewFailoverClusterClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{"127.0.0.1:1"}, RouteRandomly: true})), "RouteRandomly"},
		"a plain client":      {closed(plain), ""},
		"a cluster":           {cluster(func(*redis.ClusterOptions) {}), ""},
		"sentinel":            {closed(redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{"127.0.0.1:1"}})), ""},
		"a wrapper":           {wrapper{plain}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := l2.CheckClient(tt.client)
			if tt.want == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want an error that says %q", err, tt.want)
			}
		})
	}
}

func TestNewNamesAllProblemsAtOnce(t *testing.T) {
	_, err := l2.New(l2.Options{Timeout: -1, LeaseTTL: time.Millisecond})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"client is nil", "Layout is nil", "Announcer is nil", "Logger is nil", "Timeout is -1ns", "LeaseTTL is 1ms"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q: %v", want, err)
		}
	}
}

func TestNewSendsNothing(t *testing.T) {
	b := redistest.Mini(t)
	p := b.Proxy(t)
	s, err := l2.New(l2.Options{Client: p.Client(t), Layout: layout, Announcer: announcer{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if !s.Up() {
		t.Error("not up, though nothing is known")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if n := len(p.Commands()); n != 0 {
		t.Errorf("sent %v", p.Commands())
	}
}

func TestClientOfAnyKindWorks(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		tests := map[string]redis.UniversalClient{
			"a wrapper":             wrapper{b.Client(t)},
			"RESP2":                 b.Client(t, func(o *redis.Options) { o.Protocol = 2 }),
			"without pipeline pool": b.Client(t, func(o *redis.Options) { o.PipelinePoolSize = -1 }),
			"one connection":        b.Client(t, func(o *redis.Options) { o.PoolSize, o.PipelinePoolSize = 1, 1 }),
			"honours contexts":      b.Client(t, func(o *redis.Options) { o.ContextTimeoutEnabled = true }),
			"without timeouts":      b.Client(t, func(o *redis.Options) { o.ReadTimeout, o.WriteTimeout = -2, -2 }),
		}
		for name, c := range tests {
			t.Run(name, func(t *testing.T) {
				s := newStore(t, c)
				put(t, s, apple, "x")
				for range 300 { // directly in the end, where that is done
					wantHit(t, s, apple, "x")
				}
				invalidate(t, s, apple)
				wantMiss(t, s, apple)
			})
		}
	})
}
