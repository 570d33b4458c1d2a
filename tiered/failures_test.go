package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
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
		r := region(t, b.node(t), tiered.Config[int]{Name: "items", ErrorTTLFor: downFor})
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
			r := region(t, local(t), tiered.Config[int]{Name: "items", ErrorTTLFor: downFor})
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
	r := region(t, local(t), tiered.Config[int]{Name: "items", ErrorTTLFor: downFor})
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
	r := region(t, local(t), tiered.Config[int]{Name: "items", ErrorTTLFor: downFor})
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
			Name: "items", Jitter: -1, TTL: time.Minute, StaleFor: time.Hour, ErrorTTLFor: func(error) time.Duration { return time.Hour },
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
	r := region(t, n, tiered.Config[int]{Name: "items", ErrorTTLFor: downFor})
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

// Each kind of error stands for as long as it is given, whatever it comes from.
func TestEachKindOfErrorStandsForItsOwnTTL(t *testing.T) {
	errBusy := errors.New("busy")
	var seen []error
	ttl := func(err error) time.Duration {
		seen = append(seen, err)
		var panicked *tiered.LoadPanicError
		switch {
		case errors.Is(err, errBusy):
			return time.Second
		case errors.As(err, &panicked):
			return 10 * time.Second
		case errors.Is(err, tiered.ErrLoadTimeout):
			return 20 * time.Second
		case errors.Is(err, errDown):
			return time.Minute
		}
		return -1
	}
	loads := map[string]struct {
		load  func(ctx context.Context) error
		is    func(error) bool
		stays time.Duration
	}{
		"busy":   {func(context.Context) error { return fmt.Errorf("503: %w", errBusy) }, func(err error) bool { return errors.Is(err, errBusy) }, time.Second},
		"down":   {func(context.Context) error { return errDown }, func(err error) bool { return errors.Is(err, errDown) }, time.Minute},
		"panics": {func(context.Context) error { panic("boom") }, func(err error) bool { var p *tiered.LoadPanicError; return errors.As(err, &p) }, 10 * time.Second},
		"too slow": {
			func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			func(err error) bool { return errors.Is(err, tiered.ErrLoadTimeout) }, 20 * time.Second,
		},
		"another": {func(context.Context) error { return errors.New("another") }, func(err error) bool { return err != nil }, 0},
		"gone":    {func(context.Context) error { return tiered.ErrNotFound }, func(err error) bool { return errors.Is(err, tiered.ErrAbsent) }, 0},
	}
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[int]{Name: "items", NegativeTTL: -1, LoadTimeout: time.Second, ErrorTTLFor: ttl})
		for name, tt := range loads {
			var calls atomic.Int64
			ask := func() {
				t.Helper()
				_, err := r.GetOrLoad(t.Context(), name, func(ctx context.Context, _ string) (int, error) {
					calls.Add(1)
					return 0, tt.load(ctx)
				})
				if !tt.is(err) {
					t.Errorf("%s: got %v", name, err)
				}
			}
			ask()
			if tt.stays == 0 {
				continue
			}
			pass(tt.stays - near)
			ask()
			if n := calls.Load(); n != 1 {
				t.Errorf("%s: %d loads while the error stands", name, n)
			}
			pass(2 * near)
			if ask(); calls.Load() != 2 {
				t.Errorf("%s: %d loads, want one more after it", name, calls.Load())
			}
		}
	})
	for _, err := range seen {
		if errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("ErrorTTLFor is asked about %v", err)
		}
	}
}

// That somebody gave up says nothing of the origin, and stands for nobody.
func TestACancellationNeverStands(t *testing.T) {
	r := region(t, local(t), tiered.Config[int]{Name: "items", ErrorTTLFor: func(error) time.Duration { return time.Hour }})
	s := &source[int]{err: fmt.Errorf("query: %w", context.Canceled)}
	for range 2 {
		if _, _, err := read(t, r, "k", s); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	s.reads(t, 2)
	// Callers who leave are not even asked about.
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	_, err := r.GetOrLoad(ctx, "left", func(context.Context, string) (int, error) { cancel(); <-release; return 7, nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(release)
	// Its load is joined, or has ended.
	if v, _, err := read(t, r, "left", &source[int]{value: 8}); v != 7 || err != nil {
		t.Errorf("GetOrLoad = %v, %v", v, err)
	}
}

// While an error stands, a call costs Redis a read: a value that another instance
// has loaded is found. It takes no lease, so that others can load.
func TestAnErrorStandsOnItsInstanceAlone(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		for _, many := range []bool{false, true} {
			proxy := b.Proxy(t)
			// The bound is long, so that no probe comes in between.
			quiet := func(o *tiered.Options) { o.MaxStaleness = time.Hour }
			here := instances(t, b, 1, quiet, func(o *tiered.Options) { o.Redis = proxy.Client(t) })[0]
			there := instances(t, b, 1, quiet)[0]
			name := fmt.Sprint("many ", many)
			rs := regions(t, []*tiered.Node{here, there}, tiered.Config[int]{Name: name, ErrorTTLFor: downFor})
			down, up := &source[int]{err: errDown}, &source[int]{value: 7}
			ask := func() (int, error) {
				if !many {
					return rs[0].GetOrLoad(t.Context(), "k", down.load)
				}
				got, err := rs[0].GetOrLoadMany(t.Context(), []string{"k"}, func(ctx context.Context, keys []string) (map[string]int, error) {
					_, err := down.load(ctx, keys[0])
					return nil, err
				})
				return got["k"], err
			}
			if _, err := ask(); !errors.Is(err, errDown) {
				t.Errorf("got %v", err)
			}
			// The lease is given back in the background.
			eventually(t, "no lease is left", func() bool {
				keys, err := b.Client(t).Keys(t.Context(), "*:l:*").Result()
				return err == nil && len(keys) == 0
			})
			proxy.ResetCounts()
			for range 3 {
				if _, err := ask(); !errors.Is(err, errDown) {
					t.Errorf("got %v", err)
				}
			}
			if n := evals(proxy); n != 0 {
				t.Errorf("%d scripts while the error stands", n)
			}
			down.reads(t, 1)
			if got := rs[0].Stats(); got.ErrorHits != 3 || got.Loads != 1 {
				t.Errorf("got %+v", got)
			}
			wants(t, rs[1], "k", up, 7, tiered.SourceLoad)
			if v, err := ask(); v != 7 || err != nil {
				t.Errorf("got %v, %v", v, err)
			}
		}
	})
}

// What invalidates a key lets it be loaded, on whichever instance it is done.
func TestInvalidationsEndAnErrorEverywhere(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
				nodes := instances(t, b, 2)
				rs := regions(t, nodes, tiered.Config[int]{Name: "items", Mode: mode, ErrorTTLFor: downFor})
				ends := map[string]func(r *tiered.Region[int]) error{
					"Delete": func(r *tiered.Region[int]) error { return r.Delete(t.Context(), "k") },
					"Clear":  func(r *tiered.Region[int]) error { return r.Clear(t.Context()) },
					"Expire": func(r *tiered.Region[int]) error { return r.Expire(t.Context(), "k") },
				}
				for name, end := range ends {
					for i, r := range rs {
						s := &source[int]{err: errDown}
						for range 2 {
							_, _, _ = read(t, rs[0], "k", s)
						}
						s.reads(t, 1)
						if err := end(r); err != nil {
							t.Fatal(err)
						}
						eventually(t, fmt.Sprintf("%s on instance %d is heard", name, i), func() bool {
							_, _, _ = read(t, rs[0], "k", s)
							return s.calls.Load() > 0
						})
						if err := rs[0].Delete(t.Context(), "k"); err != nil {
							t.Fatal(err)
						}
					}
				}
			})
		})
	}
}

