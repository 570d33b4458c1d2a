package tiered_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

func TestMutateWritesAndInvalidates(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		rs := regions(t, instances(t, b, 2), tiered.Config[int]{Name: "items", Jitter: -1})
		o := newOrigin()
		o.commit("k")
		for _, r := range rs {
			if v, err := r.GetOrLoad(t.Context(), "k", o.load); v != 1 || err != nil {
				t.Fatal(v, err)
			}
		}
		err := rs[0].Mutate(t.Context(), []string{"k"}, func(context.Context) error {
			// Before the commit the old value may be read, but not stored.
			for range 2 {
				before := o.reads.Load()
				if v, err := rs[0].GetOrLoad(t.Context(), "k", o.load); v != 1 || err != nil || o.reads.Load() == before {
					t.Errorf("during the write: %v, %v", v, err)
				}
			}
			o.commit("k")
			if v, err := rs[0].GetOrLoad(t.Context(), "k", o.load); v != 2 || err != nil {
				t.Errorf("after the commit: %v, %v, want 2", v, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if v, err := rs[0].GetOrLoad(t.Context(), "k", o.load); v != 2 || err != nil {
			t.Errorf("afterwards, here: %v, %v, want 2", v, err)
		}
		eventually(t, "there", func() bool {
			v, err := rs[1].GetOrLoad(t.Context(), "k", o.load)
			return v == 2 && err == nil
		})
		if n := rs[0].Stats().Blocked; n != 3 {
			t.Errorf("%d loads count as blocked, want 3", n)
		}
		settles(t, rs[0], "k") // it is cached again
	})
}

// Whatever becomes of the write, what it may have changed is invalidated, and the
// key is cached again.
func TestMutateInvalidatesHoweverTheWriteEnds(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name string
		end  func(cancel func()) error
		want error
	}{
		{"an error", func(func()) error { return broken }, broken},
		{"a panic", func(func()) error { panic(broken) }, nil},
		{"Goexit", func(func()) error { runtime.Goexit(); return nil }, nil},
		{"the caller has gone", func(cancel func()) error { cancel(); return nil }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
				r := region(t, instances(t, b, 1)[0], tiered.Config[int]{Name: "items", Jitter: -1})
				o := newOrigin()
				o.commit("k")
				if _, err := r.GetOrLoad(t.Context(), "k", o.load); err != nil {
					t.Fatal(err)
				}
				settles(t, r, "k")
				var wg sync.WaitGroup
				wg.Go(func() {
					defer func() {
						if p := recover(); p != nil && p != any(broken) {
							t.Errorf("panicked with %v", p)
						}
					}()
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					err := r.Mutate(ctx, []string{"k"}, func(context.Context) error {
						o.commit("k")
						return tt.end(cancel)
					})
					if !errors.Is(err, tt.want) {
						t.Errorf("got %v, want %v", err, tt.want)
					}
				})
				wg.Wait()
				if v, err := r.GetOrLoad(t.Context(), "k", o.load); v != 2 || err != nil {
					t.Errorf("got %v, %v, want 2", v, err)
				}
				settles(t, r, "k")
			})
		})
	}
}

func TestMutateWithoutRedis(t *testing.T) {
	f := newFleet(t, 2)
	a, b := f.members[0], f.members[1]
	f.origin.commit("k")
	a.warm(t, "k")
	b.warm(t, "k")
	a.proxy.Refuse(true)
	a.proxy.Cut()
	err := a.items.Mutate(t.Context(), []string{"k"}, func(context.Context) error { f.origin.commit("k"); return nil })
	var committed *tiered.CommittedError
	var pending *tiered.PendingError
	if !errors.As(err, &committed) || !errors.As(err, &pending) {
		t.Fatalf("got %v, want that it is written and its invalidation pending", err)
	}
	if got := a.get(t, "k"); got != 2 {
		t.Errorf("here: version %d, want 2", got)
	}
	a.proxy.Refuse(false)
	eventually(t, "version 2 there", func() bool { return b.get(t, "k") == 2 })

	broken := errors.New("broken")
	a.proxy.Refuse(true)
	a.proxy.Cut()
	err = a.items.Mutate(t.Context(), []string{"k"}, func(context.Context) error { return broken })
	if !errors.Is(err, broken) || !errors.As(err, &pending) || errors.As(err, &committed) {
		t.Errorf("a write that fails: got %v", err)
	}
}

