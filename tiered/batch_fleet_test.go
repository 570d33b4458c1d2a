package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// loadMany is the origin's load for many keys; it can be held as load can.
func (o *origin) loadMany(_ context.Context, keys []string) (map[string]int, error) {
	o.reads.Add(int64(len(keys)))
	o.mu.Lock()
	found := make(map[string]int)
	for _, k := range keys {
		if v := o.versions[k]; v != 0 {
			found[k] = v
		}
	}
	o.mu.Unlock()
	if h := o.hold.Swap(nil); h != nil {
		close(h.read)
		<-h.release
	}
	return found, nil
}

// getMany reads many keys through the cache and fails the test on an error.
func (m *member) getMany(t testing.TB, keys []string, opts ...tiered.Option) map[string]int {
	t.Helper()
	got, err := m.items.GetOrLoadMany(t.Context(), keys, m.origin.loadMany, opts...)
	if err != nil {
		t.Errorf("read of %v: %v", keys, err)
	}
	return got
}

func (o *origin) commitAll(keys ...string) map[string]int {
	versions := make(map[string]int)
	for _, k := range keys {
		versions[k] = o.commit(k)
	}
	return versions
}

// The number of round trips does not depend on the number of keys.
func TestRoundTripsOfABatch(t *testing.T) {
	f := newFleetWith(t, 2, tiered.Options{MaxStaleness: 10 * time.Minute, L2Timeout: patience})
	a, b := f.members[0], f.members[1]
	f.origin.commitAll("warm", "up")
	a.getMany(t, []string{"warm", "up"}) // Redis knows the scripts of a load
	b.getMany(t, []string{"warm", "up"})
	if err := errors.Join(a.items.SetMany(t.Context(), map[string]int{"warm": 1, "up": 1}), a.items.Delete(t.Context(), "warm")); err != nil {
		t.Fatal(err)
	}
	// What goes on in the background, a probe for example, may come between: then
	// it is measured again, with other keys.
	try := func(n int) (problems []string) {
		tag := strconv.Itoa(n) + ":"
		names := make([]string, 50)
		for i := range names {
			names[i] = tag + strconv.Itoa(i)
		}
		want := f.origin.commitAll(names...)
		read := func(m *member) {
			if got := m.getMany(t, names); !maps.Equal(got, want) {
				t.Errorf("got %v", got)
			}
		}
		measure := func(what string, m *member, trips int, do func()) {
			m.proxy.ResetCounts()
			do()
			if got := m.proxy.RoundTrips(); got != trips {
				problems = append(problems, fmt.Sprintf("%s: %d round trips, %v; want %d", what, got, m.proxy.Commands(), trips))
			}
		}
		f.origin.reads.Store(0)
		measure("a load", a, 3, func() { read(a) })
		measure("hits in Redis", b, 1, func() { read(b) })
		for _, name := range names {
			settles(t, b.items, name)
		}
		measure("hits in memory", b, 0, func() { read(b) })
		measure("Delete", a, 1, func() { _ = a.items.Delete(t.Context(), names...) })
		measure("SetMany", a, 2, func() { _ = a.items.SetMany(t.Context(), want) })
		if got := f.origin.reads.Load(); got != int64(len(names)) {
			t.Errorf("%d keys were loaded, want %d", got, len(names))
		}
		return problems
	}
	var problems []string
	for n := range 5 {
		if problems = try(n); len(problems) == 0 {
			return
		}
	}
	t.Error(strings.Join(problems, "; "))
}

