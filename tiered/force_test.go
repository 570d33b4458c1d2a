package tiered_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// A forced load replaces what other instances hold, also where Redis has lost
// the value (evicted it, say) so that there is nothing to be replaced in it.
func TestForceLoadReachesCopiesThatRedisDoesNotHave(t *testing.T) {
	for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L1Only} {
		t.Run(mode.String(), func(t *testing.T) {
			b := redistest.Mini(t)
			rs := regions(t, instances(t, b, 2), tiered.Config[string]{Name: "items", Mode: mode})
			old, renewed := &source[string]{value: "old"}, &source[string]{value: "new"}
			for _, r := range rs {
				eventually(t, "an L1 hit", func() bool {
					_, info, err := read(t, r, "k", old)
					return err == nil && info.Source == tiered.SourceL1
				})
			}
			for _, key := range b.Miniredis.Keys() {
				if len(key) > 8 && key[len(key)-8:] == ":items:k" {
					b.Miniredis.Del(key)
				}
			}
			if v, _, err := read(t, rs[0], "k", renewed, tiered.ForceLoad()); v != "new" || err != nil {
				t.Fatalf("forced load: %q, %v", v, err)
			}
			eventually(t, "the other instance reads the new value", func() bool {
				v, _, err := read(t, rs[1], "k", renewed)
				return err == nil && v == "new"
			})
		})
	}
}

// replacer replaces a value whenever this instance asks for its lease.
type replacer struct {
	asked atomic.Int64
	set   func(n int64)
}

func (r *replacer) Observe(ctx context.Context, op tiered.Operation) (context.Context, func(error)) {
	if op.Kind == tiered.OpL2Lease {
		r.set(r.asked.Add(1))
	}
	return ctx, nil
}

// A forced load of a key that others never stop replacing takes its time, and no
// more: then it loads without a lease.
func TestForceLoadAgainstAWriterThatNeverStops(t *testing.T) {
	one := func(t *testing.T, r *tiered.Region[string], s *source[string]) (string, error) {
		v, _, err := read(t, r, "k", s, tiered.ForceLoad())
		return v, err
	}
	many := func(t *testing.T, r *tiered.Region[string], s *source[string]) (string, error) {
		got, err := r.GetOrLoadMany(t.Context(), []string{"k", "l"}, func(ctx context.Context, keys []string) (map[string]string, error) {
			values := make(map[string]string, len(keys))
			for _, key := range keys {
				v, err := s.load(ctx, key)
				if err != nil {
					return nil, err
				}
				values[key] = v
			}
			return values, nil
		}, tiered.ForceLoad())
		return got["k"], err
	}
	t.Run("one key", func(t *testing.T) { forceAgainstWriter(t, one) })
	t.Run("several keys", func(t *testing.T) { forceAgainstWriter(t, many) })
}

func forceAgainstWriter(t *testing.T, force func(*testing.T, *tiered.Region[string], *source[string]) (string, error)) {
	t.Helper()
	inBubble(t, func(t *testing.T, b *bubble) {
		cfg := tiered.Config[string]{Name: "items", LoadTimeout: time.Second, Jitter: -1}
		var obs replacer
		n := b.node(t, func(o *tiered.Options) { o.Observer = &obs })
		r, other := region(t, n, cfg), region(t, b.node(t), cfg)
		obs.set = func(i int64) {
			if i > 1000 {
				return // it is lost
			}
			if err := other.Set(context.Background(), "k", fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		}
		obs.set(0)
		s := &source[string]{value: "loaded"}
		began := time.Now()
		if v, err := force(t, r, s); v != "loaded" || err != nil {
			t.Errorf("got %q, %v", v, err)
		}
		// It loads again, because something newer was heard, some times.
		if took := time.Since(began); took < cfg.LoadTimeout || took > 5*cfg.LoadTimeout {
			t.Errorf("took %v, want LoadTimeout, some times", took)
		}
		if got := obs.asked.Load(); got > 200 {
			t.Errorf("asked for the lease %d times", got)
		}
	})
}
