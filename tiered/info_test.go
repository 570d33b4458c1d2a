package tiered_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// wantInfo compares, give or take the time that round trips take.
func wantInfo(t *testing.T, when string, got, want tiered.Info) {
	t.Helper()
	const slack = 20 * near
	for _, d := range []time.Duration{got.Remaining - want.Remaining, got.StaleRemaining - want.StaleRemaining, got.Age - want.Age} {
		if d.Abs() > slack {
			t.Errorf("%s: got %+v, want %+v", when, got, want)
			return
		}
	}
	if got.Source != want.Source || got.Stale != want.Stale {
		t.Errorf("%s: got %+v, want %+v", when, got, want)
	}
}

// A value's life is told by whichever tier answers, on every instance, from its
// load until it is gone.
func TestInfoTellsALife(t *testing.T) {
	const m = time.Minute
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				cfg := tiered.Config[string]{Name: "items", Mode: mode, TTL: 60 * m, L1TTL: 20 * m, StaleFor: 30 * m, Jitter: -1}
				if mode == tiered.L1Only {
					cfg.TTL = 20 * m
				}
				nodes := []*tiered.Node{b.node(t), b.node(t)}
				rs := regions(t, nodes, cfg)
				f := &flaky{source: source[string]{value: "v"}}
				ask := func(i int, opts ...tiered.Option) (info tiered.Info) {
					t.Helper()
					v, err := rs[i].GetOrLoad(t.Context(), "k", f.load, append(opts, tiered.WithInfo(&info))...)
					if v != "v" || err != nil {
						t.Errorf("got %q, %v", v, err)
					}
					return info
				}
				const l1, l2, load = tiered.SourceL1, tiered.SourceL2, tiered.SourceLoad
				wantInfo(t, "loaded", ask(0), tiered.Info{Source: load, Remaining: cfg.TTL, StaleRemaining: 30 * m})
				pass(10 * m)
				switch mode {
				case tiered.BothTiers:
					wantInfo(t, "its copy", ask(0), tiered.Info{Source: l1, Remaining: 10 * m, StaleRemaining: 70 * m, Age: 10 * m})
					wantInfo(t, "in Redis", ask(0, tiered.BypassL1()), tiered.Info{Source: l2, Remaining: 50 * m, StaleRemaining: 30 * m, Age: 10 * m})
					wantInfo(t, "elsewhere", ask(1), tiered.Info{Source: l2, Remaining: 50 * m, StaleRemaining: 30 * m, Age: 10 * m})
					pass(5 * m)
					wantInfo(t, "the copy elsewhere", ask(1), tiered.Info{Source: l1, Remaining: 15 * m, StaleRemaining: 60 * m, Age: 15 * m})
					pass(45*m + near)
				case tiered.L1Only:
					wantInfo(t, "its copy", ask(0), tiered.Info{Source: l1, Remaining: 10 * m, StaleRemaining: 30 * m, Age: 10 * m})
					wantInfo(t, "elsewhere", ask(1), tiered.Info{Source: load, Remaining: 20 * m, StaleRemaining: 30 * m})
					pass(20*m + near)
				case tiered.L2Only:
					wantInfo(t, "in Redis", ask(0), tiered.Info{Source: l2, Remaining: 50 * m, StaleRemaining: 30 * m, Age: 10 * m})
					wantInfo(t, "elsewhere", ask(1), tiered.Info{Source: l2, Remaining: 50 * m, StaleRemaining: 30 * m, Age: 10 * m})
					pass(50*m + near)
				}
				f.down.Store(true)
				from, age := l2, 60*m
				stale := 30 * m
				if mode == tiered.L1Only {
					from, age, stale = l1, 30*m, 20*m
				}
				for i := range rs {
					if mode == tiered.L1Only && i == 1 {
						age, stale = 21*m, 29*m
					}
					got := ask(i)
					if got.Source == l1 { // L1 may have kept it
						from = l1
					}
					wantInfo(t, "past its life", got, tiered.Info{Source: from, Stale: true, StaleRemaining: stale, Age: age})
					pass(m)
					if got = ask(i); got.Source == l1 {
						from = l1
					}
					wantInfo(t, "a minute later", got, tiered.Info{Source: from, Stale: true, StaleRemaining: stale - m, Age: age + m})
					age, stale = age+m, stale-m
				}
			})
		})
	}
}

