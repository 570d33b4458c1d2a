package tiered_test

import (
	"errors"
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
