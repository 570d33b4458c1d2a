package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// The origins of these tests have weak validators: they say "unchanged" of a value that
// has been changed twice. What was invalidated must not come back because of that.

// Within the grace after a failover a value is served, for it may be good, but nobody
// asks whether it is unchanged: that would vouch for it.
func TestLoadIfWithinTheGraceOfAFailover(t *testing.T) {
	for _, ahead := range []float64{0, 0.5} {
		t.Run(fmt.Sprint(ahead), func(t *testing.T) {
			f := newFleet(t, 1, func(c *tiered.Config[int]) { c.TTL = time.Hour; c.RefreshAhead = ahead })
			m := f.members[0]
			var about, full atomic.Int64
			load := func(_ context.Context, _ string, prev tiered.Entry[int]) (int, tiered.Validator, error) {
				if prev.Validator != "" {
					about.Add(1)
					return 0, "", tiered.ErrUnchanged
				}
				full.Add(1)
				return 1, "weak", nil
			}
			if _, err := m.items.LoadIf(t.Context(), "k", load); err != nil {
				t.Fatal(err)
			}
			c := f.server.Client(t)
			epochs := c.Keys(t.Context(), "*:e").Val()
			for _, k := range epochs {
				sk := strings.TrimSuffix(k, ":e") + ":s"
				s, _ := strconv.ParseInt(c.Get(t.Context(), sk).Val(), 10, 64)
				s += 1000
				e := strings.Split(c.Get(t.Context(), k).Val(), "|")
				e[1], e[2] = strconv.FormatInt(s, 10), strconv.FormatInt(time.Now().UnixMicro(), 10)
				c.Set(t.Context(), sk, s, 0)
				c.Set(t.Context(), k, strings.Join(e, "|"), 0)
			}
			var info tiered.Info
			eventually(t, "the failover is noticed", func() bool {
				v, err := m.items.Get(t.Context(), "k", tiered.BypassL1(), tiered.WithInfo(&info))
				return err == nil && v == 1 && info.Remaining <= 10*time.Second
			})
			if ahead == 0 {
				_, _ = m.items.LoadIf(t.Context(), "k", load, tiered.ForceLoad())
			} else {
				eventually(t, "refresh", func() bool {
					_, _ = m.items.LoadIf(t.Context(), "k", load)
					return m.items.Stats().Refreshes > 0
				})
			}
			eventually(t, "it is loaded in full", func() bool { return full.Load() == 2 })
			if ahead == 0 && about.Load() != 0 {
				t.Errorf("asked %d times about a value from before the failover", about.Load())
			}
		})
	}
}

// An instance that is cut off and is told "unchanged" has learned nothing of what was
// invalidated meanwhile.
func TestLoadIfOfAnInstanceThatIsCutOff(t *testing.T) {
	for name, opts := range map[string][]tiered.Option{"short TTL": nil, "L1 only": nil, "ForceLoad": {tiered.ForceLoad()}} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 2, func(c *tiered.Config[int]) {
				if name != "ForceLoad" {
					c.TTL = 100 * time.Millisecond
				}
				if name == "L1 only" {
					c.Mode = tiered.L1Only
				}
			})
			a, b := f.members[0], f.members[1]
			var origin atomic.Int64
			origin.Store(1)
			load := func(_ context.Context, _ string, prev tiered.Entry[int]) (int, tiered.Validator, error) {
				if prev.Validator != "" {
					return 0, "", tiered.ErrUnchanged // weak: the second of both changes is the same
				}
				return int(origin.Load()), "weak", nil
			}
			read := func() int {
				v, _ := b.items.LoadIf(t.Context(), "k", load, opts...)
				return v
			}
			read()
			b.proxy.Refuse(true)
			b.proxy.Cut()
			read()
			origin.Store(2)
			succeeds(t, a.items.Delete(t.Context(), "k"))
			deleted := time.Now()
			eventually(t, "the bound is over", func() bool { read(); return time.Since(deleted) > 2*bound })
			if v := read(); v != 2 {
				t.Errorf("%d is served after twice the bound", v)
			}
		})
	}
}

