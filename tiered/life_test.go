package tiered_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// near is the precision with which a node knows the server's clock: a round
// trip. In a bubble round trips take no time, and lives are whole microseconds.
const near = time.Millisecond

// inRedis is what is left of the life of the only value in Redis.
func (b *bubble) inRedis(t *testing.T) time.Duration {
	t.Helper()
	c := b.client(t)
	keys := valueKeys(t, c)
	if len(keys) != 1 {
		t.Fatalf("%d values in Redis, want 1: %q", len(keys), keys)
	}
	return c.PTTL(t.Context(), keys[0]).Val()
}

// A value lives for TTL in both tiers, on all instances: an L1 copy made later
// ends when the value does.
func TestTTLEndsBothTiersAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		nodes := []*tiered.Node{b.node(t), b.node(t)}
		rs := regions(t, nodes, tiered.Config[string]{Name: "items", TTL: time.Hour, Jitter: -1})
		s := &source[string]{value: "v"}
		wants(t, rs[0], "k", s, "v", tiered.SourceLoad)
		pass(30 * time.Minute)
		info := wants(t, rs[1], "k", s, "v", tiered.SourceL2)
		if off := info.Remaining - 30*time.Minute; off.Abs() > near {
			t.Errorf("the copy made after half an hour has %v left, want half an hour", info.Remaining)
		}
		pass(30*time.Minute - time.Second)
		for _, r := range rs {
			wants(t, r, "k", s, "v", tiered.SourceL1)
		}
		s.reads(t, 1)
		pass(time.Second + near)
		for i, r := range rs {
			if _, err := r.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) {
				t.Errorf("instance %d: %v after the end of its life, want ErrNotFound", i, err)
			}
		}
		wants(t, rs[0], "k", s, "v", tiered.SourceLoad)
	})
}

// The copy in L1 dies before the value in L2 does; then L2 answers.
func TestL1TTL(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[string]{Name: "items", TTL: time.Hour, L1TTL: time.Minute, Jitter: -1})
		s := &source[string]{value: "v"}
		if info := wants(t, r, "k", s, "v", tiered.SourceLoad); info.Remaining != time.Hour {
			t.Errorf("%v remain of the value, want TTL", info.Remaining)
		}
		synctest.Wait()
		if info := wants(t, r, "k", s, "v", tiered.SourceL1); info.Remaining != time.Minute {
			t.Errorf("%v remain on this instance, want L1TTL", info.Remaining)
		}
		for minute := range 59 {
			from := tiered.SourceL2
			if minute == 0 {
				from = tiered.SourceL1
			}
			pass(time.Second)
			wants(t, r, "k", s, "v", from)
			pass(time.Second)
			wants(t, r, "k", s, "v", tiered.SourceL1)
			pass(time.Minute - time.Second)
		}
		// The last copy is cut off by the end of the value.
		if info := wants(t, r, "k", s, "v", tiered.SourceL2); info.Remaining > time.Minute {
			t.Errorf("%v remain of the last copy", info.Remaining)
		}
		pass(time.Minute)
		s.reads(t, 1)
		wants(t, r, "k", s, "v", tiered.SourceLoad)
	})
}

