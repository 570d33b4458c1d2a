package tiered_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/codec"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// A load that does not return ends in a *LoadPanicError for everybody who waits
// for it. Its lease is released at once, and the next load works.
func TestLoadThatDoesNotReturn(t *testing.T) {
	tests := []struct {
		name string
		end  func()
		want tiered.LoadPanicError // Value, Goexit
	}{
		{"panic with a value", func() { panic("boom") }, tiered.LoadPanicError{Value: "boom"}},
		{"panic with an error", func() { panic(io.ErrUnexpectedEOF) }, tiered.LoadPanicError{Value: io.ErrUnexpectedEOF}},
		{"Goexit", runtime.Goexit, tiered.LoadPanicError{Goexit: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inEachMode(t, func(t *testing.T, n *tiered.Node, mode tiered.Mode) {
				r := region(t, n, tiered.Config[int]{Name: "items", Mode: mode})
				var loads atomic.Int64
				release := make(chan struct{})
				load := func(context.Context, string) (int, error) {
					loads.Add(1)
					<-release
					tt.end()
					return 7, nil
				}
				const callers = 50
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						_, err := r.GetOrLoad(t.Context(), "k", load)
						var got *tiered.LoadPanicError
						if !errors.As(err, &got) {
							t.Errorf("got %v, want a *LoadPanicError", err)
							return
						}
						if got.Region != "items" || got.Key != "k" || got.Value != tt.want.Value || got.Goexit != tt.want.Goexit {
							t.Errorf("got %+v, want %+v", got, tt.want)
						}
						if inStack := strings.Contains(string(got.Stack), "panic_test.go"); inStack == tt.want.Goexit {
							t.Errorf("the stack names the load: %v\n%s", inStack, got.Stack)
						}
						if cause, ok := tt.want.Value.(error); ok && !errors.Is(err, cause) {
							t.Errorf("%v is no %v", err, cause)
						}
					})
				}
				synctest.Wait() // all wait for the load
				close(release)
				wg.Wait()
				if got := loads.Load(); got != 1 {
					t.Errorf("%d loads, want 1 for all", got)
				}
				if s := r.Stats(); s.Loads != 1 || s.LoadErrors != 1 {
					t.Errorf("%d loads and %d errors are counted, want 1 and 1", s.Loads, s.LoadErrors)
				}
				wants(t, r, "k", &source[int]{value: 8}, 8, tiered.SourceLoad)
			})
		})
	}
}

// After a load has panicked, another instance need not wait for the end of the
// lease.
func TestLeaseOfAPanickedLoadIsReleased(t *testing.T) {
	ends := map[string]func(){"panic": func() { panic("boom") }, "Goexit": runtime.Goexit}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				nodes := []*tiered.Node{b.node(t), b.node(t)}
				rs := regions(t, nodes, tiered.Config[int]{Name: "items"})
				if _, err := rs[0].GetOrLoad(t.Context(), "k", func(context.Context, string) (int, error) { end(); return 7, nil }); err == nil {
					t.Fatal("no error")
				}
				synctest.Wait() // the release is sent in the background
				began := time.Now()
				wants(t, rs[1], "k", &source[int]{value: 8}, 8, tiered.SourceLoad)
				if took := time.Since(began); took != 0 {
					t.Errorf("the other instance waited for %v", took)
				}
				if waits := rs[1].Stats().LeaseWaits; waits != 0 {
					t.Errorf("the other instance waited for %d leases", waits)
				}
			})
		})
	}
}