func TestBadMutates(t *testing.T) {
	n := local(t)
	r := region(t, n, tiered.Config[int]{Name: "items"})
	wrote := false
	write := func(context.Context) error { wrote = true; return nil }
	if err := r.Mutate(t.Context(), []string{"ok", ""}, write); !errors.Is(err, tiered.ErrInvalidKey) || wrote {
		t.Errorf("an invalid key: %v, written: %v", err, wrote)
	}
	if err := r.Mutate(t.Context(), []string{"k"}, nil); err == nil {
		t.Error("no write")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Mutate(ended, []string{"k"}, write); !errors.Is(err, context.Canceled) || wrote {
		t.Errorf("a context that has ended: %v, written: %v", err, wrote)
	}
	if err := (*tiered.Region[int])(nil).Mutate(t.Context(), []string{"k"}, write); err == nil || wrote {
		t.Errorf("a nil region: %v, written: %v", err, wrote)
	}
	shared := instances(t, redistest.Mini(t), 1)[0]
	alone := region(t, shared, tiered.Config[int]{Name: "alone", Mode: tiered.L1Only})
	if err := alone.Mutate(t.Context(), []string{"k"}, write); !errors.Is(err, errors.ErrUnsupported) || wrote {
		t.Errorf("a region in L1 only: %v, written: %v", err, wrote)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Mutate(t.Context(), []string{"k"}, write); !errors.Is(err, tiered.ErrClosed) || wrote {
		t.Errorf("a closed node: %v, written: %v", err, wrote)
	}
}

// Where a child process of TestMutateSurvivesAKill is killed, and where its Redis
// is.
const (
	killAt    = "TIERED_TEST_KILL_AT"
	killRedis = "TIERED_TEST_REDIS"
)

// version is the origin of these tests: a number in the same Redis.
const version = "origin:k"

func versionOf(c *redis.Client) func(ctx context.Context, key string) (int, error) {
	return func(ctx context.Context, _ string) (int, error) { return c.Get(ctx, version).Int() }
}

// The process dies at each step of a Mutate. What it has committed is read
// everywhere, at the latest after the bound, and the key is cached again when the
// tombstone has ended. Where it dies after its commit, a write and a Delete would
// leave the old value in both tiers until its TTL ends.
func TestMutateSurvivesAKill(t *testing.T) {
	for _, step := range []string{"before the commit", "after the commit", "after all"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			b := redistest.Real(t)
			c := b.Client(t)
			rs := readers(t, b, c)
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildThatIsKilledInAMutate$")
			child.Env = append(os.Environ(), killAt+"="+step, killRedis+"="+c.Options().Addr)
			out, err := child.CombinedOutput()
			died := time.Now()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("the child was not killed: %v\n%s", err, out)
			}
			want, err := c.Get(t.Context(), version).Int()
			if err != nil || (want == 2) != (step != "before the commit") {
				t.Fatalf("the child committed version %d, %v", want, err)
			}
			readAfterDeath(t, rs, c, want, died)
		})
	}
}

// readers are two instances that have version 1 of the key in L1.
func readers(t *testing.T, b *redistest.Backend, c *redis.Client) []*tiered.Region[int] {
	t.Helper()
	if err := c.Set(t.Context(), version, 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	rs := regions(t, instances(t, b, 2, func(o *tiered.Options) { o.MaxStaleness = bound }), tiered.Config[int]{Name: "items"})
	for _, r := range rs {
		if _, err := r.GetOrLoad(t.Context(), "k", versionOf(c)); err != nil {
			t.Fatal(err)
		}
		settles(t, r, "k")
	}
	return rs
}

// readAfterDeath reads until the key is cached again. What was committed is read
// from the bound on.
func readAfterDeath(t *testing.T, rs []*tiered.Region[int], c *redis.Client, want int, died time.Time) {
	t.Helper()
	for _, r := range rs {
		for cached := false; !cached; {
			begin := time.Now()
			var info tiered.Info
			v, err := r.GetOrLoad(t.Context(), "k", versionOf(c), tiered.WithInfo(&info))
			if err != nil {
				t.Fatal(err)
			}
			if v != want && begin.Sub(died) > bound {
				t.Fatalf("version %d %v after the process died, want %d", v, begin.Sub(died), want)
			}
			cached = v == want && info.Source == tiered.SourceL1
			if time.Since(died) > time.Minute {
				t.Fatal("the key is not cached again")
			}
			pause()
		}
	}
}

func TestChildThatIsKilledInAMutate(t *testing.T) {
	step := os.Getenv(killAt)
	if step == "" {
		t.Skip("only as a child process")
	}
	die := func(at string) {
		if at == step {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	c := redis.NewClient(&redis.Options{Addr: os.Getenv(killRedis)})
	n := open(t, tiered.Options{Redis: c, MaxStaleness: bound, L2Timeout: patience})
	ready(t, n)
	r := region(t, n, tiered.Config[int]{Name: "items", WriteTimeout: time.Second})
	err := r.Mutate(t.Context(), []string{"k"}, func(ctx context.Context) error {
		die("before the commit")
		if err := c.Set(ctx, version, strconv.Itoa(2), 0).Err(); err != nil {
			return err
		}
		die("after the commit")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	die("after all")
}

// Shutdown waits for a write that is under way, and for its invalidation.
func TestShutdownWaitsForAMutate(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		nodes := instances(t, b, 2)
		rs := regions(t, nodes, tiered.Config[int]{Name: "items", Jitter: -1})
		o := newOrigin()
		o.commit("k")
		if _, err := rs[1].GetOrLoad(t.Context(), "k", o.load); err != nil {
			t.Fatal(err)
		}
		writing, done := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			err := rs[0].Mutate(t.Context(), []string{"k"}, func(context.Context) error {
				close(writing)
				<-done
				o.commit("k")
				return nil
			})
			if err != nil {
				t.Errorf("Mutate during Shutdown: %v", err)
			}
		})
		<-writing
		wg.Go(func() {
			if err := nodes[0].Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
		eventually(t, "new writes are refused", func() bool {
			return errors.Is(rs[0].Mutate(t.Context(), nil, func(context.Context) error { return nil }), tiered.ErrClosed)
		})
		close(done)
		wg.Wait()
		settled := rs[1]
		eventually(t, "the new value is cached elsewhere", func() bool {
			var info tiered.Info
			v, err := settled.GetOrLoad(t.Context(), "k", o.load, tiered.WithInfo(&info))
			return v == 2 && err == nil && info.Source == tiered.SourceL1
		})
	})
}

// Close ends a write's context, and does not wait for it.
func TestCloseDoesNotWaitForAMutate(t *testing.T) {
	n := instances(t, redistest.Mini(t), 1)[0]
	r := region(t, n, tiered.Config[int]{Name: "items"})
	writing := make(chan struct{})
	result := make(chan error, 1)
	go func() {
		result <- r.Mutate(t.Context(), []string{"k"}, func(ctx context.Context) error {
			close(writing)
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	<-writing
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, context.Canceled) || !errors.Is(err, tiered.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
