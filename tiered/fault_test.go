package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// step matches the n-th command, from 1, that concerns the value of a key: the
// steps of a load, a Set or a Delete. (Releases and renewals of its lease, which
// come from the background, do not concern the value.) struck counts.
func step(key string, n int, struck *atomic.Int64) func(args [][]byte) bool {
	layout, err := keyspace.New("test", tiered.DefaultPartitions)
	if err != nil {
		panic(err)
	}
	concerns := redistest.Argument(layout.Value(layout.Partition(keyspace.Hash("items", key)), "items", key))
	return func(args [][]byte) bool {
		if !concerns(args) {
			return false
		}
		if n--; n != 0 {
			return false
		}
		struck.Add(1)
		return true
	}
}

// within fails the test unless f returns before the test's patience is over:
// it is there for calls that must not hang.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		t.Fatalf("%s hangs", what)
	}
}

// faultKind is what strikes at a step of what the victim is about to do. What
// strike returns ends the fault.
type faultKind struct {
	name   string
	strike func(t *testing.T, f *faulty, at func(args [][]byte) bool) (end func())
	forAll bool // it strikes the other instance as well
}

var faultKinds = []faultKind{
	{name: "cut before it reaches Redis", strike: func(_ *testing.T, f *faulty, at func([][]byte) bool) func() {
		f.victim.proxy.CutBefore(at, 1)
		return f.victim.proxy.ClearRules
	}},
	{name: "reply lost", strike: func(_ *testing.T, f *faulty, at func([][]byte) bool) func() {
		f.victim.proxy.DropReplyAfter(at, 1)
		return f.victim.proxy.ClearRules
	}},
	{name: "black hole from there on", strike: func(_ *testing.T, f *faulty, at func([][]byte) bool) func() {
		return fromThereOn(f, at, f.victim.proxy.BlackHole)
	}},
	{name: "refused from there on", strike: func(_ *testing.T, f *faulty, at func([][]byte) bool) func() {
		return fromThereOn(f, at, f.victim.proxy.Refuse)
	}},
	{name: "carried out late", strike: func(t *testing.T, f *faulty, at func([][]byte) bool) func() {
		h := f.victim.proxy.Hold(at)
		return func() {
			select {
			case <-h.Caught():
				h.ReleaseAndWait(t)
			default:
				h.Release()
			}
		}
	}},
	{name: "reply late", strike: func(_ *testing.T, f *faulty, at func([][]byte) bool) func() {
		return f.victim.proxy.HoldReply(at).Release
	}},
	{name: "Redis dies and comes back empty", forAll: true, strike: func(_ *testing.T, f *faulty, at func([][]byte) bool) func() {
		return fromThereOn(f, at, func(on bool) {
			if on {
				f.server.Kill()
			} else {
				f.server.Restart()
			}
		})
	}},
}

// fromThereOn begins a fault when a command that matches comes, which never gets
// to Redis.
func fromThereOn(f *faulty, at func([][]byte) bool, set func(on bool)) (end func()) {
	h := f.victim.proxy.Hold(at)
	watched, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-h.Caught():
			set(true)
		case <-over:
		}
	}()
	return func() {
		close(over)
		<-watched
		h.CutClient()
		f.victim.proxy.ClearRules()
		set(false)
	}
}

// victims are clients as users configure them. A call must not hang with any.
var victims = map[string]func(t *testing.T, p *redistest.Proxy) redis.UniversalClient{
	"plain client": func(t *testing.T, p *redistest.Proxy) redis.UniversalClient { t.Helper(); return p.Client(t) },
	"client that never gives up": func(t *testing.T, p *redistest.Proxy) redis.UniversalClient {
		t.Helper()
		return p.Client(t, stubborn)
	},
	// Its kind is not known, so that its timeouts cannot be changed.
	"wrapped client that never gives up": func(t *testing.T, p *redistest.Proxy) redis.UniversalClient {
		t.Helper()
		return struct{ redis.UniversalClient }{p.Client(t, stubborn)}
	},
}

// stubborn are the settings under which go-redis waits for ever.
func stubborn(o *redis.Options) {
	o.ContextTimeoutEnabled = false
	o.ReadTimeout, o.WriteTimeout = -1, -1
	o.MaxRetries = 3
}

// quick is the bound in these tests, of which there are many.
const quick = 200 * time.Millisecond