// A panic in one of the other functions of a region reaches the callers as an
// error, too, or as a panic of their own goroutine; never as one of a goroutine
// that nobody can recover in.
func TestPanicInAFunctionOfTheConfiguration(t *testing.T) {
	tests := map[string]tiered.Config[int]{
		"Size":   {Size: func(int) int64 { panic("boom") }},
		"TTLFor": {TTLFor: func(string, int) time.Duration { panic("boom") }},
		"Clone":  {Clone: func(int) int { panic("boom") }},
	}
	for name, cfg := range tests {
		t.Run(name, func(t *testing.T) {
			inEachMode(t, func(t *testing.T, n *tiered.Node, mode tiered.Mode) {
				if mode == tiered.L2Only && name == "Size" {
					return // is not asked
				}
				cfg.Name, cfg.Mode = "items", mode
				r := region(t, n, cfg)
				_, _, err := read(t, r, "k", &source[int]{value: 7})
				var got *tiered.LoadPanicError
				if !errors.As(err, &got) || got.Value != "boom" {
					t.Errorf("GetOrLoad: %v, want a *LoadPanicError", err)
				}
				func() {
					defer func() { _ = recover() }()
					_ = r.Set(t.Context(), "k", 7)
				}()
				if _, err := r.Get(t.Context(), "none"); !errors.Is(err, tiered.ErrNotFound) {
					t.Errorf("the region is of no use any more: %v", err)
				}
			})
		})
	}
}

// moody is a codec that can be told to fail.
type moody struct {
	codec.Codec
	encode, decode func() error
}

func newMoody() *moody {
	fine := func() error { return nil }
	return &moody{Codec: codec.MsgPack, encode: fine, decode: fine}
}

func (m *moody) Append(dst []byte, v any) ([]byte, error) {
	if err := m.encode(); err != nil {
		return dst, err
	}
	return m.Codec.Append(dst, v)
}

func (m *moody) Unmarshal(data []byte, v any) error {
	if err := m.decode(); err != nil {
		return err
	}
	return m.Codec.Unmarshal(data, v)
}

var errMoody = errors.New("moody")

func failing() error   { return errMoody }
func panicking() error { panic(errMoody) }

// A value that cannot be decoded is a miss: it is counted, logged once, loaded
// and overwritten.
func TestValueThatCannotBeDecoded(t *testing.T) {
	for name, fault := range map[string]func() error{"error": failing, "panic": panicking} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				var log logs
				writer := region(t, b.node(t), tiered.Config[int]{Name: "items", Schema: "s"})
				c := newMoody()
				c.decode = fault
				reader := region(t, b.node(t, func(o *tiered.Options) { o.Logger = log.logger() }), tiered.Config[int]{Name: "items", Schema: "s", Codec: c})
				old, fresh := &source[int]{value: 7}, &source[int]{value: 8}
				for _, key := range []string{"a", "b"} {
					wants(t, writer, key, old, 7, tiered.SourceLoad)
					if _, err := reader.Get(t.Context(), key); !errors.Is(err, tiered.ErrNotFound) {
						t.Errorf("Get: %v, want ErrNotFound", err)
					}
					wants(t, reader, key, fresh, 8, tiered.SourceLoad)
					if v, err := writer.Get(t.Context(), key, tiered.BypassL1()); v != 8 || err != nil {
						t.Errorf("Redis has %d, %v; want what was loaded", v, err)
					}
				}
				s := reader.Stats()
				if s.Undecodable < 2 || s.L2Hits != 0 || s.L2Misses != 4 {
					t.Errorf("%d undecodable values, %d hits, %d misses are counted", s.Undecodable, s.L2Hits, s.L2Misses)
				}
				if got := log.lines("items", "cannot be decoded", "moody"); len(got) != 1 {
					t.Errorf("logged %d times, want once: %q", len(got), got)
				}
			})
		})
	}
}