// Loads of one key and of many share what is under way, in both directions, in
// one instance and in the fleet.
func TestBatchesShareLoadsWithOthers(t *testing.T) {
	for _, where := range []string{"same instance", "other instance"} {
		t.Run(where, func(t *testing.T) {
			f := newFleetWith(t, 2, tiered.Options{MaxStaleness: time.Minute, L2Timeout: patience})
			first := f.members[0]
			second := first
			if where == "other instance" {
				second = f.members[1]
			}
			pairs := []struct {
				name     string
				keys     []string // of the first, which is held in its load
				then     []string // of the second
				singly   [2]bool
				expected int64 // keys loaded
			}{
				{"a batch after a batch", []string{"1", "2"}, []string{"2", "3"}, [2]bool{}, 3},
				{"a batch after a single key", []string{"4"}, []string{"4", "5"}, [2]bool{true, false}, 2},
				{"a single key after a batch", []string{"6", "7"}, []string{"7"}, [2]bool{false, true}, 2},
			}
			for _, p := range pairs {
				t.Run(p.name, func(t *testing.T) {
					want := f.origin.commitAll(slices.Concat(p.keys, p.then)...)
					f.origin.reads.Store(0)
					held := f.origin.holdNext()
					var wg sync.WaitGroup
					read := func(m *member, keys []string, singly bool) {
						wg.Go(func() {
							if singly {
								if got := m.get(t, keys[0]); got != want[keys[0]] {
									t.Errorf("%s: %d", keys[0], got)
								}
								return
							}
							got := m.getMany(t, keys)
							for _, k := range keys {
								if got[k] != want[k] {
									t.Errorf("%s: %d, want %d", k, got[k], want[k])
								}
							}
						})
					}
					read(first, p.keys, p.singly[0])
					<-held.read
					read(second, p.then, p.singly[1])
					eventually(t, "what nobody loads is loaded", func() bool { return f.origin.reads.Load() == p.expected })
					close(held.release)
					wg.Wait()
					if n := f.origin.reads.Load(); n != p.expected {
						t.Errorf("%d keys were loaded, want %d", n, p.expected)
					}
				})
			}
		})
	}
}

// G1a and G2 hold for each key of a batch: what was read before a Delete is
// neither returned after it nor stored.
func TestDeleteDuringALoadOfABatch(t *testing.T) {
	for _, where := range []string{"same instance", "other instance"} {
		t.Run(where, func(t *testing.T) {
			f := newFleetWith(t, 2, tiered.Options{MaxStaleness: bound, L2Timeout: patience})
			a, by := f.members[0], f.members[0]
			if where == "other instance" {
				by = f.members[1]
			}
			names := manyNames(20)
			old := f.origin.commitAll(names...)
			held := f.origin.holdNext()
			done := make(chan map[string]int, 1)
			go func() { done <- a.getMany(t, names) }()
			<-held.read
			changed := []string{"3", "7"}
			want := maps.Clone(old)
			maps.Copy(want, f.origin.commitAll(changed...))
			if err := by.items.Delete(t.Context(), changed...); err != nil {
				t.Fatal(err)
			}
			if where == "same instance" {
				if got := a.getMany(t, changed); got["3"] != want["3"] || got["7"] != want["7"] {
					t.Errorf("after the Delete: %v", got)
				}
			}
			close(held.release)
			if got := <-done; !maps.Equal(got, want) && where == "same instance" {
				t.Errorf("the batch that was under way: %v, want %v", got, want)
			}
			for _, m := range f.members {
				got := m.getMany(t, names, tiered.BypassL1())
				if !maps.Equal(got, want) {
					t.Errorf("in Redis: %v, want %v", got, want)
				}
			}
			eventually(t, "all read the new versions", func() bool {
				return maps.Equal(a.getMany(t, names), want) && maps.Equal(f.members[1].getMany(t, names), want)
			})
		})
	}
}

// Without Redis there still is one load call, and its values are kept.
func TestBatchWithoutRedis(t *testing.T) {
	f := newFleetWith(t, 1, tiered.Options{MaxStaleness: time.Minute, L2Timeout: 100 * time.Millisecond})
	a := f.members[0]
	a.proxy.Refuse(true)
	names := manyNames(200)
	want := f.origin.commitAll(names...)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got := a.getMany(t, names); !maps.Equal(got, want) {
				t.Errorf("got %d keys", len(got))
			}
		})
	}
	wg.Wait()
	if got := a.getMany(t, names); !maps.Equal(got, want) {
		t.Errorf("got %d keys", len(got))
	}
	if n := f.origin.reads.Load(); n != int64(len(names)) {
		t.Errorf("%d keys were loaded, want %d", n, len(names))
	}
	none, err := a.items.GetMany(t.Context(), []string{"0", "x", "y"})
	if keys := failures(t, err).Keys(); len(none) != 1 || !slices.Equal(keys, []string{"x", "y"}) || !errors.Is(err, tiered.ErrUnavailable) {
		t.Errorf("GetMany: %v, %v", none, err)
	}
	var pending *tiered.PendingError
	err = a.items.SetMany(t.Context(), map[string]int{"0": 9, "1": 9})
	if len(failures(t, err).Errs) != 2 || !errors.As(err, &pending) {
		t.Errorf("SetMany: %v", err)
	}
	if got := a.Stats().PendingRetries; got != 2 {
		t.Errorf("%d invalidations are pending, want 2", got)
	}
}

