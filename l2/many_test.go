package l2_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/l2"
)

// leaseMany takes leases that nobody disputes.
func leaseMany(t *testing.T, s *l2.Store, keys []l2.Key) []l2.Lease {
	t.Helper()
	asked := make([]l2.Asked, len(keys))
	for i, k := range keys {
		asked[i] = l2.Asked{Key: k, Token: l2.NewToken()}
	}
	leases := make([]l2.Lease, len(keys))
	for i, got := range s.GetOrLeaseMany(t.Context(), asked) {
		if got.Err != nil || got.Status != l2.Granted || got.Lease.Key.Name != keys[i].Name {
			t.Fatalf("%s: %v, %v, want granted", keys[i].Name, got.Status, got.Err)
		}
		leases[i] = got.Lease
	}
	return leases
}

func fillMany(t *testing.T, s *l2.Store, leases []l2.Lease) {
	t.Helper()
	fills := make([]l2.Filling, len(leases))
	for i, l := range leases {
		fills[i] = l2.Filling{Lease: l, Fill: value(l.Key.Name)}
	}
	for i, got := range s.FillMany(t.Context(), fills) {
		if got.Err != nil || !got.Accepted {
			t.Fatalf("fill of %s: %+v", leases[i].Key.Name, got)
		}
	}
}

// wantHits checks that each key has its name as its value.
func wantHits(t *testing.T, s *l2.Store, keys []l2.Key) {
	t.Helper()
	for i, got := range s.GetMany(t.Context(), keys) {
		if got.Err != nil || got.Status != l2.Hit || string(got.Value.Payload) != keys[i].Name || got.Seq == 0 {
			t.Fatalf("%s: %v %q at %d, %v", keys[i].Name, got.Status, got.Value.Payload, got.Seq, got.Err)
		}
	}
}

// Each of many keys is answered as if it were alone.
func TestManyKeysAreAnsweredLikeOne(t *testing.T) {
	for _, n := range []int{1, 2, 40, 600} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
				if n > 1000 && testing.Short() {
					t.Skip("many keys")
				}
				s := newStore(t, b.Client(t))
				keys := manyKeys(n)
				for i, got := range s.GetMany(t.Context(), keys) {
					if got.Err != nil || got.Status != l2.Miss {
						t.Fatalf("%s: %v, %v, want a miss", keys[i].Name, got.Status, got.Err)
					}
				}
				leases := leaseMany(t, s, keys)
				if held := s.Stats().LeasesHeld; held != n {
					t.Errorf("%d leases are renewed, want %d", held, n)
				}
				other := []l2.Asked{{Key: keys[n-1], Token: l2.NewToken()}, {Key: keys[0], Token: leases[0].Token}}
				got := s.GetOrLeaseMany(t.Context(), other)
				if got[1].Status != l2.Granted || got[1].Lease.Seq != leases[0].Seq || n > 1 && got[0].Status != l2.Busy {
					t.Errorf("asked again: %v and %v, want busy and granted", got[0].Status, got[1].Status)
				}
				fillMany(t, s, leases)
				wantHits(t, s, keys)
				if held := s.Stats().LeasesHeld; held != 0 {
					t.Errorf("%d leases are renewed after the fills", held)
				}
			})
		})
	}
}

func TestManyKeysWithDifferentFates(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		put(t, s, apple, "apple")
		held := grant(t, s, pear)
		put(t, s, nut, "nut")
		broken := c.Get(t.Context(), valueName(nut)).Val()
		if err := c.Set(t.Context(), valueName(nut), broken[:len(broken)-1]+"x", 0).Err(); err != nil {
			t.Fatal(err)
		}
		keys := []l2.Key{apple, pear, nut, manyKeys(1)[0]}
		asked := make([]l2.Asked, len(keys))
		for i, k := range keys {
			asked[i] = l2.Asked{Key: k, Token: l2.NewToken()}
		}
		got := s.GetOrLeaseMany(t.Context(), asked)
		for i, want := range []l2.Status{l2.Hit, l2.Busy, l2.Granted, l2.Granted} {
			if got[i].Err != nil || got[i].Status != want {
				t.Errorf("%s: %v, %v, want %v", keys[i].Name, got[i].Status, got[i].Err, want)
			}
		}
		if !errors.Is(got[2].Unreadable, l2.ErrCorrupt) {
			t.Errorf("the broken value: %v, want ErrCorrupt", got[2].Unreadable)
		}
		invalidate(t, s, pear)
		out := s.FillMany(t.Context(), []l2.Filling{
			{Lease: held, Fill: value("late")},
			{Lease: got[2].Lease, Fill: value("nut")},
			{Lease: got[3].Lease, Fill: l2.Fill{Kind: l2.Tombstone}},
		})
		if out[0].Err != nil || out[0].Accepted || out[1].Err != nil || !out[1].Accepted || out[2].Err == nil {
			t.Errorf("fills: %+v, want refused, accepted, an error", out)
		}
	})
}

