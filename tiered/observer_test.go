package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// observer notes what it is told, and marks the contexts.
type observer struct {
	mu     sync.Mutex
	began  []tiered.Operation
	ended  []string
	silent bool // return no function
}

type operationKey struct{}

func (o *observer) Observe(ctx context.Context, op tiered.Operation) (context.Context, func(error)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.began = append(o.began, op)
	if o.silent {
		return ctx, nil
	}
	return context.WithValue(ctx, operationKey{}, op.Kind), func(err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		line := fmt.Sprintf("%s %s:%s", op.Kind, op.Region, op.Key)
		if err != nil {
			line += " " + err.Error()
		}
		o.ended = append(o.ended, line)
	}
}

// told is what has ended since the last time that it was asked for.
func (o *observer) told(t *testing.T) []string {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.began) != len(o.ended) {
		t.Errorf("%d operations began, %d have ended", len(o.began), len(o.ended))
	}
	ended := o.ended
	o.began, o.ended = nil, nil
	return ended
}

func (b *bubble) observed(t *testing.T) (*tiered.Node, *observer) {
	t.Helper()
	o := new(observer)
	return b.node(t, func(opts *tiered.Options) { opts.Observer = o }), o
}

// The observer is told of each call to Redis and each load, with region, key
// and error, and of nothing else.
func TestObserverIsToldOfCallsAndLoads(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		n, o := b.observed(t)
		r := region(t, n, tiered.Config[int]{Name: "items"})
		l1Only := region(t, n, tiered.Config[int]{Name: "l1", Mode: tiered.L1Only})
		region(t, n, tiered.Config[int]{Name: "others"})
		errBroken := errors.New("broken")
		s, broken, missing := &source[int]{value: 7}, &source[int]{err: errBroken}, &source[int]{err: tiered.ErrNotFound}
		nothing := func(context.Context) error { return nil }
		load := func(r *tiered.Region[int], key string, s *source[int], opts ...tiered.Option) func() {
			return func() { _, _ = r.GetOrLoad(t.Context(), key, s.load, opts...) }
		}
		steps := []struct {
			name string
			do   func()
			want []string
		}{
			{"Get", func() { _, _ = r.Get(t.Context(), "k") }, []string{"l2.get items:k"}},
			{"a load", load(r, "k", s), []string{"l2.get items:k", "l2.lease items:k", "load items:k", "l2.fill items:k"}},
			{"an L1 hit", load(r, "k", s), nil},
			{"an L1 hit with options", load(r, "k", s, tiered.WithInfo(new(tiered.Info))), nil},
			{"an L2 hit", load(r, "k", s, tiered.BypassL1()), []string{"l2.get items:k"}},
			{"a failed load", load(r, "f", broken), []string{"l2.get items:f", "l2.lease items:f", "load items:f broken"}},
			{"an absence", load(r, "n", missing), []string{
				"l2.get items:n", "l2.lease items:n", "load items:n doppio: not found: known to be absent: doppio: not found", "l2.fill items:n",
			}},
			{"a load in L1 only", load(l1Only, "k", s), []string{"load l1:k"}},
			{"Set", func() { _ = r.Set(t.Context(), "s", 1) }, []string{"l2.set items:s", "l2.fill items:s"}},
			{"Delete of one key", func() { _ = r.Delete(t.Context(), "k") }, []string{"l2.invalidate items:k"}},
			{"Delete of several keys", func() { _ = r.Delete(t.Context(), "k", "l") }, []string{"l2.invalidate items:"}},
			{"Mutate", func() { _ = r.Mutate(t.Context(), []string{"k"}, nothing) }, []string{"l2.invalidate items:k", "l2.invalidate items:k"}},
			{"Delete in several regions", func() { _ = n.Delete(t.Context(), n.Ref("items", "k"), n.Ref("others", "k")) }, []string{"l2.invalidate :"}},
			{"Delete of one ref", func() { _ = n.Delete(t.Context(), n.Ref("others", "k")) }, []string{"l2.invalidate others:k"}},
			{"Delete of nothing", func() { _ = n.Delete(t.Context()) }, nil},
			{"an invalid key", func() { _, _ = r.Get(t.Context(), "") }, nil},
		}
		for _, step := range steps {
			step.do()
			synctest.Wait()
			if got := o.told(t); !slices.Equal(got, step.want) {
				t.Errorf("%s: told of\n%q, want\n%q", step.name, got, step.want)
			}
		}
	})
}

