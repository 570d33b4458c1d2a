package tiered_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/codec"
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