// Past L1 nobody asks about what L1 has, where Redis is out of use; not even who is told
// to load in any case.
func TestLoadIfPastL1(t *testing.T) {
	for name, opts := range map[string][]tiered.Option{
		"BypassL1":               {tiered.BypassL1()},
		"BypassL1 and ForceLoad": {tiered.BypassL1(), tiered.ForceLoad()},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 2, func(c *tiered.Config[int]) { c.TTL = time.Hour })
			a, b := f.members[0], f.members[1]
			var origin atomic.Int64
			origin.Store(1)
			load := func(_ context.Context, _ string, prev tiered.Entry[int]) (int, tiered.Validator, error) {
				if prev.Validator != "" {
					return 0, "", tiered.ErrUnchanged
				}
				return int(origin.Load()), "weak", nil
			}
			if v, err := b.items.LoadIf(t.Context(), "k", load); err != nil || v != 1 {
				t.Fatal(v, err)
			}
			b.proxy.Refuse(true)
			b.proxy.Cut()
			origin.Store(2)
			succeeds(t, a.items.Delete(t.Context(), "k"))
			if v, err := b.items.LoadIf(t.Context(), "k", load, opts...); err != nil || v != 2 {
				t.Errorf("%d, %v: what L1 had was asked about", v, err)
			}
		})
	}
}

type beforeLoad struct{ do func() }

func (b *beforeLoad) Observe(ctx context.Context, op tiered.Operation) (context.Context, func(error)) {
	if op.Kind == tiered.OpLoad && b.do != nil {
		do := b.do
		b.do = nil
		do()
	}
	return ctx, nil
}

// A tag that is invalidated between the judgement of the value and the load's begin
// voids it, also if the origin says that it is unchanged.
func TestLoadIfWhoseTagIsInvalidatedAsItBegins(t *testing.T) {
	for _, own := range []bool{true, false} {
		t.Run(fmt.Sprint("own=", own), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				before := &beforeLoad{}
				n, other := b.node(t, func(o *tiered.Options) { o.Observer = before }), b.node(t)
				cfg := pages()
				cfg.Tags = func(string, string) []string { return []string{"tag"} }
				r := region(t, n, cfg)
				d := &document{value: "old", validate: func(string) tiered.Validator { return "weak" }}
				d.is(t, r, "old", tiered.SourceLoad)
				pass(whole + near)
				d.was(t, 1, "")
				before.do = func() {
					d.value = "new"
					by := map[bool]*tiered.Node{true: n, false: other}[own]
					succeeds(t, by.InvalidateTags(context.Background(), "tag"))
					synctest.Wait()
				}
				_, err := r.LoadIf(t.Context(), "k", d.load)
				succeeds(t, err)
				if got, err := r.LoadIf(t.Context(), "k", d.load); err != nil || got != "new" {
					t.Errorf("after InvalidateTags: %q, %v", got, err)
				}
			})
		})
	}
}

// Reads that keep a sliding value in Redis do not end what it is kept beyond its life.
func TestLoadIfOfAValueThatWasRead(t *testing.T) {
	for _, slide := range []time.Duration{0, 20 * time.Minute} {
		inBubble(t, func(t *testing.T, b *bubble) {
			cfg := pages()
			cfg.SlidingTTL = slide
			r := region(t, b.node(t), cfg)
			d := &document{value: "a"}
			d.is(t, r, "a", tiered.SourceLoad)
			for range 12 {
				pass(whole/12 - time.Millisecond)
				_, _ = r.Get(t.Context(), "k")
			}
			pass(time.Second)
			d.asked, d.full = nil, 0
			d.is(t, r, "a", tiered.SourceLoad)
			d.was(t, 0, "a")
		})
	}
}

// The failure of a load within another is no answer of that one.
func TestLoadIfWithinALoadIf(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		n := b.node(t)
		outer := region(t, n, pages())
		cfg := pages()
		cfg.Name = "inner"
		inner := region(t, n, cfg)
		broken := false
		load := func(ctx context.Context, key string, prev tiered.Entry[string]) (string, tiered.Validator, error) {
			v, err := inner.LoadIf(ctx, key, func(context.Context, string, tiered.Entry[string]) (string, tiered.Validator, error) {
				if broken {
					return "", "", tiered.ErrUnchanged // a confused server: 304 to an unconditional request
				}
				return "x", "", nil
			})
			return v, "v", err
		}
		if _, err := outer.LoadIf(t.Context(), "k", load); err != nil {
			t.Fatal(err)
		}
		pass(whole + near)
		broken = true
		v, err := outer.LoadIf(t.Context(), "k", load)
		if err == nil {
			t.Errorf("the outer load failed, and yet %q, unchanged=%d", v, outer.Stats().Unchanged)
		}
	})
}

// fatCodec writes 64 KiB for any value.
type fatCodec struct{}

func (fatCodec) Name() string { return "fat" }
func (fatCodec) Append(dst []byte, v any) ([]byte, error) {
	return append(dst, make([]byte, 64<<10)...), nil
}
func (fatCodec) Unmarshal(data []byte, v any) error { *(v.(*int)) = len(data); return nil }