func TestBeginManyInvalidatesAndLeavesLeases(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		s := newStore(t, c)
		keys := manyKeys(30)
		fillMany(t, s, leaseMany(t, s, keys))
		announced := listen(t, c)
		tokens := make([]l2.Token, len(keys))
		for i := range tokens {
			tokens[i] = l2.NewToken()
		}
		leases := make([]l2.Lease, len(keys))
		for i, got := range s.BeginMany(t.Context(), keys, tokens) {
			if got.Err != nil {
				t.Fatal(got.Err)
			}
			leases[i] = got.Lease
		}
		announced(len(keys))
		for _, k := range keys {
			wantMiss(t, s, k)
		}
		fillMany(t, s, leases)
		wantHits(t, s, keys)
	})
}

// One call is one round trip, whatever the number of keys.
func TestManyKeysAreOneRoundTrip(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	s := newStore(t, proxy.Client(t))
	keys := manyKeys(100)
	fillMany(t, s, leaseMany(t, s, keys[:2])) // the server knows the scripts
	eventually(t, "no probe is under way", func() bool { return !s.UnderWay() })
	steps := []struct {
		name string
		do   func()
	}{
		{"read", func() { s.GetMany(t.Context(), keys) }},
		{"invalidate", func() { s.InvalidateAll(t.Context(), keys) }},
		{"lease and fill", func() { fillMany(t, s, leaseMany(t, s, keys)) }},
		{"begin", func() { s.BeginMany(t.Context(), keys, make([]l2.Token, len(keys))) }},
	}
	for _, step := range steps {
		proxy.ResetCounts()
		step.do()
		want := 1
		if step.name == "lease and fill" {
			want = 2
		}
		// A pipeline that does not fit into the client's buffer is counted more
		// than once; the scripts' keys take more room than 32 KiB.
		if got := proxy.RoundTrips(); got < want || got > 2*want {
			t.Errorf("%s of %d keys: %d round trips, want %d", step.name, len(keys), got, want)
		}
	}
}

// A server that has forgotten the scripts is sent each of them once, or a few
// times, not once for each key.
func TestManyKeysAfterScriptFlush(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	s := newStore(t, proxy.Client(t))
	keys := manyKeys(200)
	fillMany(t, s, leaseMany(t, s, keys))
	wantHits(t, s, keys)
	if got := proxy.Commands()["EVAL"]; got == 0 || got > 20 {
		t.Errorf("%d scripts sent in full for %d keys", got, len(keys))
	}
}

// Large values come in several round trips, so that Redis has time for others.
func TestManyLargeValuesAreNotOneStep(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	s := newStore(t, proxy.Client(t))
	keys := manyKeys(40)
	large := value(strings.Repeat("x", 1<<20))
	var fills []l2.Filling
	for _, l := range leaseMany(t, s, keys) {
		fills = append(fills, l2.Filling{Lease: l, Fill: large})
	}
	for _, got := range s.FillMany(t.Context(), fills) {
		if got.Err != nil || !got.Accepted {
			t.Fatalf("fill: %+v", got)
		}
	}
	read := func() (commands, trips int) {
		proxy.ResetCounts()
		for i, got := range s.GetMany(t.Context(), keys) {
			if got.Err != nil || len(got.Value.Payload) != len(large.Payload) {
				t.Fatalf("%s: %v, %d bytes", keys[i].Name, got.Err, len(got.Value.Payload))
			}
		}
		return proxy.Commands()["MGET"], proxy.RoundTrips()
	}
	if n, _ := read(); n != 1 {
		t.Errorf("%d MGETs of values of unknown size, want 1", n)
	}
	if n, trips := read(); n != len(keys) || trips < 3 {
		t.Errorf("%d MGETs in %d round trips, want %d, with at most 16 MiB in each", n, trips, len(keys))
	}
	small := manyKeys(140)[40:]
	fillMany(t, s, leaseMany(t, s, small))
	for range 2 {
		s.GetMany(t.Context(), small)
	}
	proxy.ResetCounts()
	wantHits(t, s, small)
	if n := proxy.Commands()["MGET"]; n != 1 {
		t.Errorf("%d MGETs of small values, want 1", n)
	}
}

