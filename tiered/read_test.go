package tiered_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/codec"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// Which tier answers, by mode: the first instance loads, then reads again; the
// second one comes after.
func TestWhoAnswersByMode(t *testing.T) {
	const L1, L2, load = tiered.SourceL1, tiered.SourceL2, tiered.SourceLoad
	tests := []struct {
		mode          tiered.Mode
		first, second []tiered.Source
		loads         int64
		inRedis       int
		inL1          bool
	}{
		{tiered.BothTiers, []tiered.Source{load, L1}, []tiered.Source{L2, L1}, 1, 1, true},
		{tiered.L1Only, []tiered.Source{load, L1}, []tiered.Source{load, L1}, 2, 0, true},
		{tiered.L2Only, []tiered.Source{load, L2, L2}, []tiered.Source{L2, L2}, 1, 1, false},
	}
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		nodes := instances(t, b, 2)
		for _, tt := range tests {
			t.Run(tt.mode.String(), func(t *testing.T) {
				rs := regions(t, nodes, tiered.Config[string]{Name: tt.mode.String(), Mode: tt.mode})
				s := &source[string]{value: "v"}
				for i, want := range [][]tiered.Source{tt.first, tt.second} {
					for _, from := range want {
						if from == L1 {
							settles(t, rs[i], "k")
						}
						wants(t, rs[i], "k", s, "v", from)
					}
				}
				s.reads(t, tt.loads)
				inRedis := 0
				for _, name := range valueKeys(t, b.Client(t)) {
					if strings.HasSuffix(name, ":v:"+tt.mode.String()+":k") {
						inRedis++
					}
				}
				if inRedis != tt.inRedis {
					t.Errorf("%d values in Redis, want %d", inRedis, tt.inRedis)
				}
				for i, r := range rs {
					if hits := r.Stats().L1Hits; (hits > 0) != tt.inL1 {
						t.Errorf("instance %d: %d L1 hits, want some: %v", i, hits, tt.inL1)
					}
				}
			})
		}
	})
}

func TestLocalNodeAnswersFromMemory(t *testing.T) {
	r := region(t, local(t), tiered.Config[string]{Name: "items"})
	s := &source[string]{value: "v"}
	wants(t, r, "k", s, "v", tiered.SourceLoad)
	wants(t, r, "k", s, "v", tiered.SourceL1)
	s.reads(t, 1)
	if err := r.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	wants(t, r, "k", s, "v", tiered.SourceLoad)
	if err := r.Set(t.Context(), "k", "w"); err != nil {
		t.Fatal(err)
	}
	wants(t, r, "k", s, "w", tiered.SourceL1)
}

// Get asks the tiers and nobody else.
func TestGetNeverLoads(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		rs := regions(t, instances(t, b, 2), tiered.Config[string]{Name: "items"})
		for i, r := range rs {
			var info tiered.Info
			_, err := r.Get(t.Context(), "k", tiered.WithInfo(&info))
			if !errors.Is(err, tiered.ErrNotFound) || errors.Is(err, tiered.ErrAbsent) {
				t.Errorf("instance %d: got %v of an empty cache, want ErrNotFound and not ErrAbsent", i, err)
			}
			if info.Source == tiered.SourceL1 || info.Source == tiered.SourceL2 {
				t.Errorf("instance %d: nothing came from %v", i, info.Source)
			}
		}
		wants(t, rs[0], "k", &source[string]{value: "v"}, "v", tiered.SourceLoad)
		for i, r := range rs {
			if v, err := r.Get(t.Context(), "k"); v != "v" || err != nil {
				t.Errorf("instance %d: got %q, %v", i, v, err)
			}
			settles(t, r, "k")
		}
	})
}

// A value that is too large for L1 is answered by L2, again and again.
func TestLargeValuesLiveInL2(t *testing.T) {
	compressed := codec.Compress(codec.MsgPack, codec.WithThreshold(0))
	tests := []struct {
		name string
		cfg  tiered.Config[string]
		len  int
		inL1 bool
	}{
		{"encoding at the limit", tiered.Config[string]{MaxL1Bytes: 1003}, 1000, true}, // msgpack adds 3 bytes
		{"encoding above it", tiered.Config[string]{MaxL1Bytes: 1002}, 1000, false},
		{"above the default of a 64th", tiered.Config[string]{}, 1 << 20, false},
		{"compressed, its size without at the limit", tiered.Config[string]{MaxL1Bytes: 1003, Codec: compressed}, 1000, true},
		{"compressed, its size without above it", tiered.Config[string]{MaxL1Bytes: 1002, Codec: compressed}, 1000, false},
		{"Size at the limit", tiered.Config[string]{MaxL1Bytes: 1000, Size: func(string) int64 { return 1000 }}, 10, true},
		{"Size above it", tiered.Config[string]{MaxL1Bytes: 1000, Size: func(string) int64 { return 1001 }}, 10, false},
		{"Size says less than the encoding", tiered.Config[string]{MaxL1Bytes: 100, Size: func(string) int64 { return 1 }}, 1000, true},
		{"negative Size", tiered.Config[string]{MaxL1Bytes: 100, Size: func(string) int64 { return -1 << 62 }}, 1000, true},
	}
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		nodes := instances(t, b, 2)
		for i, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				tt.cfg.Name = fmt.Sprintf("region%d", i)
				rs := regions(t, nodes, tt.cfg)
				s := &source[string]{value: strings.Repeat("x", tt.len)}
				wants(t, rs[0], "k", s, s.value, tiered.SourceLoad)
				for _, r := range rs {
					if tt.inL1 {
						settles(t, r, "k")
						continue
					}
					for range 3 {
						if info := wants(t, r, "k", s, s.value, tiered.SourceL2); info.Remaining <= 0 {
							t.Errorf("%v remain of a value that is in Redis", info.Remaining)
						}
					}
				}
				s.reads(t, 1)
			})
		}
	})
}