// The observer is told how many keys an operation concerns, and how many of those
// that are loaded are loaded under their leases.
func TestObserverIsToldOfNumbers(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		n, o := b.observed(t)
		r := region(t, n, tiered.Config[int]{Name: "items"})
		l1Only := region(t, n, tiered.Config[int]{Name: "l1", Mode: tiered.L1Only})
		load := func(context.Context, string) (int, error) { return 7, nil }
		loadMany := func(_ context.Context, keys []string) (map[string]int, error) {
			values := make(map[string]int, len(keys))
			for _, key := range keys {
				values[key] = 7
			}
			return values, nil
		}
		// Nobody has the lease of a key while it is being mutated.
		during := func(key string, do func()) {
			if err := r.Mutate(t.Context(), []string{key}, func(context.Context) error { do(); return nil }); err != nil {
				t.Error(err)
			}
		}
		one := func(r *tiered.Region[int], key string) { _, _ = r.GetOrLoad(t.Context(), key, load) }
		many := func(keys ...string) { _, _ = r.GetOrLoadMany(t.Context(), keys, loadMany) }
		steps := []struct {
			name string
			do   func()
			of   tiered.OperationKind
			want tiered.Operation
		}{
			{"a load", func() { one(r, "a") }, tiered.OpLoad, tiered.Operation{Region: "items", Key: "a", Keys: 1, Leased: 1}},
			{"a load in L1 only", func() { one(l1Only, "a") }, tiered.OpLoad, tiered.Operation{Region: "l1", Key: "a", Keys: 1}},
			{"a load during a Mutate", func() { during("b", func() { one(r, "b") }) }, tiered.OpLoad, tiered.Operation{Region: "items", Key: "b", Keys: 1}},
			{"a batch", func() { many("c", "d", "e") }, tiered.OpLoad, tiered.Operation{Region: "items", Keys: 3, Leased: 3}},
			{"a batch, one in a Mutate", func() { during("f", func() { many("f", "g", "h") }) }, tiered.OpLoad, tiered.Operation{Region: "items", Keys: 3, Leased: 2}},
			{"a batch of one", func() { many("i") }, tiered.OpLoad, tiered.Operation{Region: "items", Key: "i", Keys: 1, Leased: 1}},
			{"the look of a batch", func() { many("j", "k") }, tiered.OpL2Get, tiered.Operation{Region: "items", Keys: 2}},
			{"the leases of a batch", func() { many("l", "m") }, tiered.OpL2Lease, tiered.Operation{Region: "items", Keys: 2}},
			{"the fill of a batch", func() { many("n", "o") }, tiered.OpL2Fill, tiered.Operation{Region: "items", Keys: 2}},
			{"SetMany", func() { _ = r.SetMany(t.Context(), map[string]int{"p": 1, "q": 2}) }, tiered.OpL2Set, tiered.Operation{Region: "items", Keys: 2}},
			{"Delete", func() { _ = r.Delete(t.Context(), "r", "s") }, tiered.OpL2Invalidate, tiered.Operation{Region: "items", Keys: 2}},
			{"InvalidateTags", func() { _ = n.InvalidateTags(t.Context(), "t", "u") }, tiered.OpL2Invalidate, tiered.Operation{Keys: 2}},
			{"Clear", func() { _ = r.Clear(t.Context()) }, tiered.OpL2Invalidate, tiered.Operation{Region: "items"}},
		}
		for _, step := range steps {
			step.do()
			synctest.Wait()
			var got []tiered.Operation
			for _, op := range o.began {
				if op.Kind == step.of {
					got = append(got, op)
				}
			}
			o.told(t)
			if step.want.Kind = step.of; !slices.Equal(got, []tiered.Operation{step.want}) {
				t.Errorf("%s: told of\n%+v, want\n%+v", step.name, got, step.want)
			}
		}
	})
}