// Jitter shortens each life by a random share, up to its limit, in both tiers.
func TestJitterBounds(t *testing.T) {
	tests := []struct {
		name   string
		jitter float64
		least  time.Duration
	}{
		{"default", 0, 54 * time.Minute},
		{"half", 0.5, 30 * time.Minute},
		{"none", -1, time.Hour},
		{"almost all", 0.999999, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				r := region(t, b.node(t), tiered.Config[string]{Name: "items", TTL: time.Hour, Jitter: tt.jitter})
				c := b.client(t)
				lives := make(map[string][]time.Duration)
				s := &source[string]{value: "v"}
				const keys = 200
				for i := range keys {
					wants(t, r, fmt.Sprintf("k%d", i), s, "v", tiered.SourceLoad)
				}
				synctest.Wait()
				for i := range keys {
					info := wants(t, r, fmt.Sprintf("k%d", i), s, "v", tiered.SourceL1)
					lives["L1"] = append(lives["L1"], info.Remaining)
				}
				for _, key := range valueKeys(t, c) {
					lives["L2"] = append(lives["L2"], c.PTTL(t.Context(), key).Val())
				}
				for tier, lives := range lives {
					if len(lives) != keys {
						t.Fatalf("%s: %d lives, want %d", tier, len(lives), keys)
					}
					lowest, highest := lives[0], lives[0]
					for _, life := range lives {
						lowest, highest = min(lowest, life), max(highest, life)
					}
					if lowest < tt.least-near || lowest <= 0 || highest > time.Hour {
						t.Errorf("%s: lives between %v and %v, want them between %v and 1h", tier, lowest, highest, tt.least)
					}
					// 200 draws stay within half of the range with probability 2^-200.
					if spread := time.Hour - tt.least; highest-lowest < spread/2-near {
						t.Errorf("%s: lives between %v and %v are not spread over %v", tier, lowest, highest, spread)
					}
				}
			})
		})
	}
}

// The life of a value comes from WithTTL, or else from TTLFor, or else from
// Config.TTL.
func TestWhereALifeComesFrom(t *testing.T) {
	const ttl, forTTL, with = 40 * time.Minute, 20 * time.Minute, 10 * time.Minute
	tests := []struct {
		name   string
		ttlFor func(string, string) time.Duration
		opts   []tiered.Option
		want   time.Duration // 0: not cached
	}{
		{"Config.TTL", nil, nil, ttl},
		{"TTLFor", func(string, string) time.Duration { return forTTL }, nil, forTTL},
		{"TTLFor longer than TTL", func(string, string) time.Duration { return 2 * ttl }, nil, 2 * ttl},
		{"TTLFor 0", func(string, string) time.Duration { return 0 }, nil, ttl},
		{"TTLFor negative", func(string, string) time.Duration { return -1 }, nil, 0},
		{"WithTTL", nil, []tiered.Option{tiered.WithTTL(with)}, with},
		{"WithTTL longer than TTL", nil, []tiered.Option{tiered.WithTTL(2 * ttl)}, 2 * ttl},
		{"WithTTL over TTLFor", func(string, string) time.Duration { return forTTL }, []tiered.Option{tiered.WithTTL(with)}, with},
		{"WithTTL over a negative TTLFor", func(string, string) time.Duration { return -1 }, []tiered.Option{tiered.WithTTL(with)}, with},
		{"the last WithTTL", nil, []tiered.Option{tiered.WithTTL(ttl / 2), tiered.WithTTL(with)}, with},
	}
	writes := map[string]func(t *testing.T, r *tiered.Region[string], opts []tiered.Option) error{
		"load": func(t *testing.T, r *tiered.Region[string], opts []tiered.Option) error {
			_, _, err := read(t, r, "k", &source[string]{value: "v"}, opts...)
			return err
		},
		"ForceLoad": func(t *testing.T, r *tiered.Region[string], opts []tiered.Option) error {
			_, _, err := read(t, r, "k", &source[string]{value: "v"}, append(opts, tiered.ForceLoad())...)
			return err
		},
		"Set": func(t *testing.T, r *tiered.Region[string], opts []tiered.Option) error {
			return r.Set(t.Context(), "k", "v", opts...)
		},
	}
	for _, tt := range tests {
		for name, write := range writes {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				inBubble(t, func(t *testing.T, b *bubble) {
					r := region(t, b.node(t), tiered.Config[string]{Name: "items", TTL: ttl, Jitter: -1, TTLFor: tt.ttlFor})
					if err := write(t, r, tt.opts); err != nil {
						t.Fatal(err)
					}
					if tt.want == 0 {
						if keys := valueKeys(t, b.client(t)); len(keys) > 0 {
							t.Errorf("in Redis: %q, want nothing", keys)
						}
						if _, err := r.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) {
							t.Errorf("it is cached: %v", err)
						}
						return
					}
					if left := b.inRedis(t); left != tt.want {
						t.Errorf("it lives for %v in Redis, want %v", left, tt.want)
					}
					pass(time.Second)
					var info tiered.Info
					if _, err := r.Get(t.Context(), "k", tiered.WithInfo(&info)); err != nil || info.Source != tiered.SourceL1 {
						t.Fatalf("%v, from %v, want an L1 hit", err, info.Source)
					}
					if want := min(tt.want, ttl) - time.Second; info.Remaining != want { // L1TTL, which is TTL here, caps
						t.Errorf("%v remain in L1, want %v", info.Remaining, want)
					}
				})
			})
		}
	}
}