// A function that panics is the error of the call, and of nothing else: the lease
// is given back, and the key can be loaded.
func TestErrorTTLThatPanics(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		r := region(t, instances(t, b, 1)[0], tiered.Config[int]{Name: "items", ErrorTTLFor: func(error) time.Duration { panic("boom") }})
		down := &source[int]{err: errDown}
		var panicked *tiered.LoadPanicError
		if _, _, err := read(t, r, "k", down); !errors.As(err, &panicked) || panicked.Value != "boom" {
			t.Errorf("got %v", err)
		}
		panicked = nil
		_, err := r.GetOrLoadMany(t.Context(), []string{"k", "l"}, func(context.Context, []string) (map[string]int, error) {
			return map[string]int{"l": 7}, errDown
		})
		if !errors.As(err, &panicked) || panicked.Key != "k" {
			t.Errorf("got %v", err)
		}
		if v, err := r.Get(t.Context(), "l"); v != 7 || err != nil {
			t.Errorf("the other key: %v, %v", v, err)
		}
		wants(t, r, "k", &source[int]{value: 7}, 7, tiered.SourceLoad)
	})
}

// Who loads gets the stack of a panic; an error that stands does not hold it.
func TestAStackDoesNotStand(t *testing.T) {
	r := region(t, local(t), tiered.Config[int]{Name: "items", ErrorTTLFor: func(error) time.Duration { return time.Hour }})
	for i := range 2 {
		_, err := r.GetOrLoad(t.Context(), "k", func(context.Context, string) (int, error) { panic(errDown) })
		var panicked *tiered.LoadPanicError
		if !errors.As(err, &panicked) || !errors.Is(err, errDown) || panicked.Key != "k" || (panicked.Stack == nil) != (i > 0) {
			t.Errorf("got %+v", panicked)
		}
	}
}

// A Clear concerns every key.
func TestAnErrorEndsWithClear(t *testing.T) {
	for name, n := range map[string]*tiered.Node{"local": local(t), "shared": instances(t, redistest.Mini(t), 1)[0]} {
		t.Run(name, func(t *testing.T) {
			r := region(t, n, tiered.Config[int]{Name: "items", ErrorTTLFor: func(error) time.Duration { return time.Hour }})
			s := &source[int]{err: errDown}
			if _, err := r.GetOrLoad(t.Context(), "k", s.load); !errors.Is(err, errDown) {
				t.Fatal(err)
			}
			s.err, s.value = nil, 7
			succeeds(t, r.Clear(t.Context()))
			if v, err := r.GetOrLoad(t.Context(), "k", s.load); v != 7 || err != nil {
				t.Errorf("after Clear: %v, %v", v, err)
			}
		})
	}
}

// A Delete that comes while Config.ErrorTTLFor is being asked finds no error yet.
func TestAnErrorEndsWithADeleteThatIsQuicker(t *testing.T) {
	asked, goOn := make(chan struct{}), make(chan struct{})
	r := region(t, local(t), tiered.Config[int]{Name: "items", ErrorTTLFor: func(error) time.Duration {
		close(asked)
		<-goOn
		return time.Hour
	}})
	s := &source[int]{err: errDown}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = r.GetOrLoad(context.Background(), "k", s.load)
	}()
	<-asked
	succeeds(t, r.Delete(t.Context(), "k"))
	close(goOn)
	<-done
	s2 := &source[int]{value: 7}
	if v, err := r.GetOrLoad(t.Context(), "k", s2.load); v != 7 || err != nil {
		t.Errorf("after the Delete: %v, %v", v, err)
	}
}