// BypassL1 is answered by Redis or by a load, though L1 has the value.
func TestBypassL1(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		r := regions(t, instances(t, b, 1), tiered.Config[string]{Name: "items"})[0]
		s := &source[string]{value: "v"}
		wants(t, r, "k", s, "v", tiered.SourceLoad, tiered.BypassL1())
		settles(t, r, "k")
		wants(t, r, "k", s, "v", tiered.SourceL2, tiered.BypassL1())
		var info tiered.Info
		if v, err := r.Get(t.Context(), "k", tiered.BypassL1(), tiered.WithInfo(&info)); v != "v" || err != nil || info.Source != tiered.SourceL2 {
			t.Errorf("Get: %q, %v, from %v", v, err, info.Source)
		}
		s.reads(t, 1)
		for _, key := range valueKeys(t, b.Client(t)) {
			if err := b.Client(t).Del(t.Context(), key).Err(); err != nil {
				t.Fatal(err)
			}
		}
		wants(t, r, "k", s, "v", tiered.SourceL1)
		if _, err := r.Get(t.Context(), "k", tiered.BypassL1()); !errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("Get past L1 of what Redis has lost: %v, want ErrNotFound", err)
		}
		wants(t, r, "k", s, "v", tiered.SourceLoad, tiered.BypassL1())
	})
}

// ForceLoad loads though the value is cached, and replaces it everywhere.
func TestForceLoadReplacesTheValueEverywhere(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		rs := regions(t, instances(t, b, 2), tiered.Config[string]{Name: "items"})
		old, fresh := &source[string]{value: "old"}, &source[string]{value: "new"}
		wants(t, rs[0], "k", old, "old", tiered.SourceLoad)
		for _, r := range rs {
			settles(t, r, "k")
		}
		wants(t, rs[0], "k", fresh, "new", tiered.SourceLoad, tiered.ForceLoad())
		wants(t, rs[0], "k", fresh, "new", tiered.SourceLoad, tiered.ForceLoad(), tiered.BypassL1())
		fresh.reads(t, 2)
		for i, r := range rs {
			eventually(t, fmt.Sprintf("instance %d reads the new value", i), func() bool {
				v, _, err := read(t, r, "k", old)
				return v == "new" && err == nil
			})
		}
		old.reads(t, 1)
	})
}

// ForceLoad without a shared tier replaces this instance's copy.
func TestForceLoadInMemory(t *testing.T) {
	r := region(t, local(t), tiered.Config[string]{Name: "items"})
	wants(t, r, "k", &source[string]{value: "old"}, "old", tiered.SourceLoad)
	wants(t, r, "k", &source[string]{value: "new"}, "new", tiered.SourceLoad, tiered.ForceLoad())
	eventually(t, "the new value is read", func() bool {
		v, err := r.Get(t.Context(), "k")
		return v == "new" && err == nil
	})
}

// What a ForceLoad finds out replaces what was cached also if it cannot be
// cached itself. An error of the load says nothing, and changes nothing.
func TestForceLoadOfWhatCannotBeCached(t *testing.T) {
	errBroken := errors.New("broken")
	tests := []struct {
		name string
		s    *source[string]
		want error // of the ForceLoad
		then string
	}{
		{"a value with a negative TTLFor", &source[string]{value: "uncached"}, nil, ""},
		{"no such thing, not remembered", &source[string]{err: tiered.ErrNotFound}, tiered.ErrAbsent, ""},
		{"an error", &source[string]{err: errBroken}, errBroken, "old"},
	}
	for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L1Only, tiered.L2Only} {
		for _, tt := range tests {
			t.Run(mode.String()+"/"+tt.name, func(t *testing.T) {
				b := redistest.Mini(t)
				rs := regions(t, instances(t, b, 1), tiered.Config[string]{
					Name: "items", Mode: mode, NegativeTTL: -1,
					TTLFor: func(_, v string) (life time.Duration) {
						if v == "uncached" {
							return -1
						}
						return 0
					},
				})
				if err := rs[0].Set(t.Context(), "k", "old"); err != nil {
					t.Fatal(err)
				}
				if _, _, err := read(t, rs[0], "k", tt.s, tiered.ForceLoad()); !errors.Is(err, tt.want) {
					t.Fatalf("ForceLoad: %v, want %v", err, tt.want)
				}
				v, err := rs[0].Get(t.Context(), "k")
				if v != tt.then || (tt.then == "") != errors.Is(err, tiered.ErrNotFound) {
					t.Errorf("Get after it: %q, %v; want %q", v, err, tt.then)
				}
			})
		}
	}
}