// TTLFor is asked with the key and the value.
func TestTTLForSeesKeyAndValue(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), tiered.Config[string]{
			Name: "items", Jitter: -1,
			TTLFor: func(key, v string) time.Duration { return time.Duration(len(key)+len(v)) * time.Hour },
		})
		wants(t, r, "1", &source[string]{value: "22"}, "22", tiered.SourceLoad)
		if left := b.inRedis(t); left != 3*time.Hour {
			t.Errorf("it lives for %v, want 3h", left)
		}
	})
}

// Set with a negative life is a Delete: everywhere, and nothing is stored.
func TestSetOfWhatIsNotToBeCachedDeletes(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		nodes := []*tiered.Node{b.node(t), b.node(t)}
		for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L1Only, tiered.L2Only} {
			rs := regions(t, nodes, tiered.Config[string]{
				Name: strings.ReplaceAll(mode.String(), " ", "-"), Mode: mode,
				TTLFor: func(_, v string) time.Duration {
					if v == "uncached" {
						return -1
					}
					return 0
				},
			})
			s := &source[string]{value: "v"}
			for _, r := range rs {
				read(t, r, "k", s)
			}
			if err := rs[0].Set(t.Context(), "k", "uncached"); err != nil {
				t.Fatal(err)
			}
			pass(time.Second) // the message arrives
			for i, r := range rs {
				if _, err := r.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) {
					t.Errorf("%v, instance %d: %v, want ErrNotFound", mode, i, err)
				}
			}
		}
	})
}

// "No such thing" is remembered for NegativeTTL.
func TestNegativeTTL(t *testing.T) {
	for _, ttl := range []time.Duration{0, time.Minute, 40 * time.Minute} {
		want := ttl
		if want == 0 {
			want = tiered.DefaultNegativeTTL
		}
		t.Run(fmt.Sprint(ttl), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				nodes := []*tiered.Node{b.node(t), b.node(t)}
				rs := regions(t, nodes, tiered.Config[string]{Name: "items", TTL: time.Hour, NegativeTTL: ttl, Jitter: -1})
				s := &source[string]{err: tiered.ErrNotFound}
				read(t, rs[0], "k", s)
				if left := b.inRedis(t); left != want {
					t.Errorf("it lives for %v in Redis, want %v", left, want)
				}
				pass(want - time.Second)
				for _, r := range rs {
					if _, _, err := read(t, r, "k", s); !errors.Is(err, tiered.ErrAbsent) {
						t.Errorf("got %v, want ErrAbsent", err)
					}
				}
				s.reads(t, 1)
				pass(time.Second + near)
				for _, r := range rs {
					if _, err := r.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) || errors.Is(err, tiered.ErrAbsent) {
						t.Errorf("got %v after the end of its life, want ErrNotFound and not ErrAbsent", err)
					}
				}
			})
		})
	}
}