func TestManyKeysOnAClosedStoreAndWithAnEndedContext(t *testing.T) {
	s := newStore(t, redistest.Mini(t).Client(t))
	keys := manyKeys(3)
	asked := []l2.Asked{{Key: keys[0], Token: l2.NewToken()}, {Key: keys[1], Token: l2.NewToken()}}
	all := func(ctx context.Context) (errs []error) {
		for _, got := range s.GetMany(ctx, keys) {
			errs = append(errs, got.Err)
		}
		for _, got := range s.GetOrLeaseMany(ctx, asked) {
			errs = append(errs, got.Err)
		}
		for _, got := range s.FillMany(ctx, []l2.Filling{{Lease: l2.Lease{Key: keys[0]}, Fill: value("x")}}) {
			errs = append(errs, got.Err)
		}
		for _, got := range s.BeginMany(ctx, keys, make([]l2.Token, len(keys))) {
			errs = append(errs, got.Err)
		}
		return errs
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for i, err := range all(ended) {
		if !isCanceled(err) {
			t.Errorf("%d: %v, want the context's error", i, err)
		}
	}
	s.Close()
	for i, err := range all(t.Context()) {
		if !errors.Is(err, l2.ErrClosed) {
			t.Errorf("%d: %v, want ErrClosed", i, err)
		}
	}
	if len(s.GetMany(t.Context(), nil))+len(s.FillMany(t.Context(), nil)) != 0 {
		t.Error("no keys, but answers")
	}
}

// A silent server costs one timeout, and counts as one failure: it is not
// switched off because of one call, however many keys were asked for.
func TestManyKeysWithoutAnAnswerAreOneFailure(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	s := newStore(t, proxy.Client(t, retries(-1)), timeout(200*time.Millisecond))
	keys := manyKeys(100)
	eventually(t, "the store is up", func() bool { return s.GetMany(t.Context(), keys)[0].Err == nil })
	asked := make([]l2.Asked, len(keys))
	for i, k := range keys {
		asked[i] = l2.Asked{Key: k, Token: l2.NewToken()}
	}
	proxy.BlackHole(true)
	for i, got := range s.GetOrLeaseMany(t.Context(), asked) {
		if !errors.Is(got.Err, l2.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", keys[i].Name, got.Err)
		}
	}
	if !s.Up() {
		t.Error("one call without an answer switched Redis off")
	}
	proxy.BlackHole(false)
	eventually(t, "it answers again", func() bool { return s.GetMany(t.Context(), keys)[0].Err == nil })
}

// exchanges counts what a Cluster client sends to each of its nodes.
type exchanges struct {
	mu sync.Mutex
	n  map[string]int
}

func (e *exchanges) count(addr string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.n[addr]++
}

func (e *exchanges) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.n = make(map[string]int)
}

// most is how many the node got that got most, and how many nodes got any.
func (e *exchanges) most() (most, nodes int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, n := range e.n {
		most = max(most, n)
	}
	return most, len(e.n)
}

type exchangeHook struct {
	*exchanges
	addr string
}

func (h exchangeHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (h exchangeHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if name := cmd.Name(); name == "mget" || name == "evalsha" || name == "eval" {
			h.count(h.addr)
		}
		return next(ctx, cmd)
	}
}

func (h exchangeHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		h.count(h.addr)
		return next(ctx, cmds)
	}
}

func TestManyKeysOnACluster(t *testing.T) {
	c := startCluster(t, 3)
	keys := manyKeys(300)

	t.Run("one round trip to each master", func(t *testing.T) {
		client := c.client(t)
		sent := &exchanges{n: make(map[string]int)}
		client.OnNewNode(func(n *redis.Client) { n.AddHook(exchangeHook{sent, n.Options().Addr}) })
		s := newStore(t, client)
		fillMany(t, s, leaseMany(t, s, keys))
		invalidated := func(t *testing.T) {
			t.Helper()
			for _, o := range s.InvalidateAll(t.Context(), keys) {
				if o.Err != nil {
					t.Error(o.Err)
				}
			}
		}
		invalidated(t)
		eventually(t, "no probe is under way", func() bool { return !s.UnderWay() })
		var leases []l2.Lease
		steps := []struct {
			name string
			do   func()
		}{
			{"lease", func() { leases = leaseMany(t, s, keys) }},
			{"fill", func() { fillMany(t, s, leases) }},
			{"read", func() { wantHits(t, s, keys) }},
			{"invalidate", func() { invalidated(t) }},
			{"begin", func() { s.BeginMany(t.Context(), keys, make([]l2.Token, len(keys))) }},
		}
		for i, step := range steps {
			if i == len(steps)-1 {
				s.BeginMany(t.Context(), keys, make([]l2.Token, len(keys))) // now the script is known
			}
			sent.reset()
			step.do()
			if most, nodes := sent.most(); most != 1 || nodes != 3 {
				t.Errorf("%s: %d round trips to a master, %d masters", step.name, most, nodes)
			}
		}
	})

	t.Run("a silent master holds up its own keys only", func(t *testing.T) {
		s := newStore(t, c.client(t, func(o *redis.ClusterOptions) {
			o.ReadTimeout, o.WriteTimeout, o.DialTimeout, o.MaxRedirects = 500*time.Millisecond, 500*time.Millisecond, 500*time.Millisecond, -1
		}), timeout(300*time.Millisecond))
		eventually(t, "all keys can be asked for", func() bool {
			for _, got := range s.GetMany(t.Context(), keys) {
				if got.Err != nil {
					return false
				}
			}
			return true
		})
		dead := c.node(t, keys[0])
		c.nodes[dead].Pause()
		onDead := make([]bool, len(keys))
		for i, k := range keys {
			onDead[i] = c.node(t, k) == dead
		}
		eventually(t, "only the keys of the silent master have no answer", func() bool {
			for i, got := range s.GetMany(t.Context(), keys) {
				if onDead[i] != errors.Is(got.Err, l2.ErrUnavailable) {
					return false
				}
			}
			return true
		})
		c.nodes[dead].Resume()
		eventually(t, "all is up again", s.Up)
	})
}