// faulty is a fleet of two: the victim, and one that is well.
type faulty struct {
	*fleet
	victim, well *member
	struck       atomic.Int64 // faults
}

func newFaulty(t *testing.T, client func(t *testing.T, p *redistest.Proxy) redis.UniversalClient) *faulty {
	t.Helper()
	f := &faulty{fleet: newFleetWith(t, 1, tiered.Options{MaxStaleness: quick, L2Timeout: patience})}
	f.well = f.members[0]
	f.victim = &member{proxy: redistest.NewProxy(t, f.server.Addr()), origin: f.origin}
	f.victim.Node = open(t, tiered.Options{Redis: client(t, f.victim.proxy), MaxStaleness: quick, L2Timeout: 100 * time.Millisecond})
	f.victim.items = region(t, f.victim.Node, tiered.Config[int]{Name: "items", Jitter: -1})
	f.recovers(t)
	f.warmUp(t)
	return f
}

// warmUp makes Redis know all scripts.
func (f *faulty) warmUp(t *testing.T) {
	t.Helper()
	f.origin.commit("warm")
	f.well.get(t, "warm")
	if err := errors.Join(f.well.items.Set(t.Context(), "warm", 1), f.well.items.Delete(t.Context(), "warm")); err != nil {
		t.Fatal(err)
	}
}

func (f *faulty) recovers(t *testing.T) {
	t.Helper()
	eventually(t, "both instances are well", func() bool {
		a, b := f.victim.Stats(), f.well.Stats()
		return !a.Degraded && !b.Degraded && a.PendingRetries+b.PendingRetries == 0
	})
}

// staleAfterBound fails the test if the victim returns less than want in a read
// that begins more than the bound after now.
func (f *faulty) staleAfterBound(t *testing.T, key string, want int) {
	t.Helper()
	began := time.Now()
	eventually(t, "the bound is over", func() bool {
		begin := time.Now()
		late := begin.Sub(began) - quick
		if got := f.victim.get(t, key); late > 0 && got < want {
			t.Errorf("a read that began %v after the bound returned version %d, want %d", late, got, want)
		}
		return late > quick/4
	})
}

// operation is what the victim does when the fault strikes. The origin has
// version 1, or if it is a write: version 2, and version 1 is cached.
type operation struct {
	name  string
	steps int
	write bool
	setUp func(t *testing.T, f *faulty, key string)
	do    func(t *testing.T, f *faulty, key string)
}

func wantPending(t *testing.T, err error) {
	t.Helper()
	var pending *tiered.PendingError
	if err != nil && !errors.As(err, &pending) {
		t.Errorf("got %v, want nil or a PendingError", err)
	}
}

var operations = []operation{
	{
		name: "load", steps: 3, // read, lease, fill
		setUp: func(*testing.T, *faulty, string) {},
		do: func(t *testing.T, f *faulty, key string) {
			t.Helper()
			if got := f.victim.get(t, key); got != 1 {
				t.Errorf("got version %d, want 1", got)
			}
		},
	},
	{
		name: "load with scripts forgotten", steps: 5, // each script is asked for, then sent
		setUp: func(t *testing.T, f *faulty, _ string) {
			t.Helper()
			if err := f.well.client.ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		},
		do: func(t *testing.T, f *faulty, key string) {
			t.Helper()
			if got := f.victim.get(t, key); got != 1 {
				t.Errorf("got version %d, want 1", got)
			}
		},
	},
	{
		name: "read of what another has loaded", steps: 1,
		setUp: func(t *testing.T, f *faulty, key string) { t.Helper(); f.well.get(t, key) },
		do: func(t *testing.T, f *faulty, key string) {
			t.Helper()
			if got := f.victim.get(t, key); got != 1 {
				t.Errorf("got version %d, want 1", got)
			}
		},
	},
	{
		name: "Set", steps: 2, write: true, // begin, fill
		setUp: func(t *testing.T, f *faulty, key string) {
			t.Helper()
			f.warmUp(t)
			f.well.warm(t, key)
			f.victim.get(t, key)
		},
		do: func(t *testing.T, f *faulty, key string) {
			t.Helper()
			if err := f.victim.items.Set(t.Context(), key, 2); !errors.Is(err, tiered.ErrUnavailable) {
				wantPending(t, err)
			}
		},
	},
	{
		name: "Delete", steps: 1, write: true,
		setUp: func(t *testing.T, f *faulty, key string) {
			t.Helper()
			f.warmUp(t)
			f.well.warm(t, key)
			f.victim.get(t, key)
		},
		do: func(t *testing.T, f *faulty, key string) {
			t.Helper()
			wantPending(t, f.victim.items.Delete(t.Context(), key))
		},
	},
}