// Whatever is lost on the way, each key gets the value, once, and in time.
func TestBatchWithFaults(t *testing.T) {
	faults := map[string]func(p *redistest.Proxy, at func([][]byte) bool){
		"reply lost": func(p *redistest.Proxy, at func([][]byte) bool) { p.DropReplyAfter(at, 1) },
		"cut":        func(p *redistest.Proxy, at func([][]byte) bool) { p.CutBefore(at, 1) },
	}
	for name, strike := range faults {
		t.Run(name, func(t *testing.T) {
			f := newFleetWith(t, 2, tiered.Options{MaxStaleness: bound, L2Timeout: 500 * time.Millisecond})
			a, b := f.members[0], f.members[1]
			for stepAt, names := range [][]string{{"a1", "a2", "a3"}, {"b1", "b2", "b3"}, {"c1", "c2", "c3"}} {
				want := f.origin.commitAll(names...)
				strike(a.proxy, step(names[1], stepAt+1, new(atomic.Int64)))
				within(t, "the batch", func() {
					if got := a.getMany(t, names); !maps.Equal(got, want) {
						t.Errorf("step %d: got %v, want %v", stepAt+1, got, want)
					}
				})
				a.proxy.ClearRules()
				changed := f.origin.commitAll(names...)
				eventually(t, "the Delete is confirmed", func() bool { return b.items.Delete(t.Context(), names...) == nil })
				eventually(t, "both read the new versions", func() bool {
					return maps.Equal(a.getMany(t, names), changed) && maps.Equal(b.getMany(t, names), changed)
				})
			}
		})
	}
}

// A caller who leaves gets what was found, and the load goes on.
func TestCallerLeavesABatch(t *testing.T) {
	f := newFleetWith(t, 1, tiered.Options{MaxStaleness: time.Minute, L2Timeout: patience})
	a := f.members[0]
	want := f.origin.commitAll("there", "slow", "slower")
	a.warm(t, "there")
	held := f.origin.holdNext()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-held.read
		cancel()
	}()
	got, err := a.items.GetOrLoadMany(ctx, []string{"there", "slow", "slower"}, f.origin.loadMany)
	if keys := failures(t, err).Keys(); got["there"] != want["there"] || len(got) != 1 ||
		!slices.Equal(keys, []string{"slow", "slower"}) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v", got, err)
	}
	close(held.release)
	eventually(t, "the load has ended", func() bool {
		found, err := a.items.GetMany(t.Context(), []string{"slow", "slower"})
		return err == nil && len(found) == 2
	})
	if _, err := a.items.GetOrLoadMany(ctx, []string{"new"}, f.origin.loadMany); !errors.Is(err, context.Canceled) {
		t.Errorf("a call with an ended context: %v", err)
	}
	if err := a.items.SetMany(ctx, map[string]int{"slow": 5}); err == nil {
		t.Error("SetMany with an ended context says that it was confirmed")
	}
	if _, err := a.items.GetMany(t.Context(), []string{"slow"}); err != nil && !errors.Is(err, tiered.ErrUnavailable) {
		t.Error(err)
	}
}

func TestLoadTimeoutAndCloseOfABatch(t *testing.T) {
	n := instances(t, redistest.Mini(t), 1)[0]
	r := region(t, n, tiered.Config[string]{Name: "items", LoadTimeout: 20 * time.Millisecond})
	forever := region(t, n, tiered.Config[string]{Name: "forever"})
	_, err := r.GetOrLoadMany(t.Context(), []string{"a", "b"}, func(ctx context.Context, _ []string) (map[string]string, error) {
		<-ctx.Done()
		return map[string]string{"a": "late"}, ctx.Err()
	})
	if e := failures(t, err); !errors.Is(err, tiered.ErrLoadTimeout) || !errors.Is(err, context.DeadlineExceeded) || e.Errs["b"] == nil {
		t.Errorf("a load that takes too long: %v", err)
	}
	stop := make(chan struct{})
	defer close(stop)
	_, err = r.GetOrLoadMany(t.Context(), []string{"c"}, func(context.Context, []string) (map[string]string, error) {
		<-stop // it ignores its context
		return nil, nil
	})
	if !errors.Is(err, tiered.ErrLoadTimeout) {
		t.Errorf("a load that ignores its context: %v", err)
	}
	running := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		_, err := forever.GetOrLoadMany(context.Background(), []string{"a", "b"}, func(ctx context.Context, _ []string) (map[string]string, error) {
			close(running)
			<-ctx.Done()
			return nil, ctx.Err()
		})
		done <- err
	}()
	<-running
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, tiered.ErrClosed) || len(failures(t, err).Errs) != 2 {
		t.Errorf("a load during Close: %v", err)
	}
	if _, err := r.GetMany(t.Context(), []string{"a"}); !errors.Is(err, tiered.ErrClosed) {
		t.Errorf("GetMany after Close: %v", err)
	}
	if err := r.SetMany(t.Context(), map[string]string{"a": "x"}); !errors.Is(err, tiered.ErrClosed) {
		t.Errorf("SetMany after Close: %v", err)
	}
}

