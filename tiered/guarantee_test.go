package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// allMessages matches every pub/sub message.
func allMessages(string, []byte) bool { return true }

// G1a: After Delete(k) returned nil on A, no read that begins later on A
// returns an older value.
func TestG1aReadYourDelete(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("messages lost %v", lost), func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, 3)
			if lost {
				for _, m := range f.members {
					m.proxy.DropMessages(allMessages)
				}
			}
			const writes = 200
			var wg, writing sync.WaitGroup
			stop := make(chan struct{})
			for i, m := range f.members {
				key := fmt.Sprintf("k%d", i)
				f.origin.commit(key)
				var confirmed atomic.Int64 // newest version whose Delete on m returned nil
				writing.Go(func() {
					for range writes {
						v := f.origin.commit(key)
						if err := m.items.Delete(t.Context(), key); err != nil {
							t.Errorf("delete: %v", err)
							return
						}
						confirmed.Store(int64(v))
						m.get(t, key)
					}
				})
				for range 2 {
					wg.Go(func() {
						for {
							select {
							case <-stop:
								return
							default:
							}
							want := int(confirmed.Load())
							if got := m.get(t, key); got < want {
								t.Errorf("read version %d after the Delete that follows version %d returned", got, want)
								return
							}
							pause()
						}
					})
				}
			}
			writing.Wait()
			close(stop)
			wg.Wait()
		})
	}
}

// G1b: On any other instance none that begins more than D later does, whatever
// was lost.
func TestG1bBoundOnOtherInstances(t *testing.T) {
	tests := []struct {
		name  string
		fault func(f *fleet, b *member)
	}{
		{"no fault", func(*fleet, *member) {}},
		{"messages lost", func(_ *fleet, b *member) { b.proxy.DropMessages(allMessages) }},
		{"subscription black-holed", func(_ *fleet, b *member) { b.proxy.PubSub().BlackHole(true) }},
		{"data black-holed", func(_ *fleet, b *member) { b.proxy.Data().BlackHole(true) }},
		{"instance black-holed", func(_ *fleet, b *member) { b.proxy.BlackHole(true) }},
		{"instance refused", func(_ *fleet, b *member) { b.proxy.Refuse(true) }},
		{"connections cut", func(_ *fleet, b *member) { b.proxy.Cut() }},
		{"replies lost", func(_ *fleet, b *member) { b.proxy.BlackHoleReplies(true) }},
		{"subscription late", func(_ *fleet, b *member) { b.proxy.PubSub().Delay(2 * bound) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, 2)
			a, b, c := f.members[0], f.joinHasty(t), f.members[1]
			for round := range 3 {
				key := fmt.Sprintf("k%d", round)
				f.origin.commit(key)
				b.warm(t, key)
				c.warm(t, key)
				tt.fault(f, b)
				want := f.origin.commit(key)
				if err := a.items.Delete(t.Context(), key); err != nil {
					t.Fatal(err)
				}
				deleted := time.Now()
				for {
					begin := time.Now()
					gotB, gotC := b.get(t, key), c.get(t, key)
					if late := begin.Sub(deleted) - bound; late > 0 && (gotB < want || gotC < want) {
						t.Fatalf("a read that began %v after the bound returned version %d (faulty instance) and %d, want %d", late, gotB, gotC, want)
					}
					if begin.Sub(deleted) > bound+bound/2 {
						break
					}
					pause()
				}
				b.proxy.BlackHole(false)
				b.proxy.BlackHoleReplies(false)
				b.proxy.Data().BlackHole(false)
				b.proxy.PubSub().BlackHole(false)
				b.proxy.PubSub().Delay(0)
				b.proxy.Refuse(false)
				b.proxy.DropMessages(nil)
				eventually(t, "the instance recovers", func() bool { return !b.Stats().Degraded })
			}
		})
	}
}

// G1b for faults of Redis itself: all instances lose it, and nothing that was
// deleted before is served after the bound.
func TestG1bBoundWhenRedisFails(t *testing.T) {
	tests := []struct {
		name       string
		fail, mend func(f *fleet)
	}{
		{"killed and restarted empty", func(f *fleet) { f.server.Kill() }, func(f *fleet) { f.server.Restart() }},
		{"paused", func(f *fleet) { f.server.Pause() }, func(f *fleet) { f.server.Resume() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFleetWith(t, 3, tiered.Options{MaxStaleness: bound})
			f.origin.commit("k")
			for _, m := range f.members {
				m.warm(t, "k")
			}
			for _, m := range f.members[1:] {
				m.proxy.DropMessages(allMessages)
			}
			want := f.origin.commit("k")
			f.members[0].deletes(t, "k")
			deleted := time.Now()
			tt.fail(f)
			check := func(until time.Duration) {
				for time.Since(deleted) < until {
					for i, m := range f.members {
						begin := time.Now()
						if got := m.get(t, "k"); got < want && (i == 0 || begin.Sub(deleted) > bound) {
							t.Fatalf("instance %d: a read that began %v after the Delete returned version %d, want %d", i, begin.Sub(deleted), got, want)
						}
					}
					pause()
				}
			}
			check(3 * bound / 2)
			tt.mend(f)
			check(3 * bound)
			for _, m := range f.members {
				eventually(t, "the instance recovers", func() bool { return !m.Stats().Degraded })
				m.warm(t, "k")
			}
		})
	}
}