// The steps of each operation are as many as the tests below assume, or the
// tests below would leave some out.
func TestStepsOfAnOperation(t *testing.T) {
	f := newFaulty(t, victims["plain client"])
	for _, op := range operations {
		f.origin.commit(op.name)
		op.setUp(t, f, op.name)
		reached := make(chan struct{})
		beyond := step(op.name, op.steps+1, &f.struck)
		last := step(op.name, op.steps, &f.struck)
		f.victim.proxy.CutBefore(func(args [][]byte) bool {
			if last(args) {
				close(reached)
			}
			if beyond(args) {
				t.Errorf("%s has more than %d steps", op.name, op.steps)
			}
			return false
		}, 1)
		op.do(t, f, op.name)
		f.victim.proxy.ClearRules()
		select {
		case <-reached:
		default:
			t.Errorf("%s has fewer than %d steps", op.name, op.steps)
		}
	}
}

// Redis dies for one instance between any two steps of what it does, in any
// way. The call returns; a load with its value. Nothing stale is served
// afterwards: not by the instance itself after its own write, and by no other
// after the bound. No invalidation is lost.
func TestFaultAtEachStep(t *testing.T) {
	for _, fault := range faultKinds {
		for name, client := range victims {
			if name != "plain client" && fault.name != "black hole from there on" {
				continue // the others depend on the client's patience less
			}
			t.Run(fault.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				f := newFaulty(t, client)
				faults := int64(0)
				for _, op := range operations {
					for n := 1; n <= op.steps; n++ {
						faults++
						key := fmt.Sprintf("%s %d", op.name, n)
						f.strike(t, fault, op, n, key)
						if t.Failed() {
							t.Fatalf("at step %d of %s", n, op.name)
						}
					}
				}
				// On a machine that is too busy an operation may have given up
				// before the step was reached.
				if struck := f.struck.Load(); struck < faults/2 {
					t.Errorf("only %d of %d faults have struck", struck, faults)
				}
			})
		}
	}
}

func (f *faulty) strike(t *testing.T, fault faultKind, op operation, n int, key string) {
	t.Helper()
	newest := f.origin.commit(key)
	op.setUp(t, f, key)
	if op.write {
		newest = f.origin.commit(key)
	}
	end := fault.strike(t, f, step(key, n, &f.struck))
	within(t, op.name, func() { op.do(t, f, key) })
	within(t, "the read after it", func() {
		if got := f.victim.get(t, key); got != newest {
			t.Errorf("the victim reads version %d right after it, want %d", got, newest)
		}
	})
	if fault.forAll {
		end()
		f.recovers(t)
	}
	if !op.write {
		// Version 1 was loaded; what follows must win against all that is still
		// under way.
		newest = f.origin.commit(key)
		if err := f.well.items.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if got := f.well.get(t, key); got != newest {
			t.Errorf("the other instance reads version %d after its own Delete, want %d", got, newest)
		}
	}
	if !fault.forAll {
		end()
	}
	f.staleAfterBound(t, key, newest)
	f.recovers(t)
	eventually(t, "the other instance reads the newest version", func() bool { return f.well.get(t, key) == newest })
	if v, err := f.well.items.Get(t.Context(), key, tiered.BypassL1()); err == nil && v != newest {
		t.Errorf("Redis has version %d, want %d", v, newest)
	}
	f.victim.warm(t, key)
	if got := f.victim.get(t, key); got != newest {
		t.Errorf("the victim, recovered, reads version %d, want %d", got, newest)
	}
}