// A life that nobody will see the end of is no mistake.
func TestEndlessLife(t *testing.T) {
	for _, ttl := range []time.Duration{math.MaxInt64, 200 * 365 * 24 * time.Hour} {
		t.Run(ttl.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				nodes := []*tiered.Node{b.node(t), b.node(t)}
				rs := regions(t, nodes, tiered.Config[string]{Name: "items", TTL: ttl, NegativeTTL: ttl, Jitter: -1})
				s, missing := &source[string]{value: "v"}, &source[string]{err: tiered.ErrNotFound}
				wants(t, rs[0], "k", s, "v", tiered.SourceLoad)
				wants(t, rs[1], "k", s, "v", tiered.SourceL2)
				read(t, rs[0], "none", missing)
				read(t, rs[1], "none", missing)
				if err := rs[0].Set(t.Context(), "set", "v", tiered.WithTTL(ttl)); err != nil {
					t.Fatal(err)
				}
				pass(time.Hour)
				for _, r := range rs {
					wants(t, r, "k", s, "v", tiered.SourceL1)
					if _, info, err := read(t, r, "none", missing); !errors.Is(err, tiered.ErrAbsent) || info.Source != tiered.SourceL1 {
						t.Errorf("%v from %v, want ErrAbsent from L1", err, info.Source)
					}
				}
				wants(t, rs[1], "set", s, "v", tiered.SourceL2)
				s.reads(t, 1)
				missing.reads(t, 1)
			})
		})
	}
}

// The lives of a node without Redis.
func TestLivesInMemory(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *bubble) {
		n := local(t)
		for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L1Only} {
			r := region(t, n, tiered.Config[string]{Name: mode.String(), Mode: mode, TTL: time.Hour, L1TTL: time.Minute, NegativeTTL: time.Second, Jitter: -1})
			s, missing := &source[string]{value: "v"}, &source[string]{err: tiered.ErrNotFound}
			wants(t, r, "k", s, "v", tiered.SourceLoad)
			read(t, r, "none", missing)
			pass(time.Second - 1)
			read(t, r, "none", missing)
			missing.reads(t, 1)
			pass(1)
			read(t, r, "none", missing)
			missing.reads(t, 1)
			pass(59*time.Second - 1)
			wants(t, r, "k", s, "v", tiered.SourceL1)
			pass(1)
			wants(t, r, "k", s, "v", tiered.SourceLoad)
		}
	})
}

// Where L1 is the only tier, a value lives for as long as the call or the value says,
// longer than TTL too: nothing would find it again. An L1TTL that is set caps it.
func TestLongerLivesInMemoryAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		const ttl, longer = time.Hour, 5 * time.Hour
		for name, n := range map[string]*tiered.Node{"L1Only": b.node(t), "Local": local(t)} {
			cfg := tiered.Config[string]{Name: "with", Mode: tiered.L1Only, TTL: ttl, Jitter: -1}
			with := region(t, n, cfg)
			cfg.Name, cfg.TTLFor = "from", func(string, string) time.Duration { return longer }
			from := region(t, n, cfg)
			cfg.Name, cfg.L1TTL = "capped", ttl
			capped := region(t, n, cfg)
			s := &source[string]{value: "v"}
			for _, r := range []*tiered.Region[string]{from, capped} {
				wants(t, r, "k", s, "v", tiered.SourceLoad)
			}
			wants(t, with, "k", s, "v", tiered.SourceLoad, tiered.WithTTL(longer))
			if err := with.Set(t.Context(), "set", "v", tiered.WithTTL(longer)); err != nil {
				t.Fatal(err)
			}
			pass(ttl + near)
			for _, key := range []string{"k", "set"} {
				if info := wants(t, with, key, s, "v", tiered.SourceL1); info.Remaining != longer-ttl-near {
					t.Errorf("%s: %v remain with WithTTL", name, info.Remaining)
				}
			}
			wants(t, from, "k", s, "v", tiered.SourceL1)
			if _, err := capped.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) {
				t.Errorf("%s: L1TTL does not cap: %v", name, err)
			}
			pass(longer - ttl)
			for _, r := range []*tiered.Region[string]{with, from} {
				if _, err := r.Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) {
					t.Errorf("%s: a life does not end: %v", name, err)
				}
			}
		}
	})
}