// A loaded value that cannot be encoded is returned, but not cached; this is
// counted, and logged once.
func TestLoadedValueThatCannotBeEncoded(t *testing.T) {
	for name, fault := range map[string]func() error{"error": failing, "panic": panicking} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				var log logs
				n := b.node(t, func(o *tiered.Options) { o.Logger = log.logger() })
				for _, mode := range modes {
					c := newMoody()
					c.encode = fault
					r := region(t, n, tiered.Config[int]{Name: "in " + mode.String(), Mode: mode, Codec: c})
					s := &source[int]{value: 7}
					for range 3 {
						wants(t, r, "k", s, 7, tiered.SourceLoad)
						synctest.Wait() // the lease is released
					}
					s.reads(t, 3)
					if got := r.Stats(); got.EncodeErrors != 3 || got.LoadErrors != 0 || got.LeaseWaits != 0 {
						t.Errorf("%v: %d encode errors, %d load errors, %d lease waits are counted, want 3, 0, 0", mode, got.EncodeErrors, got.LoadErrors, got.LeaseWaits)
					}
					if got := log.lines("in "+mode.String(), "cannot be encoded", "moody"); len(got) != 1 {
						t.Errorf("%v: logged %d times, want once: %q", mode, len(got), got)
					}
				}
				if keys := valueKeys(t, b.client(t)); len(keys) != 0 {
					t.Errorf("in Redis: %q", keys)
				}
			})
		})
	}
}

// Set of a value that cannot be encoded is an error, and nothing has changed.
func TestSetOfAValueThatCannotBeEncoded(t *testing.T) {
	for name, fault := range map[string]func() error{"error": failing, "panic": panicking} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				n := b.node(t)
				for _, mode := range modes {
					c := newMoody()
					r := region(t, n, tiered.Config[int]{Name: mode.String(), Mode: mode, Codec: c})
					s := &source[int]{value: 7}
					wants(t, r, "k", s, 7, tiered.SourceLoad)
					synctest.Wait()
					sent := n.Stats().Sent
					c.encode = fault
					err := r.Set(t.Context(), "k", 8)
					if !errors.Is(err, errMoody) || errors.Is(err, tiered.ErrUnavailable) {
						t.Errorf("%v: Set: %v, want the codec's error", mode, err)
					}
					if v, err := r.Get(t.Context(), "k"); v != 7 || err != nil {
						t.Errorf("%v: after it: %d, %v; want the old value", mode, v, err)
					}
					if now := n.Stats().Sent; now != sent {
						t.Errorf("%v: it has sent %d invalidations", mode, now-sent)
					}
					if got := r.Stats().EncodeErrors; got != 1 {
						t.Errorf("%v: %d encode errors are counted, want 1", mode, got)
					}
				}
			})
		})
	}
}

// A function of the configuration that calls runtime.Goexit ends the goroutine of
// a flight. Those who wait get a *LoadPanicError, also for the other keys of the
// same batch; no lease is left, and later calls are answered.
func TestGoexitInAFunctionOfTheConfiguration(t *testing.T) {
	var on atomic.Bool
	exit := func() {
		if on.Load() {
			runtime.Goexit()
		}
	}
	tests := map[string]tiered.Config[string]{
		"Size":        {Size: func(string) int64 { exit(); return 1 }},
		"TTLFor":      {TTLFor: func(string, string) time.Duration { exit(); return 0 }},
		"Clone":       {Clone: func(v string) string { exit(); return v }},
		"ErrorTTLFor": {ErrorTTLFor: func(error) time.Duration { exit(); return 0 }},
	}
	for name, cfg := range tests {
		for _, mode := range modes {
			if mode == tiered.L2Only && name == "Size" {
				continue // is not asked
			}
			t.Run(name+" "+mode.String(), func(t *testing.T) {
				b := redistest.Mini(t)
				cfg.Name, cfg.Mode = "items", mode
				r := region(t, instances(t, b, 1)[0], cfg)
				tb := newTable("a", "b")
				if name == "ErrorTTLFor" {
					tb.rows, tb.err = nil, errGone
				}
				on.Store(true)
				within(t, "GetOrLoad", func() {
					_, err := r.GetOrLoad(t.Context(), "c", func(context.Context, string) (string, error) { return "vc", tb.err })
					var p *tiered.LoadPanicError
					if !errors.As(err, &p) || !p.Goexit {
						t.Errorf("GetOrLoad: %v, want a *LoadPanicError", err)
					}
				})
				within(t, "GetOrLoadMany", func() {
					_, err := r.GetOrLoadMany(t.Context(), []string{"a", "b"}, tb.load)
					for _, key := range []string{"a", "b"} {
						var p *tiered.LoadPanicError
						if !errors.As(failures(t, err).Errs[key], &p) || !p.Goexit || p.Key != key {
							t.Errorf("GetOrLoadMany: %v, want a *LoadPanicError of %s", err, key)
						}
					}
				})
				on.Store(false)
				tb.rows, tb.err = map[string]string{"a": "va", "b": "vb"}, nil
				within(t, "a later call", func() {
					got, err := r.GetOrLoadMany(t.Context(), []string{"a", "b"}, tb.load)
					wantMany(t, got, err, "a", "b")
				})
				noLeases(t, b)
			})
		}
	}
}