// G2: A load that began before the Delete never populates L2, and is never
// served from L1 on A after it, nor on B after D.
func TestG2LateLoad(t *testing.T) {
	for _, same := range []bool{true, false} {
		name := map[bool]string{true: "deleted where it loads", false: "deleted elsewhere, message lost"}[same]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, 3)
			a, b, c := f.members[0], f.members[1], f.members[2]
			loader := b
			if same {
				loader = a
			}
			b.proxy.DropMessages(allMessages)
			f.origin.commit("k")
			h := f.origin.holdNext()
			waiter := make(chan int, 1)
			go func() { waiter <- loader.get(t, "k") }()
			<-h.read // version 1 was read, and is on its way
			want := f.origin.commit("k")
			if err := a.items.Delete(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			deleted := time.Now()
			close(h.release)
			got := <-waiter
			if same && got != want {
				t.Errorf("the caller that loaded got version %d after the Delete on its own instance, want %d", got, want)
			}
			if v, err := c.items.Get(t.Context(), "k", tiered.BypassL1()); err == nil && v != want {
				t.Errorf("L2 holds version %d", v)
			}
			if got := a.get(t, "k"); got != want {
				t.Errorf("the deleting instance serves version %d, want %d", got, want)
			}
			for time.Since(deleted) < bound+bound/2 {
				begin := time.Now()
				if got := b.get(t, "k"); got != want && begin.Sub(deleted) > bound {
					t.Fatalf("the other instance serves version %d %v after the Delete, want %d", got, begin.Sub(deleted), want)
				}
				pause()
			}
		})
	}
}

// A caller must not join a flight that began before a Delete which had returned
// when the caller came.
func TestG2LaterCallerDoesNotJoinAnOldFlight(t *testing.T) {
	f := newFleet(t, 3)
	a := f.members[0]
	f.origin.commit("k")
	h := f.origin.holdNext()
	first := make(chan int, 1)
	go func() { first <- a.get(t, "k") }()
	<-h.read
	want := f.origin.commit("k")
	if err := a.items.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if got := a.get(t, "k"); got != want { // while the first flight is still held
		t.Errorf("got version %d, want %d", got, want)
	}
	close(h.release)
	if got := <-first; got != want {
		t.Errorf("the first caller got version %d, want %d", got, want)
	}
}

// G3: Between reads answered by the tiers, the value of a key never goes back
// on one instance.
func TestG3NeverGoesBack(t *testing.T) {
	f := newFleet(t, 3)
	f.members[1].proxy.DropMessages(allMessages)
	f.members[2].proxy.PubSub().Delay(20 * time.Millisecond)
	const writes = 600
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i, m := range f.members {
		var newest atomic.Int64 // highest version that a read of m has returned from a tier
		for reader := range 2 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					pause()
					floor := newest.Load()
					var info tiered.Info
					var v int
					var err error
					if reader%2 == 0 {
						v, err = m.items.Get(t.Context(), "k", tiered.WithInfo(&info))
					} else {
						v, err = m.items.GetOrLoad(t.Context(), "k", m.origin.load, tiered.WithInfo(&info))
					}
					if errors.Is(err, tiered.ErrNotFound) || info.Source == tiered.SourceLoad {
						continue
					}
					if err != nil {
						t.Errorf("read: %v", err)
						return
					}
					if int64(v) < floor {
						t.Errorf("instance %d went back from version %d to %d (%v)", i, floor, v, info.Source)
						return
					}
					for {
						old := newest.Load()
						if int64(v) <= old || newest.CompareAndSwap(old, int64(v)) {
							break
						}
					}
				}
			})
		}
	}
	for w := range writes {
		v := f.origin.commit("k")
		m := f.members[w%3]
		if w%5 == 4 {
			if err := m.items.Delete(t.Context(), "k"); err != nil {
				t.Error(err)
			}
			continue
		}
		if err := m.items.Set(t.Context(), "k", v); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
}