// That there is nothing has a life too, in each tier; what is in no tier has none.
func TestInfoOfAbsence(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		cfg := tiered.Config[string]{Name: "items", NegativeTTL: time.Minute, StaleFor: time.Hour, Jitter: -1}
		rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, cfg)
		s := &source[string]{err: tiered.ErrNotFound}
		_, info, err := read(t, rs[0], "k", s)
		wantInfo(t, "loaded", info, tiered.Info{Source: tiered.SourceLoad, Remaining: time.Minute})
		if !errors.Is(err, tiered.ErrAbsent) {
			t.Error(err)
		}
		pass(20 * time.Second)
		for _, tt := range []struct {
			r    *tiered.Region[string]
			from tiered.Source
		}{{rs[0], tiered.SourceL1}, {rs[1], tiered.SourceL2}, {rs[1], tiered.SourceL1}} {
			_, err := tt.r.Get(t.Context(), "k", tiered.WithInfo(&info))
			wantInfo(t, "known", info, tiered.Info{Source: tt.from, Remaining: 40 * time.Second, Age: 20 * time.Second})
			if !errors.Is(err, tiered.ErrAbsent) {
				t.Error(err)
			}
			pass(0)
		}
		pass(41 * time.Second)
		_, err = rs[0].Get(t.Context(), "k", tiered.WithInfo(&info))
		if info != (tiered.Info{}) || !errors.Is(err, tiered.ErrNotFound) || errors.Is(err, tiered.ErrAbsent) {
			t.Errorf("got %+v, %v", info, err)
		}
	})
}

// A call that fails says nothing of a value: not even what a former one has said.
func TestInfoOfACallThatFails(t *testing.T) {
	n := local(t)
	r := region(t, n, tiered.Config[string]{Name: "items"})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	down := &source[string]{err: errDown}
	full := tiered.Info{Source: tiered.SourceL2, Remaining: 1, StaleRemaining: 2, Age: 3, Stale: true}
	var info tiered.Info
	calls := map[string]func() error{
		"no such key": func() error { _, err := r.Get(t.Context(), "k", tiered.WithInfo(&info)); return err },
		"a bad key":   func() error { _, err := r.Get(t.Context(), "", tiered.WithInfo(&info)); return err },
		"its context ended": func() error {
			_, err := r.GetOrLoad(ended, "k", down.load, tiered.WithInfo(&info))
			return err
		},
		"a bad tag": func() error {
			_, err := r.GetOrLoad(t.Context(), "k", down.load, tiered.WithInfo(&info), tiered.WithTags(strings.Repeat("t", tiered.MaxTagBytes+1)))
			return err
		},
		"closed": func() error {
			_ = n.Close()
			_, err := r.GetOrLoad(t.Context(), "k", down.load, tiered.WithInfo(&info))
			return err
		},
	}
	for _, name := range []string{"no such key", "a bad key", "its context ended", "closed"} {
		info = full
		if err := calls[name](); err == nil || info != (tiered.Info{}) {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
	}
	// One that makes no sense is not made.
	info = full
	if err := calls["a bad tag"](); err == nil || info != full {
		t.Errorf("a bad tag: %+v, %v", info, err)
	}
}

// The load is the source of an error that it returns.
func TestInfoOfALoadThatFails(t *testing.T) {
	r := region(t, local(t), tiered.Config[string]{Name: "items"})
	_, info, err := read(t, r, "k", &source[string]{err: errDown})
	if info != (tiered.Info{Source: tiered.SourceLoad}) || !errors.Is(err, errDown) {
		t.Errorf("got %+v, %v", info, err)
	}
}

// Each tier tells on a real Redis, whose clock is another one.
func TestInfoOnRedis(t *testing.T) {
	b := redistest.Real(t)
	rs := regions(t, instances(t, b, 2), tiered.Config[string]{Name: "items", TTL: time.Hour, StaleFor: time.Minute, Jitter: -1})
	s := &source[string]{value: "v"}
	about := func(from tiered.Source, info tiered.Info) {
		t.Helper()
		const slack = 20 * time.Second // for a machine that is busy
		if info.Source != from || info.Remaining > time.Hour || info.Remaining < time.Hour-slack ||
			info.StaleRemaining > time.Minute+slack || info.StaleRemaining < time.Minute-slack || info.Age < 0 || info.Age > slack {
			t.Errorf("from %v: got %+v", from, info)
		}
	}
	about(tiered.SourceLoad, wants(t, rs[0], "k", s, "v", tiered.SourceLoad))
	about(tiered.SourceL2, wants(t, rs[1], "k", s, "v", tiered.SourceL2))
	for _, r := range rs {
		settles(t, r, "k")
		about(tiered.SourceL1, wants(t, r, "k", s, "v", tiered.SourceL1))
		about(tiered.SourceL2, wants(t, r, "k", s, "v", tiered.SourceL2, tiered.BypassL1()))
	}
	if err := rs[0].Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	var info tiered.Info
	if _, err := rs[0].Get(t.Context(), "k", tiered.WithInfo(&info)); !errors.Is(err, tiered.ErrNotFound) || info != (tiered.Info{}) {
		t.Errorf("deleted: %+v, %v", info, err)
	}
}

// Without Redis what is loaded lives for MaxStaleness, and cannot be stale.
func TestInfoWithoutRedis(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		const d = 4 * time.Minute
		n := b.node(t, func(o *tiered.Options) { o.MaxStaleness = d })
		r := region(t, n, tiered.Config[string]{Name: "items", TTL: time.Hour, StaleFor: time.Hour, Jitter: -1})
		b.redis.SetError("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")
		_, info, err := read(t, r, "k", &source[string]{value: "v"})
		if err != nil {
			t.Error(err)
		}
		wantInfo(t, "without Redis", info, tiered.Info{Source: tiered.SourceLoad, Remaining: d})
	})
}