// noLeases waits until no lease is left in Redis.
func noLeases(t *testing.T, b *redistest.Backend) {
	t.Helper()
	c := b.Client(t)
	eventually(t, "no lease is left", func() bool { return len(c.Keys(t.Context(), "test:{*}:l:*").Val()) == 0 })
}

// The same of a codec that decodes what another instance has loaded meanwhile.
func TestGoexitInACodecThatDecodesWhatWasWaitedFor(t *testing.T) {
	b := redistest.Mini(t)
	ns := instances(t, b, 2)
	c := newMoody()
	c.decode = func() error { runtime.Goexit(); return nil }
	here := region(t, ns[0], tiered.Config[string]{Name: "items", Schema: "s"})
	there := region(t, ns[1], tiered.Config[string]{Name: "items", Schema: "s", Codec: c})
	started, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = here.GetOrLoadMany(t.Context(), []string{"a", "b", "c"}, func(context.Context, []string) (map[string]string, error) {
			close(started)
			<-release
			return map[string]string{"a": "va", "c": "vc"}, errGone
		})
	})
	<-started
	wg.Go(func() {
		within(t, "GetOrLoadMany", func() {
			_, err := there.GetOrLoadMany(t.Context(), []string{"a", "b", "c"}, newTable("a", "b", "c").load)
			var p *tiered.LoadPanicError
			if !errors.As(err, &p) || !p.Goexit {
				t.Errorf("GetOrLoadMany: %v, want a *LoadPanicError", err)
			}
		})
	})
	eventually(t, "the other instance waits", func() bool { return there.Stats().LeaseWaits == 3 })
	close(release)
	wg.Wait()
	noLeases(t, b)
}

// A Clone that exits is an error of its key where the keys of a SetMany are set in
// goroutines of the region's; the others are set, however many there are.
func TestGoexitInSetMany(t *testing.T) {
	b := redistest.Mini(t)
	for name, n := range map[string]*tiered.Node{"local": local(t), "L1Only": instances(t, b, 1)[0]} {
		for _, exiting := range []int{1, 200} {
			t.Run(name+" "+strconv.Itoa(exiting), func(t *testing.T) {
				var on atomic.Bool
				r := region(t, n, tiered.Config[string]{Name: "items " + strconv.Itoa(exiting), Mode: tiered.L1Only, Clone: func(v string) string {
					if on.Load() && v == "exits" {
						runtime.Goexit()
					}
					return v
				}})
				values := map[string]string{"good": "vgood"}
				for i := range exiting {
					values[strconv.Itoa(i)] = "exits"
				}
				on.Store(true)
				within(t, "SetMany", func() {
					err := r.SetMany(t.Context(), values)
					if keys := failures(t, err).Keys(); len(keys) != exiting || !strings.Contains(err.Error(), "Goexit") {
						t.Errorf("%d keys failed, want %d: %v", len(keys), exiting, err)
					}
				})
				on.Store(false)
				got, err := r.GetMany(t.Context(), []string{"good", "0"})
				wantMany(t, got, err, "good")
			})
		}
	}
}

// departing is an observer that ends the goroutine that tells it of a kind of
// operation.
type departing struct{ kind tiered.OperationKind }

func (d departing) Observe(ctx context.Context, op tiered.Operation) (context.Context, func(error)) {
	if op.Kind == d.kind {
		runtime.Goexit()
	}
	return ctx, nil
}