// G4: At most one lease-holding load per key in the whole fleet.
func TestG4OneLoadInTheFleet(t *testing.T) {
	// An instance that is not probed for longer than the bound does not believe what
	// it reads, and loads for itself: that is not to happen here.
	f := newFleetWith(t, 3, unhurried)
	const callers = 100
	f.origin.commit("k")
	h := f.origin.holdNext()
	var wg sync.WaitGroup
	start := make(chan struct{})
	for _, m := range f.members {
		for range callers {
			wg.Go(func() {
				<-start
				if got := m.get(t, "k"); got != 1 {
					t.Errorf("got version %d, want 1", got)
				}
			})
		}
	}
	close(start)
	<-h.read
	for i, m := range f.members {
		// The load is held until the other two instances are waiting for it.
		eventually(t, fmt.Sprintf("instance %d loads or waits", i), func() bool {
			s := m.items.Stats()
			return s.Loads+s.LeaseWaits > 0
		})
	}
	close(h.release)
	wg.Wait()
	if got := f.origin.reads.Load(); got != 1 {
		t.Errorf("%d loads for %d callers on 3 instances, want 1", got, 3*callers)
	}
}

// G4 for a load that outlives the first term of its lease: the lease is
// renewed as long as the load runs.
func TestG4LeaseOutlivesItsTerm(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		rs := regions(t, []*tiered.Node{b.node(t), b.node(t), b.node(t)}, tiered.Config[int]{Name: "items"})
		o := newOrigin()
		o.commit("k")
		h := o.holdNext()
		var wg sync.WaitGroup
		for _, r := range rs {
			wg.Go(func() {
				if v, err := r.GetOrLoad(t.Context(), "k", o.load); v != 1 || err != nil {
					t.Errorf("got %d, %v", v, err)
				}
			})
		}
		<-h.read
		pass(4 * 5 * time.Second) // four terms, and less than LoadTimeout
		close(h.release)
		wg.Wait()
		if got := o.reads.Load(); got != 1 {
			t.Errorf("%d loads, want 1", got)
		}
	})
}

// G5: Losing pub/sub altogether costs latency and hit ratio, never correctness.
func TestG5WithoutPubSub(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3)
	for _, m := range f.members {
		m.proxy.PubSub().Refuse(true)
	}
	type commit struct {
		version int
		at      time.Time
	}
	var mu sync.Mutex
	var commits []commit // Deletes that have returned
	stop := make(chan struct{})
	var wg sync.WaitGroup
	f.origin.commit("k")
	for i, m := range f.members {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				begin := time.Now()
				want := 0
				mu.Lock()
				for _, c := range commits {
					if begin.Sub(c.at) > bound {
						want = c.version
					}
				}
				mu.Unlock()
				if got := m.get(t, "k"); got < want {
					t.Errorf("instance %d: version %d after the bound of version %d", i, got, want)
					return
				}
				pause()
			}
		})
	}
	for w := range 12 {
		v := f.origin.commit("k")
		if err := f.members[w%3].items.Delete(t.Context(), "k"); err != nil {
			t.Error(err)
		}
		mu.Lock()
		commits = append(commits, commit{v, time.Now()})
		mu.Unlock()
		timer := time.NewTimer(bound / 3)
		<-timer.C
	}
	close(stop)
	wg.Wait()
	for _, m := range f.members {
		m.warm(t, "k") // L1 serves without pub/sub
	}
}

// An invalidation that Redis does not confirm is not lost, and meanwhile the
// instance behaves as if it had happened.
func TestPendingInvalidationIsDeliveredAfterTheOutage(t *testing.T) {
	f := newFleet(t, 2)
	a, b := f.joinHasty(t), f.members[0]
	f.origin.commit("k")
	a.warm(t, "k")
	b.warm(t, "k")
	a.proxy.BlackHole(true)
	want := f.origin.commit("k")
	err := a.items.Delete(t.Context(), "k")
	var pending *tiered.PendingError
	if !errors.As(err, &pending) || !errors.Is(err, tiered.ErrUnavailable) {
		t.Fatalf("got %v, want a PendingError that is an ErrUnavailable", err)
	}
	if len(pending.Refs) != 1 || pending.Refs[0] != a.items.Ref("k") {
		t.Errorf("pending refs are %v", pending.Refs)
	}
	if got := a.get(t, "k"); got != want {
		t.Errorf("the instance that could not deliver reads version %d, want %d", got, want)
	}
	if got := a.Stats().PendingRetries; got != 1 {
		t.Errorf("%d pending retries, want 1", got)
	}
	a.proxy.BlackHole(false)
	eventually(t, "the invalidation is delivered", func() bool { return b.get(t, "k") == want })
	eventually(t, "nothing is pending", func() bool { return a.Stats().PendingRetries == 0 })
	a.warm(t, "k")
}

// A caller that hangs up after its commit must not lose the invalidation.
func TestDeleteIsCarriedOutThoughTheCallerLeaves(t *testing.T) {
	f := newFleet(t, 3)
	a, b := f.members[0], f.members[1]
	f.origin.commit("k")
	b.warm(t, "k")
	want := f.origin.commit("k")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var pending *tiered.PendingError
	if err := a.items.Delete(ctx, "k"); err != nil && !errors.As(err, &pending) {
		t.Fatalf("got %v, want nil or a PendingError", err)
	}
	eventually(t, "the invalidation is delivered", func() bool { return b.get(t, "k") == want })
}