// A forced load of many keys replaces what there is, everywhere.
func TestForceLoadOfABatch(t *testing.T) {
	f := newFleetWith(t, 2, tiered.Options{MaxStaleness: time.Minute, L2Timeout: patience})
	a, b := f.members[0], f.members[1]
	names := manyNames(10)
	f.origin.commitAll(names...)
	b.getMany(t, names)
	for _, k := range names {
		settles(t, b.items, k)
	}
	want := f.origin.commitAll(names...)
	if got := a.getMany(t, names, tiered.ForceLoad()); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	eventually(t, "the other instance reads the new versions", func() bool { return maps.Equal(b.getMany(t, names), want) })
}

// Many callers with overlapping sets of keys, with Deletes between: G3 on each
// instance, for each key.
func TestBatchesNeverGoBack(t *testing.T) {
	f := newFleetWith(t, 2, tiered.Options{MaxStaleness: bound, L2Timeout: patience})
	names := manyNames(12)
	f.origin.commitAll(names...)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i, m := range f.members {
		for j := range 3 {
			wg.Go(func() {
				seen := make(map[string]int)
				for {
					select {
					case <-stop:
						return
					default:
					}
					for k, v := range m.getMany(t, names[2*j:2*j+6]) {
						if v < seen[k] {
							t.Errorf("instance %d: %s went back from %d to %d", i, k, seen[k], v)
						}
						seen[k] = v
					}
				}
			})
		}
	}
	for n := range 60 {
		k := names[n%len(names)]
		want := f.origin.commit(k)
		m := f.members[n%2]
		if err := m.items.Delete(t.Context(), k); err != nil {
			t.Error(err)
		}
		if got := m.getMany(t, []string{k, names[0]}); got[k] < want {
			t.Errorf("%s: %d after the Delete of %d", k, got[k], want)
		}
	}
	close(stop)
	wg.Wait()
}

// On a Cluster a batch is as good as on one server.
func TestBatchOnACluster(t *testing.T) {
	f := &fleet{origin: newOrigin()}
	addrs := startCluster(t, 3)
	for range 2 {
		c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, DisableIdentity: true})
		t.Cleanup(func() { c.Close() })
		m := &member{origin: f.origin, Node: open(t, tiered.Options{Redis: c, MaxStaleness: time.Minute, L2Timeout: patience})}
		m.items = region(t, m.Node, tiered.Config[int]{Name: "items", Jitter: -1})
		f.members = append(f.members, m)
		ready(t, m.Node)
	}
	a, b := f.members[0], f.members[1]
	names := manyNames(200)
	want := f.origin.commitAll(names...)
	for _, m := range []*member{a, b} {
		if got := m.getMany(t, names); !maps.Equal(got, want) {
			t.Errorf("got %d keys", len(got))
		}
	}
	if n := f.origin.reads.Load(); n != int64(len(names)) {
		t.Errorf("%d keys were loaded, want %d", n, len(names))
	}
	want = f.origin.commitAll(names...)
	if err := a.items.Delete(t.Context(), names...); err != nil {
		t.Fatal(err)
	}
	if got := a.getMany(t, names); !maps.Equal(got, want) {
		t.Error("old values after the Delete")
	}
	set := map[string]int{"0": 70, "1": 71}
	if err := b.items.SetMany(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what was set is read", func() bool {
		got, err := a.items.GetMany(t.Context(), []string{"0", "1"})
		return err == nil && maps.Equal(got, set)
	})
	if strings.Contains(a.Stats().DegradedReason, "answer") {
		t.Error(a.Stats().DegradedReason)
	}
}
