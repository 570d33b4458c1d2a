package limits_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/doppio-cache/doppio/codec"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// reads reads a key and fails the test unless the value and where it came from
// are as wanted.
func reads[V any](t *testing.T, r *tiered.Region[V], key string, load func(context.Context, string) (V, error), want V, from tiered.Source) {
	t.Helper()
	var info tiered.Info
	got, err := r.GetOrLoad(t.Context(), key, load, tiered.WithInfo(&info))
	if err != nil || info.Source != from || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %.40q from %s, %v; want %.40q from %s", key, fmt.Sprintf("%#v", got), info.Source, err, fmt.Sprintf("%#v", want), from)
	}
}

// settles waits until the key is answered by L1: admission takes a moment.
func settles[V any](t *testing.T, r *tiered.Region[V], key string) {
	t.Helper()
	eventually(t, "an L1 hit of "+key, func() bool {
		var info tiered.Info
		_, err := r.Get(t.Context(), key, tiered.WithInfo(&info))
		return err == nil && info.Source == tiered.SourceL1
	})
}

func none[V any](context.Context, string) (v V, err error) {
	return v, errors.New("the origin was asked for what is cached")
}

// A value of MaxL1Bytes is kept in L1, one of a byte more in Redis only.
func TestValuesAroundMaxL1Bytes(t *testing.T) {
	const most = 1000
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		n := open(t, tiered.Options{Redis: b.Client(t), L1MaxBytes: 1 << 20})
		r := region(t, n, tiered.Config[string]{Name: "items", Codec: codec.Raw, MaxL1Bytes: most})
		for size, kept := range map[int]bool{0: true, 1: true, most - 1: true, most: true, most + 1: false, 2 * most: false} {
			key, value := fmt.Sprint(size), strings.Repeat("v", size)
			reads(t, r, key, func(context.Context, string) (string, error) { return value, nil }, value, tiered.SourceLoad)
			from := tiered.SourceL2
			if kept {
				settles(t, r, key)
				from = tiered.SourceL1
			}
			reads(t, r, key, none, value, from)
			if err := r.Set(t.Context(), key, value); err != nil {
				t.Errorf("Set of %d bytes: %v", size, err)
			}
			if kept {
				settles(t, r, key)
			}
			reads(t, r, key, none, value, from)
		}
	})
}

// A value that L1 may keep by its own size, but that has no room there with what
// keeping it takes, is served from Redis, and without Redis from the origin.
func TestValueAsLargeAsL1(t *testing.T) {
	const all = 64 << 10
	value := strings.Repeat("v", all)
	load := func(context.Context, string) (string, error) { return value, nil }
	cfg := tiered.Config[string]{Name: "items", Codec: codec.Raw, MaxL1Bytes: all}
	r := region(t, open(t, tiered.Options{Redis: redistest.Mini(t).Client(t), L1MaxBytes: all}), cfg)
	reads(t, r, "k", load, value, tiered.SourceLoad)
	reads(t, r, "k", none, value, tiered.SourceL2)

	local := region(t, open(t, tiered.Options{Local: true, L1MaxBytes: all}), cfg)
	reads(t, local, "k", load, value, tiered.SourceLoad)
	reads(t, local, "k", load, value, tiered.SourceLoad)
	if err := local.Set(t.Context(), "k", value); err != nil {
		t.Error(err)
	}
}

// Values of 8 to 64 MiB go through Redis like any other, and nothing of them is
// left when they are deleted.
func TestLargeValues(t *testing.T) {
	b := redistest.Real(t)
	a := region(t, open(t, tiered.Options{Redis: b.Client(t), L1MaxBytes: 1 << 20}), tiered.Config[[]byte]{Name: "items", Codec: codec.Raw})
	z := region(t, open(t, tiered.Options{Redis: b.Client(t), L1MaxBytes: 1 << 20}), tiered.Config[[]byte]{Name: "items", Codec: codec.Raw})
	before, routines := heap(), runtime.NumGoroutine()
	for _, size := range []int{8 << 20, 64 << 20} {
		func() { // so that the value is no longer held when the heap is measured
			key := fmt.Sprintf("%d MiB", size>>20)
			value := bytes.Repeat([]byte("0123456789abcdef"), size/16)
			got, err := a.GetOrLoad(t.Context(), key, func(context.Context, string) ([]byte, error) { return value, nil })
			if err != nil || !bytes.Equal(got, value) {
				t.Errorf("%s: %d bytes, %v", key, len(got), err)
			}
			got, err = z.GetOrLoad(t.Context(), key, none)
			if err != nil || !bytes.Equal(got, value) {
				t.Errorf("%s on the other node: %d bytes, %v", key, len(got), err)
			}
			if err := z.Set(t.Context(), key, value[1:]); err != nil {
				t.Errorf("Set of %s: %v", key, err)
			}
			got, err = a.Get(t.Context(), key)
			if err != nil || !bytes.Equal(got, value[1:]) {
				t.Errorf("%s after Set on the other node: %d bytes, %v", key, len(got), err)
			}
			if err := a.Delete(t.Context(), key); err != nil {
				t.Errorf("Delete of %s: %v", key, err)
			}
			if _, err := z.Get(t.Context(), key); !errors.Is(err, tiered.ErrNotFound) {
				t.Errorf("%s after Delete: %v", key, err)
			}
		}()
	}
	eventually(t, "no large value is left in memory", func() bool { return heap() < before+slackBytes })
	if got := runtime.NumGoroutine(); got > routines+60 {
		t.Errorf("%d goroutines, %d before", got, routines)
	}
}