// A Set that does not get from its first step to its second leaves no lease
// behind: it would be renewed as long as the process lives.
func TestSetThatEndsBetweenItsStepsLeavesNoLease(t *testing.T) {
	b := redistest.Mini(t)
	n := instances(t, b, 1, func(o *tiered.Options) { o.Observer = departing{tiered.OpL2Fill} })[0]
	r := region(t, n, tiered.Config[string]{Name: "items"})
	for name, set := range map[string]func() error{
		"Set":     func() error { return r.Set(t.Context(), "a", "va") },
		"SetMany": func() error { return r.SetMany(t.Context(), map[string]string{"a": "va", "b": "vb"}) },
	} {
		within(t, name, func() { t.Errorf("%s returned %v", name, set()) })
		noLeases(t, b)
		if n.Stats().Sent == 0 {
			t.Errorf("%s did not begin", name)
		}
	}
}

// leaving is an observer that ends the goroutine that tells it that an operation has
// ended.
type leaving struct {
	kind tiered.OperationKind
	told chan struct{} // one element for each
}

func (l leaving) Observe(ctx context.Context, op tiered.Operation) (context.Context, func(error)) {
	return ctx, func(error) {
		if op.Kind == l.kind {
			l.told <- struct{}{}
			runtime.Goexit()
		}
	}
}

// A lease that was granted is given up if nobody gets to use it.
func TestObserverThatLeavesWithALease(t *testing.T) {
	load := func(context.Context, string) (string, error) { return "v", nil }
	for name, tt := range map[string]struct {
		kind tiered.OperationKind
		do   func(ctx context.Context, r *tiered.Region[string])
	}{
		"GetOrLoad": {tiered.OpL2Lease, func(ctx context.Context, r *tiered.Region[string]) { _, _ = r.GetOrLoad(ctx, "a", load) }},
		"GetOrLoadMany": {tiered.OpL2Lease, func(ctx context.Context, r *tiered.Region[string]) {
			_, _ = r.GetOrLoadMany(ctx, []string{"a", "b"}, newTable("a", "b").load)
		}},
		"ahead of time": {tiered.OpL2Lease, func(ctx context.Context, r *tiered.Region[string]) {
			_ = r.Set(ctx, "a", "v")
			_, _ = r.GetOrLoad(ctx, "a", load)
			_, _ = r.GetOrLoad(ctx, "a", load, tiered.BypassL1())
		}},
		"Set": {tiered.OpL2Set, func(ctx context.Context, r *tiered.Region[string]) { _ = r.Set(ctx, "a", "v") }},
		"SetMany": {tiered.OpL2Set, func(ctx context.Context, r *tiered.Region[string]) {
			_ = r.SetMany(ctx, map[string]string{"a": "v", "b": "v"})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := redistest.Mini(t)
			told := make(chan struct{}, 10)
			n := instances(t, b, 1, func(o *tiered.Options) { o.Observer = leaving{tt.kind, told} })[0]
			r := region(t, n, tiered.Config[string]{Name: "items", RefreshAhead: 1e-9})
			within(t, name, func() { tt.do(t.Context(), r) })
			<-told
			noLeases(t, b)
		})
	}
}

// Keys do not stay blocked for a write that nobody carries out.
func TestObserverThatLeavesAMutate(t *testing.T) {
	b := redistest.Mini(t)
	told := make(chan struct{}, 10)
	n := instances(t, b, 1, func(o *tiered.Options) { o.Observer = leaving{tiered.OpL2Invalidate, told} })[0]
	r := region(t, n, tiered.Config[string]{Name: "items"})
	within(t, "Mutate", func() {
		err := r.Mutate(t.Context(), []string{"a"}, func(context.Context) error { t.Error("it is written"); return nil })
		t.Errorf("it returned %v", err)
	})
	<-told
	if keys := valueKeys(t, b.Client(t)); len(keys) != 0 {
		t.Errorf("still in Redis: %q", keys)
	}
}
