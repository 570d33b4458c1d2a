package tieredtest

import (
	"bytes"
	"context"
	"reflect"
	"sync"
	"testing"

	"github.com/doppio-cache/doppio/codec"
	"github.com/doppio-cache/doppio/tiered"
)

// Guard returns a cache that passes everything on to inner and, when the test
// ends, fails it for each value that has been modified since a read returned it or
// Set was given it. It encodes each value that passes. Values are compared by what
// MessagePack carries of them; one that cannot be encoded is not guarded, and the
// test's log says so once.
//
// Without Config.Clone all readers share one value, so that what one of them
// changes, all others see, in this process, until the value expires. A region
// with Config.Clone needs no guard.
func Guard[V any](tb testing.TB, inner tiered.Cache[V]) tiered.Cache[V] {
	tb.Helper()
	g := &guard[V]{inner: inner, tb: tb}
	tb.Cleanup(g.check)
	return g
}

type guard[V any] struct {
	inner tiered.Cache[V]
	tb    testing.TB

	mu     sync.Mutex
	shared []handedOut[V]
	failed bool
}

type handedOut[V any] struct {
	method, key string
	value       V
	encoded     []byte
}

// sharing notes that a value is shared from now on.
func (g *guard[V]) sharing(method, key string, v V) {
	encoded, err := codec.Encode(codec.MsgPack, nil, v)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		if !g.failed {
			g.failed = true
			g.tb.Logf("tieredtest: a %T cannot be guarded: %v", v, err)
		}
		return
	}
	g.shared = append(g.shared, handedOut[V]{method, key, v, encoded})
}

func (g *guard[V]) check() {
	g.tb.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	told := make(map[string]bool)
	for _, s := range g.shared {
		if told[s.key] || s.unchanged() {
			continue
		}
		told[s.key] = true
		g.tb.Errorf("tieredtest: the value of %q was modified after %s, and everybody who reads it shares it; copy it first, or set Config.Clone", s.key, s.method)
	}
}

// unchanged compares what the value is with what it was. A map has another encoding
// each time, so that where the encodings differ what can be read from them decides.
func (s *handedOut[V]) unchanged() bool {
	encoded, err := codec.Encode(codec.MsgPack, nil, s.value)
	if err != nil {
		return false
	}
	if bytes.Equal(encoded, s.encoded) {
		return true
	}
	var was, is V
	if codec.Decode(codec.MsgPack, s.encoded, &was) != nil || codec.Decode(codec.MsgPack, encoded, &is) != nil {
		return false
	}
	return reflect.DeepEqual(was, is)
}

func (g *guard[V]) Get(ctx context.Context, key string, opts ...tiered.Option) (V, error) {
	v, err := g.inner.Get(ctx, key, opts...)
	if err == nil {
		g.sharing("Get returned it", key, v)
	}
	return v, err
}

func (g *guard[V]) GetOrLoad(ctx context.Context, key string, load func(ctx context.Context, key string) (V, error), opts ...tiered.Option) (V, error) {
	v, err := g.inner.GetOrLoad(ctx, key, load, opts...)
	if err == nil {
		g.sharing("GetOrLoad returned it", key, v)
	}
	return v, err
}

func (g *guard[V]) Set(ctx context.Context, key string, value V, opts ...tiered.Option) error {
	err := g.inner.Set(ctx, key, value, opts...)
	if err == nil {
		g.sharing("it was given to Set", key, value)
	}
	return err
}

func (g *guard[V]) Delete(ctx context.Context, keys ...string) error {
	return g.inner.Delete(ctx, keys...)
}

func (g *guard[V]) InvalidateTags(ctx context.Context, tags ...string) error {
	return g.inner.InvalidateTags(ctx, tags...)
}

func (g *guard[V]) Clear(ctx context.Context) error { return g.inner.Clear(ctx) }