// A validator is part of the reply that it came in: what L1 keeps is a copy.
func TestLoadIfKeepsNoReply(t *testing.T) {
	for _, unchanged := range []bool{false, true} {
		inBubble(t, func(t *testing.T, b *bubble) {
			cfg := tiered.Config[int]{Name: "items", TTL: whole, Jitter: -1, Codec: fatCodec{}, Schema: "1", Size: func(int) int64 { return 8 }}
			w := region(t, b.node(t), cfg)
			r := region(t, b.node(t), cfg)
			load := func(_ context.Context, _ string, prev tiered.Entry[int]) (int, tiered.Validator, error) {
				if prev.Validator != "" {
					return 0, "", tiered.ErrUnchanged
				}
				return 1, "v", nil
			}
			for i := range 500 {
				_, err := w.LoadIf(t.Context(), fmt.Sprint(i), load)
				succeeds(t, err)
			}
			if unchanged {
				pass(whole + near)
			}
			var m1, m2 runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m1)
			for i := range 500 {
				_, err := r.LoadIf(t.Context(), fmt.Sprint(i), load)
				succeeds(t, err)
			}
			synctest.Wait()
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&m2)
			if more := int64(m2.HeapAlloc) - int64(m1.HeapAlloc); more > 8<<20 {
				t.Errorf("unchanged=%v: %d KiB more heap for 500 values of 8 bytes", unchanged, more>>10)
			}
		})
	}
}

// A value that is served stale has the validator that it had.
func TestStaleValuesTellTheirValidator(t *testing.T) {
	for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L2Only} {
		inBubble(t, func(t *testing.T, b *bubble) {
			cfg := pages()
			cfg.StaleFor, cfg.Mode = whole, mode
			r := region(t, b.node(t), cfg)
			d := &document{value: "a"}
			d.is(t, r, "a", tiered.SourceLoad)
			pass(whole + near)
			var info tiered.Info
			v, err := r.LoadIf(t.Context(), "k", func(context.Context, string, tiered.Entry[string]) (string, tiered.Validator, error) {
				return "", "", errors.New("broken")
			}, tiered.WithInfo(&info))
			if err != nil || v != "a" || !info.Stale || info.Validator != "A" {
				t.Errorf("%v: %q, %v, stale %v, validator %q, want A", mode, v, err, info.Stale, info.Validator)
			}
		})
	}
}

func (b *bubble) dropLease(t *testing.T) {
	t.Helper()
	for _, k := range b.redis.Keys() {
		if strings.HasSuffix(k, ":l:items:k") && b.redis.Del(k) {
			return
		}
	}
	t.Error("no lease")
}

// A forced load replaces the value, or ends it: its lease may have run out instead of
// having been taken away by something newer.
func TestForcedLoadWhoseLeaseHasRunOut(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, pages())
		load := func(v string, lose bool) func(context.Context, string) (string, error) {
			return func(context.Context, string) (string, error) {
				if lose {
					b.dropLease(t)
				}
				return v, nil
			}
		}
		_, err := rs[0].GetOrLoad(t.Context(), "k", load("old", false))
		succeeds(t, err)
		_, err = rs[0].GetOrLoad(t.Context(), "k", load("new", true), tiered.ForceLoad())
		succeeds(t, err)
		pass(time.Second)
		for i, r := range rs {
			v, err := r.Get(t.Context(), "k")
			if v == "old" {
				t.Errorf("instance %d: %q, %v after a forced load returned the new one", i, v, err)
			}
		}
	})
}

// A value that was renewed on one instance stays for the reads of another.
func TestLoadIfRenewsAValueThatSlides(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		cfg := pages()
		cfg.SlidingTTL, cfg.RefreshAhead = 10*time.Minute, 0.3
		rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, cfg)
		d := &document{value: "a"}
		d.is(t, rs[0], "a", tiered.SourceLoad)
		d.is(t, rs[1], "a", tiered.SourceL2)
		get := func() (tiered.Info, error) {
			var info tiered.Info
			_, err := rs[1].Get(t.Context(), "k", tiered.WithInfo(&info))
			return info, err
		}
		for range 19 { // both read until the refresh is due
			pass(time.Minute)
			d.is(t, rs[0], "a", tiered.SourceL1)
			if _, err := get(); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if rs[0].Stats().Unchanged == 0 {
			t.Error("it was not renewed")
		}
		for i := range 40 { // from now on only the other one reads, each minute, by Get
			pass(time.Minute)
			info, err := get()
			in := b.inRedis(t)
			if err != nil || in <= 0 {
				t.Fatalf("minute %d: %v from %v; Redis keeps it for %v; it was read each minute, SlidingTTL is 10m", i, err, info.Source, in)
			}
		}
	})
}