// A value that does not get to Redis in time is the caller's all the same, and
// does not hold up the others.
func TestLargeValueThatTakesTooLong(t *testing.T) {
	b := redistest.Real(t)
	proxy := b.Proxy(t)
	n := open(t, tiered.Options{Redis: proxy.Client(t), L1MaxBytes: 1 << 20})
	r := region(t, n, tiered.Config[[]byte]{Name: "items", Codec: codec.Raw})
	value := make([]byte, 8<<20)
	held := proxy.Hold(func(args [][]byte) bool { return len(args) > 10 && longest(args) > 1<<20 })
	done := make(chan error, 1)
	go func() {
		got, err := r.GetOrLoad(t.Context(), "large", func(context.Context, string) ([]byte, error) { return value, nil })
		if len(got) != len(value) && err == nil {
			err = fmt.Errorf("%d bytes", len(got))
		}
		done <- err
	}()
	held.Wait(t)
	for i := range 20 {
		key := fmt.Sprint(i)
		within(t, "a small value beside a large one", func() {
			reads(t, r, key, func(context.Context, string) ([]byte, error) { return []byte(key), nil }, []byte(key), tiered.SourceLoad)
			if err := r.Set(t.Context(), key, []byte("set")); err != nil {
				t.Error(err)
			}
			if err := r.Delete(t.Context(), key); err != nil {
				t.Error(err)
			}
		})
	}
	held.CutClient()
	if err := <-done; err != nil {
		t.Errorf("the large value: %v", err)
	}
}

func longest(args [][]byte) (n int) {
	for _, a := range args {
		n = max(n, len(a))
	}
	return n
}

type item struct {
	Name string            `json:"name"`
	Tags []string          `json:"tags"`
	Info map[string]string `json:"info"`
}

// Empty values are values: none is taken for "not found", and what comes out of
// L1 and of Redis is what went in.
func TestEmptyValues(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		nodes := []*tiered.Node{
			open(t, tiered.Options{Redis: b.Client(t), L1MaxBytes: 1 << 20}),
			open(t, tiered.Options{Redis: b.Client(t), L1MaxBytes: 1 << 20}),
		}
		for _, c := range []codec.Codec{codec.MsgPack, codec.JSON} {
			empty(t, nodes, c, "string", "")
			empty(t, nodes, c, "number", 0)
			empty(t, nodes, c, "bool", false)
			empty(t, nodes, c, "bytes", []byte{}, nil)
			empty(t, nodes, c, "slice", []string{}, nil)
			empty(t, nodes, c, "map", map[string]int{}, nil)
			empty(t, nodes, c, "pointer", &item{}, nil)
			empty(t, nodes, c, "struct", item{}, item{Tags: []string{}, Info: map[string]string{}})
			empty(t, nodes, c, "pointers", []*item{nil, {}, nil})
			empty(t, nodes, c, "array", [2]int{})
			empty(t, nodes, c, "nothing", struct{}{})
		}
		empty(t, nodes, codec.Raw, "string", "")
		empty(t, nodes, codec.Raw, "bytes", []byte{})
	})
}

// empty stores values by load and by Set, and reads them in both tiers.
func empty[V any](t *testing.T, nodes []*tiered.Node, c codec.Codec, name string, values ...V) {
	t.Helper()
	t.Run(c.Name()+" "+name, func(t *testing.T) {
		var rs []*tiered.Region[V]
		for _, n := range nodes {
			rs = append(rs, region(t, n, tiered.Config[V]{Name: c.Name() + " " + name, Codec: c}))
		}
		for i, value := range values {
			key := fmt.Sprint(i)
			reads(t, rs[0], key, func(context.Context, string) (V, error) { return value, nil }, value, tiered.SourceLoad)
			settles(t, rs[0], key)
			reads(t, rs[0], key, none, value, tiered.SourceL1)
			reads(t, rs[1], key, none, value, tiered.SourceL2)
			settles(t, rs[1], key)
			reads(t, rs[1], key, none, value, tiered.SourceL1)
			if err := rs[0].Set(t.Context(), key, value); err != nil {
				t.Errorf("Set: %v", err)
			}
			got, err := rs[1].Get(t.Context(), key, tiered.BypassL1())
			if err != nil || !reflect.DeepEqual(got, value) {
				t.Errorf("after Set: %#v, %v; want %#v", got, err, value)
			}
		}
	})
}