// Redis down at Open is no error. The node answers from the origin, says what
// is the matter, queues invalidations, and recovers by itself.
func TestRedisDownAtOpen(t *testing.T) {
	tests := []struct {
		name       string
		fail, mend func(s *redistest.Server, p *redistest.Proxy)
		why        string
	}{
		{"nothing listens",
			func(s *redistest.Server, _ *redistest.Proxy) { s.Kill() },
			func(s *redistest.Server, _ *redistest.Proxy) { s.Restart() }, ""},
		{"connections are refused",
			func(_ *redistest.Server, p *redistest.Proxy) { p.Refuse(true) },
			func(_ *redistest.Server, p *redistest.Proxy) { p.Refuse(false) }, ""},
		{"nothing answers",
			func(_ *redistest.Server, p *redistest.Proxy) { p.BlackHole(true) },
			func(_ *redistest.Server, p *redistest.Proxy) { p.BlackHole(false) }, "answer"},
		{"Redis hangs",
			func(s *redistest.Server, _ *redistest.Proxy) { s.Pause() },
			func(s *redistest.Server, _ *redistest.Proxy) { s.Resume() }, "answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			proxy := redistest.NewProxy(t, server.Addr())
			client := proxy.Client(t)
			tt.fail(server, proxy)
			n := open(t, tiered.Options{Redis: client, MaxStaleness: bound, L2Timeout: 100 * time.Millisecond})
			r := region(t, n, tiered.Config[int]{Name: "items"})
			s := &source[int]{value: 7}

			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			err := n.Ready(ctx)
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "32 of 32 partitions") || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("Ready: %v, want the context's error and why", err)
			}
			if stats := n.Stats(); !stats.Degraded || stats.DegradedReason == "" {
				t.Errorf("degraded: %v, %q", stats.Degraded, stats.DegradedReason)
			}
			within(t, "a load", func() { wants(t, r, "k", s, 7, tiered.SourceLoad) })
			within(t, "Get", func() {
				if _, err := r.Get(t.Context(), "none"); !errors.Is(err, tiered.ErrUnavailable) || errors.Is(err, tiered.ErrNotFound) {
					t.Errorf("Get: %v, want ErrUnavailable", err)
				}
			})
			var pending *tiered.PendingError
			within(t, "Set", func() {
				if err := r.Set(t.Context(), "set", 8); !errors.As(err, &pending) || !errors.Is(err, tiered.ErrUnavailable) {
					t.Errorf("Set: %v, want a PendingError that is an ErrUnavailable", err)
				}
			})
			within(t, "Delete", func() {
				if err := r.Delete(t.Context(), "k", "other"); !errors.As(err, &pending) || len(pending.Refs) != 2 {
					t.Errorf("Delete: %v, want a PendingError of two keys", err)
				}
			})
			if got := n.Stats().PendingRetries; got != 3 {
				t.Errorf("%d invalidations are pending, want 3", got)
			}

			tt.mend(server, proxy)
			ready(t, n)
			eventually(t, "nothing is pending", func() bool {
				stats := n.Stats()
				return stats.PendingRetries == 0 && !stats.Degraded
			})
			if _, err := r.Get(t.Context(), "set"); !errors.Is(err, tiered.ErrNotFound) {
				t.Errorf("the value of a Set that failed is there after all: %v", err)
			}
			eventually(t, "values are cached", func() bool {
				_, info, err := read(t, r, "k", s)
				return err == nil && info.Source == tiered.SourceL1
			})
			second := region(t, open(t, tiered.Options{Redis: server.Client(t), MaxStaleness: bound, L2Timeout: patience}), tiered.Config[int]{Name: "items"})
			eventually(t, "the value is shared", func() bool {
				_, info, err := read(t, second, "k", s)
				return err == nil && info.Source == tiered.SourceL2 || info.Source == tiered.SourceL1
			})
		})
	}
}

// Without Redis there is one load for each key and bound, not one for each read:
// what was loaded is kept in L1 for MaxStaleness, and no longer.
func TestLoadsWithoutRedisAreKeptForTheBound(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		const d = 4 * time.Minute
		n := b.node(t, func(o *tiered.Options) { o.MaxStaleness = d })
		r := region(t, n, tiered.Config[int]{Name: "items", TTL: time.Hour, Jitter: -1})
		b.redis.SetError("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")
		s := &source[int]{value: 7}
		wants(t, r, "k", s, 7, tiered.SourceLoad)
		pass(d - time.Second)
		wants(t, r, "k", s, 7, tiered.SourceL1)
		pass(time.Second + 1)
		wants(t, r, "k", s, 7, tiered.SourceLoad)

		// It does not live longer because Redis comes back.
		b.redis.SetError("")
		pass(d - time.Second)
		if s := n.Stats(); s.Degraded {
			t.Fatalf("not recovered: %s", s.DegradedReason)
		}
		wants(t, r, "k", s, 7, tiered.SourceL1)
		pass(time.Second + 1)
		if _, err := r.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("%v, want ErrNotFound: it was never stored in Redis", err)
		}
		s.reads(t, 2)
	})
}