// The context that the observer returns is what the load runs under: a span
// begun there is the parent of those that the load begins.
func TestObserversContextReachesTheLoad(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		n, _ := b.observed(t)
		for _, mode := range modes {
			r := region(t, n, tiered.Config[int]{Name: mode.String(), Mode: mode})
			ctx := context.WithValue(t.Context(), contextKey{}, "trace 42")
			_, err := r.GetOrLoad(ctx, "k", func(ctx context.Context, _ string) (int, error) {
				if got := ctx.Value(operationKey{}); got != tiered.OpLoad {
					t.Errorf("%v: the load sees operation %v, want its own", mode, got)
				}
				if got := ctx.Value(contextKey{}); got != "trace 42" {
					t.Errorf("%v: the load sees %v, want the caller's value", mode, got)
				}
				return 7, nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
}

// An observer need not want to know of the end.
func TestObserverWithoutAnEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		n, o := b.observed(t)
		o.silent = true
		r := region(t, n, tiered.Config[int]{Name: "items"})
		wants(t, r, "k", &source[int]{value: 7}, 7, tiered.SourceLoad)
		if err := r.Set(t.Context(), "k", 8); err != nil {
			t.Error(err)
		}
		if err := r.Delete(t.Context(), "k"); err != nil {
			t.Error(err)
		}
		if len(o.began) != 4+2+1 {
			t.Errorf("told of %v", o.began)
		}
	})
}

// What fails is told with its error.
func TestObserverIsToldOfErrors(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		n, o := b.observed(t)
		r := region(t, n, tiered.Config[int]{Name: "items"})
		b.redis.SetError("ERR out of order")
		defer b.redis.SetError("")
		read(t, r, "k", &source[int]{value: 7})
		_ = r.Set(t.Context(), "k", 8)
		_ = r.Delete(t.Context(), "k")
		ended := o.told(t)
		for _, line := range ended {
			if failed := strings.HasSuffix(line, "out of order"); failed == strings.HasPrefix(line, "load ") {
				t.Errorf("told of %q", line)
			}
		}
		if len(ended) != 4 { // read, load; begin of Set; invalidation
			t.Errorf("told of %q", ended)
		}
	})
}

// clumsy is an observer that panics, before or after the operations of a kind.
type clumsy struct {
	kind  tiered.OperationKind
	after bool
}

func (c clumsy) Observe(ctx context.Context, op tiered.Operation) (context.Context, func(error)) {
	switch {
	case op.Kind != c.kind:
		return ctx, nil
	case c.after:
		return ctx, func(error) { panic("clumsy") }
	default:
		panic("clumsy")
	}
}

// A panic of the observer is logged once, and is nobody's answer: neither a call's
// nor the process's end.
func TestObserverThatPanics(t *testing.T) {
	kinds := []tiered.OperationKind{
		tiered.OpL2Get, tiered.OpL2Lease, tiered.OpL2Tags, tiered.OpLoad, tiered.OpL2Fill, tiered.OpL2Set, tiered.OpL2Invalidate,
	}
	for _, kind := range kinds {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/after=%v", kind, after), func(t *testing.T) {
				b := redistest.Mini(t)
				var log logs
				n := instances(t, b, 1, func(o *tiered.Options) { o.Observer, o.Logger = clumsy{kind, after}, log.logger() })[0]
				cfg := tiered.Config[string]{Name: "items", Jitter: -1, Tags: func(key string, _ string) []string { return []string{"of " + key} }}
				other, r := region(t, instances(t, b, 1)[0], cfg), region(t, n, cfg)
				tb := newTable("a", "b", "c", "d")
				if err := other.SetMany(t.Context(), map[string]string{"c": "vc", "d": "vd"}); err != nil {
					t.Fatal(err)
				}
				got, err := r.GetOrLoadMany(t.Context(), []string{"a", "b", "c", "d"}, tb.load)
				wantMany(t, got, err, "a", "b", "c", "d")
				got, err = r.GetOrLoadMany(t.Context(), []string{"a", "b"}, tb.load, tiered.ForceLoad())
				wantMany(t, got, err, "a", "b")
				wants(t, r, "e", &source[string]{value: "ve"}, "ve", tiered.SourceLoad)
				if err := errors.Join(
					r.Set(t.Context(), "f", "vf"), r.SetMany(t.Context(), map[string]string{"g": "vg", "h": "vh"}), r.Delete(t.Context(), "a", "b"),
				); err != nil {
					t.Error(err)
				}
				got, err = other.GetMany(t.Context(), []string{"a", "b", "c", "d", "e", "f", "g", "h"}, tiered.BypassL1())
				wantMany(t, got, err, "c", "d", "e", "f", "g", "h")
				if leases := b.Client(t).Keys(t.Context(), "test:{*}:l:*").Val(); len(leases) != 0 {
					t.Errorf("leases are left: %q", leases)
				}
				if said := log.lines("the Observer panicked", "clumsy"); len(said) != 1 && kind != tiered.OpL2Tags {
					t.Errorf("said %d times: %q", len(said), said)
				}
			})
		}
	}
}
