package tiered_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// box is a value that can be told from its copies.
type box struct{ N int }

func (b *box) copied() *box { c := *b; return &c }

// owners are those who were given a box, or have given one: each spoils it, and
// nobody may have been given it before, or find it spoilt.
type owners struct {
	mu sync.Mutex
	of map[*box]string
}

func (o *owners) add(t *testing.T, who string, boxes map[string]*box, err error) {
	t.Helper()
	if err != nil || len(boxes) == 0 {
		t.Errorf("%s: %d values, %v", who, len(boxes), err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, b := range boxes {
		name := who + " of " + key
		if other, shared := o.of[b]; shared {
			t.Errorf("%s shares its value with %s", name, other)
		}
		if b.N != 7 {
			t.Errorf("%s sees what another has done to its value", name)
		}
		b.N = -1
		o.of[b] = name
	}
}

// With Clone, calls for several keys share nothing either: neither with each other
// nor with calls for one key, whoever loads, waits, hits, sets or is served a stale
// value.
func TestCloneOfManyKeys(t *testing.T) {
	inEachMode(t, func(t *testing.T, n *tiered.Node, mode tiered.Mode) {
		ctx := t.Context()
		r := region(t, n, tiered.Config[*box]{
			Name: "items", Mode: mode, Clone: (*box).copied, TTL: time.Minute, StaleFor: time.Hour, Jitter: -1,
		})
		all := owners{of: make(map[*box]string)}
		keys := []string{"a", "b", "c"}
		boxes := func() map[string]*box { return map[string]*box{"a": {7}, "b": {7}, "c": {7}} }

		given := boxes()
		got, err := r.GetOrLoadMany(ctx, keys, func(context.Context, []string) (map[string]*box, error) { return given, nil })
		all.add(t, "the call that loads", got, err)
		all.add(t, "the load", given, nil)
		hits := func(when string) {
			t.Helper()
			for range 2 {
				got, err = r.GetMany(ctx, keys)
				all.add(t, when+", GetMany", got, err)
				got, err = r.GetOrLoadMany(ctx, keys, nothingMany)
				all.add(t, when+", GetOrLoadMany", got, err)
				v, err := r.Get(ctx, "a")
				all.add(t, when+", Get", map[string]*box{"a": v}, err)
			}
		}
		hits("after a load")
		given = boxes()
		all.add(t, "SetMany", given, r.SetMany(ctx, copies(given)))
		given = boxes()
		err = r.SetMany(ctx, given)
		all.add(t, "the caller of SetMany", given, err)
		hits("after SetMany")

		release := make(chan struct{})
		var wg sync.WaitGroup
		if err := r.Delete(ctx, keys...); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			wg.Go(func() {
				got, err := r.GetOrLoadMany(ctx, keys, func(context.Context, []string) (map[string]*box, error) {
					<-release
					return boxes(), nil
				})
				all.add(t, fmt.Sprint("waiter ", i), got, err)
			})
			wg.Go(func() {
				v, err := r.GetOrLoad(ctx, "a", func(context.Context, string) (*box, error) {
					<-release
					return &box{7}, nil
				})
				all.add(t, fmt.Sprint("waiter for one key ", i), map[string]*box{"a": v}, err)
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		hits("after waiting")

		pass(2 * time.Minute)
		for range 2 {
			got, err = r.GetOrLoadMany(ctx, keys, func(context.Context, []string) (map[string]*box, error) { return nil, errDown })
			all.add(t, "stale", got, err)
			v, err := r.GetOrLoad(ctx, "a", func(context.Context, string) (*box, error) { return nil, errDown })
			all.add(t, "stale, one key", map[string]*box{"a": v}, err)
		}
	})
}

func nothingMany(context.Context, []string) (map[string]*box, error) { return nil, nil }

func copies(of map[string]*box) map[string]*box {
	out := make(map[string]*box)
	for k, b := range of {
		out[k] = b.copied()
	}
	return out
}
