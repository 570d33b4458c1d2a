package tiered_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// after is an observer that does something when the first operation of a kind
// ends.
type after struct {
	kind tiered.OperationKind
	do   func()
	done atomic.Bool
}

func (a *after) Observe(ctx context.Context, op tiered.Operation) (context.Context, func(error)) {
	return ctx, func(error) {
		if op.Kind == a.kind && a.done.CompareAndSwap(false, true) {
			a.do()
		}
	}
}

// A Delete that comes between the two steps of a Set wins over it, also where
// the value is kept in L1 only: between the invalidation and the put.
func TestDeleteBetweenTheStepsOfSet(t *testing.T) {
	b := redistest.Mini(t)
	obs := &after{kind: tiered.OpL2Invalidate}
	n := open(t, tiered.Options{Redis: b.Client(t), Observer: obs, L2Timeout: patience})
	ready(t, n)
	r := region(t, n, tiered.Config[string]{Name: "items", Mode: tiered.L1Only})
	obs.do = func() {
		if err := r.Delete(t.Context(), "k"); err != nil {
			t.Error(err)
		}
	}
	if err := r.Set(t.Context(), "k", "old"); err != nil {
		t.Fatal(err)
	}
	if v, err := r.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) {
		t.Errorf("got %q, %v after a Delete that came after the Set's invalidation", v, err)
	}
}

// A forced load begins after the call, so a call never takes what one that was
// under way brings, whatever that one has to invalidate.
func TestForceLoadDoesNotJoinOneUnderWay(t *testing.T) {
	for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L1Only} {
		t.Run(mode.String(), func(t *testing.T) {
			b := redistest.Mini(t)
			r := regions(t, instances(t, b, 1), tiered.Config[string]{Name: "items", Mode: mode})[0]
			started, release := make(chan struct{}), make(chan struct{})
			var loads atomic.Int64
			load := func(context.Context, string) (string, error) {
				if loads.Add(1) == 1 {
					close(started)
					<-release
					return "first", nil
				}
				return "second", nil
			}
			var wg sync.WaitGroup
			defer wg.Wait()
			wg.Go(func() { _, _ = r.GetOrLoad(t.Context(), "k", load, tiered.ForceLoad()) })
			<-started
			done := make(chan string, 1)
			joining := make(chan struct{})
			wg.Go(func() {
				close(joining)
				v, err := r.GetOrLoad(t.Context(), "k", load, tiered.ForceLoad())
				if err != nil {
					t.Error(err)
				}
				done <- v
			})
			<-joining
			time.Sleep(20 * time.Millisecond) //nolint:forbidigo // lets the second call join the first one's flight; it may not
			close(release)
			if v := <-done; v != "second" {
				t.Errorf("got the %s load's value", v)
			}
		})
	}
}

// Shutdown waits for a Delete under way: it is confirmed, or queued and
// delivered, but not cut off.
func TestShutdownWaitsForADeleteUnderWay(t *testing.T) {
	f := newFleetWith(t, 2, tiered.Options{MaxStaleness: bound, L2Timeout: patience})
	a, b := f.members[0], f.members[1]
	f.origin.commit("k")
	b.warm(t, "k")
	want := f.origin.commit("k")
	held := a.proxy.Hold(func(args [][]byte) bool {
		return strings.EqualFold(string(args[0]), "evalsha") && bytes.Contains(bytes.Join(args, []byte(" ")), []byte(":items:k"))
	})
	deleted, shut := make(chan error, 1), make(chan error, 1)
	go func() { deleted <- a.items.Delete(context.Background(), "k") }()
	held.Wait(t)
	go func() { shut <- a.Shutdown(context.Background()) }()
	eventually(t, "the shutdown has begun", func() bool {
		_, err := a.items.GetOrLoad(t.Context(), "other", a.origin.load)
		return errors.Is(err, tiered.ErrClosed)
	})
	held.Release()
	if err := <-deleted; err != nil {
		t.Errorf("delete: %v", err)
	}
	if err := <-shut; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	eventually(t, "the other instance reads the new version", func() bool { return b.get(t, "k") == want })
}

// G3 where two flights overlap, the older value is kept in L1 and the newer one
// is too large to be.
func TestG3WhenTheNewerValueIsNotKept(t *testing.T) {
	f := newFleetWith(t, 2, tiered.Options{MaxStaleness: time.Minute, L2Timeout: patience})
	a, b := f.members[0], f.members[1]
	ra := region(t, a.Node, tiered.Config[string]{Name: "texts", Jitter: -1, MaxL1Bytes: 64})
	rb := region(t, b.Node, tiered.Config[string]{Name: "texts", Jitter: -1})
	small, large := "v1", strings.Repeat("v2", 200)
	if err := rb.Set(t.Context(), "k", small); err != nil {
		t.Fatal(err)
	}
	a.proxy.DropMessages(allMessages)
	held := a.proxy.Hold(func(args [][]byte) bool {
		return strings.EqualFold(string(args[0]), "mget") && bytes.HasSuffix(args[len(args)-1], []byte(":texts:k"))
	})
	read := make(chan string, 1)
	go func() {
		v, err := ra.GetOrLoad(t.Context(), "k", func(context.Context, string) (string, error) { return "loaded", nil })
		if err != nil {
			t.Error(err)
		}
		read <- v
	}()
	held.Wait(t)
	eventually(t, "the old value is in L1", func() bool {
		var info tiered.Info
		_, _ = ra.Get(t.Context(), "k", tiered.WithInfo(&info))
		return info.Source == tiered.SourceL1
	})
	if err := rb.Set(t.Context(), "k", large); err != nil {
		t.Fatal(err)
	}
	held.Release()
	if v := <-read; v != large {
		t.Skipf("the slow read brought %.10q: it was sent before the Set", v)
	}
	if v, err := ra.Get(t.Context(), "k"); v != large || err != nil {
		t.Errorf("went back to %.10q, %v", v, err)
	}
}

// A panic in a function of the configuration is an error of the call, also on
// an L2 hit, which is judged on the caller's goroutine.
func TestPanicOfSizeOnAnL2Hit(t *testing.T) {
	b := redistest.Mini(t)
	ns := instances(t, b, 2)
	good := region(t, ns[0], tiered.Config[string]{Name: "items"})
	bad := region(t, ns[1], tiered.Config[string]{Name: "items", Size: func(string) int64 { panic("size") }})
	if err := good.Set(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	var panicked *tiered.LoadPanicError
	if _, err := bad.Get(t.Context(), "k"); !errors.As(err, &panicked) || panicked.Value != "size" {
		t.Errorf("got %v, want a LoadPanicError", err)
	}
}

// G1a where Redis has lost its sequence and no probe has noticed yet: copies
// carry higher numbers than the Delete gets.
func TestG1aWhenTheSequenceHasGoneBack(t *testing.T) {
	f := newFleetWith(t, 1, tiered.Options{MaxStaleness: 10 * time.Minute, L2Timeout: patience})
	a := f.members[0]
	f.origin.commit("k")
	a.warm(t, "k")
	sequences, err := a.client.Keys(t.Context(), "test:{*}:s").Result()
	if err != nil || len(sequences) != tiered.DefaultPartitions {
		t.Fatalf("%d sequences, %v", len(sequences), err)
	}
	for _, key := range sequences {
		if err := a.client.DecrBy(t.Context(), key, 1000).Err(); err != nil {
			t.Fatal(err)
		}
	}
	want := f.origin.commit("k")
	if err := a.items.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if got := a.get(t, "k"); got != want {
		t.Errorf("read version %d after the Delete, want %d", got, want)
	}
}
