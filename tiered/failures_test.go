package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// downFor lets that error stand for a minute, and no other.
func downFor(err error) time.Duration {
	if errors.Is(err, errDown) {
		return time.Minute
	}
	return 0
}

func TestAnErrorStandsForItsTTL(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[int]{Name: "items", ErrorTTL: downFor})
		s := &source[int]{err: fmt.Errorf("query: %w", errDown)}
		for range 3 {
			if _, _, err := read(t, r, "k", s); !errors.Is(err, errDown) {
				t.Errorf("got %v", err)
			}
		}
		s.reads(t, 1)
		if _, _, err := read(t, r, "another", s); !errors.Is(err, errDown) {
			t.Errorf("another key: %v", err)
		}
		s.reads(t, 1)
		if got := r.Stats(); got.ErrorHits != 2 || got.Loads != 2 || got.LoadErrors != 2 {
			t.Errorf("got %+v", got)
		}
		pass(time.Minute)
		s.err, s.value = nil, 7
		wants(t, r, "k", s, 7, tiered.SourceLoad)
		s.reads(t, 1)
	})
}

func TestWhatEndsAnErrorsTTL(t *testing.T) {
	tests := map[string]func(ctx context.Context, r *tiered.Region[int], s *source[int]) error{
		"Delete": func(ctx context.Context, r *tiered.Region[int], _ *source[int]) error { return r.Delete(ctx, "k") },
		"Set":    func(ctx context.Context, r *tiered.Region[int], _ *source[int]) error { return r.Set(ctx, "k", 7) },
		"a forced load": func(ctx context.Context, r *tiered.Region[int], s *source[int]) error {
			_, err := r.GetOrLoad(ctx, "k", s.load, tiered.ForceLoad())
			return err
		},
	}
	for name, end := range tests {
		t.Run(name, func(t *testing.T) {
			r := region(t, local(t), tiered.Config[int]{Name: "items", ErrorTTL: downFor})
			s := &source[int]{err: errDown}
			_, _, _ = read(t, r, "k", s)
			s.err, s.value = nil, 7
			if err := end(t.Context(), r, s); err != nil {
				t.Fatal(err)
			}
			if v, _, err := read(t, r, "k", s); v != 7 || err != nil {
				t.Errorf("got %v, %v", v, err)
			}
		})
	}
}

func TestErrorsThatDoNotStand(t *testing.T) {
	r := region(t, local(t), tiered.Config[int]{Name: "items", ErrorTTL: downFor})
	other := &source[int]{err: errors.New("another")}
	for range 2 {
		_, _, _ = read(t, r, "k", other)
	}
	other.reads(t, 2)
	none := region(t, local(t), tiered.Config[int]{Name: "items"})
	down := &source[int]{err: errDown}
	for range 2 {
		_, _, _ = read(t, none, "k", down)
	}
	down.reads(t, 2)
}

// However many keys fail, what is remembered of them is bounded.
func TestErrorsAreBounded(t *testing.T) {
	r := region(t, local(t), tiered.Config[int]{Name: "items", ErrorTTL: downFor})
	var loads atomic.Int64
	load := func(context.Context, string) (int, error) { loads.Add(1); return 0, errDown }
	const keys = 20_000
	for range 2 {
		for i := range keys {
			_, _ = r.GetOrLoad(t.Context(), fmt.Sprint(i), load)
		}
	}
	if again := loads.Load() - keys; again != keys-1<<14 {
		t.Errorf("%d keys were loaded again, want all beyond 16384", again)
	}
}

// A stale value is better than an error that stands.
func TestAnErrorThatStandsDoesNotHideAStaleValue(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[int]{
			Name: "items", Jitter: -1, TTL: time.Minute, StaleFor: time.Hour, ErrorTTL: func(error) time.Duration { return time.Hour },
		})
		s := &source[int]{value: 7}
		wants(t, r, "k", s, 7, tiered.SourceLoad)
		pass(2 * time.Minute)
		s.err = errDown
		for range 3 {
			if v, _, err := read(t, r, "k", s); v != 7 || err != nil {
				t.Errorf("got %v, %v", v, err)
			}
			pass(time.Minute)
		}
		s.reads(t, 2)
	})
}

// What fails after a Delete, and began before it, does not stand: the Delete is to
// let the key be loaded.
func TestAnErrorFromBeforeADeleteDoesNotStand(t *testing.T) {
	n := local(t)
	r := region(t, n, tiered.Config[int]{Name: "items", ErrorTTL: downFor})
	begun, end := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		_, err := r.GetOrLoad(t.Context(), "k", func(context.Context, string) (int, error) {
			close(begun)
			<-end
			return 0, errDown
		})
		done <- err
	}()
	<-begun
	if err := r.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	close(end)
	if err := <-done; !errors.Is(err, errDown) {
		t.Errorf("the caller of that load got %v", err)
	}
	wants(t, r, "k", &source[int]{value: 7}, 7, tiered.SourceLoad)
}
