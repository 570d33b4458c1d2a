package failover_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// fleet is a service that runs as several instances.
type fleet struct {
	oracle    *oracle
	instances []*instance
}

// instance has its own ways to the servers, which can be broken.
type instance struct {
	*tiered.Node
	name   string
	routes *redistest.Routes
	items  *tiered.Region[int]
	oracle *oracle
}

// newFleet opens an instance for each name, and waits until all are ready.
func newFleet(t *testing.T, connect func(name string) (redis.UniversalClient, *redistest.Routes), names ...string) *fleet {
	t.Helper()
	f := &fleet{oracle: newOracle()}
	for _, name := range names {
		client, routes := connect(name)
		f.instances = append(f.instances, join(t, name, client, routes, f.oracle))
	}
	for _, i := range f.instances {
		i.awaitReady(t)
	}
	return f
}

func join(t *testing.T, name string, client redis.UniversalClient, routes *redistest.Routes, o *oracle) *instance {
	t.Helper()
	n, err := tiered.Open(t.Context(), tiered.Options{
		Redis: client, Prefix: prefix, Partitions: partitions, MaxStaleness: bound, L2Timeout: bound / 2, L1MaxBytes: 4 << 20,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	items, err := tiered.New(n, tiered.Config[int]{Name: "items", Jitter: -1})
	if err != nil {
		t.Fatal(err)
	}
	return &instance{Node: n, name: name, routes: routes, items: items, oracle: o}
}

func (i *instance) awaitReady(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := i.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}

// read reads a key and tells the oracle.
func (i *instance) read(t *testing.T, key string, opts ...tiered.Option) (v int, source tiered.Source) {
	t.Helper()
	var info tiered.Info
	begin := time.Now()
	v, err := i.items.GetOrLoad(context.Background(), key, i.oracle.load, append(opts, tiered.WithInfo(&info))...)
	if err != nil {
		if !errors.Is(err, tiered.ErrClosed) {
			t.Errorf("%s: read of %s: %v", i.name, key, err)
		}
		return 0, info.Source
	}
	i.oracle.saw(i.name, key, v, begin, time.Now())
	return v, info.Source
}

// change commits a new version of each key and deletes them with one call. It
// reports whether Redis has confirmed all; the rest is named by the error.
func (i *instance) change(t *testing.T, keys ...string) (pending *tiered.PendingError) {
	t.Helper()
	refs := make([]tiered.Ref, len(keys))
	versions := make([]int, len(keys))
	for n, k := range keys {
		refs[n], versions[n] = i.items.Ref(k), i.oracle.commit(k)
	}
	err := i.Delete(context.Background(), refs...)
	now := time.Now()
	if err != nil && !errors.As(err, &pending) {
		if !errors.Is(err, tiered.ErrClosed) {
			t.Errorf("%s: Delete: %v, want nil or a PendingError", i.name, err)
		}
		return nil
	}
	waits := make(map[tiered.Ref]bool)
	if pending != nil {
		for _, r := range pending.Refs {
			waits[r] = true
		}
	}
	for n, k := range keys {
		i.oracle.deleted(k, deletion{version: versions[n], instance: i.name, at: now, pending: waits[refs[n]]})
	}
	return pending
}

// set commits a new version of a key and stores it. Only one instance may set a
// key, as the order of two Sets is nobody's business but the origin's.
func (i *instance) set(t *testing.T, key string) {
	t.Helper()
	v := i.oracle.commit(key)
	err := i.items.Set(context.Background(), key, v)
	d := deletion{version: v, instance: i.name, at: time.Now()}
	var pending *tiered.PendingError
	switch {
	case errors.As(err, &pending):
		d.pending = true
	case errors.Is(err, tiered.ErrClosed):
		return
	case err != nil && !errors.Is(err, tiered.ErrUnavailable): // the old value is gone, the new one may be stored or not
		t.Errorf("%s: Set: %v, want nil, a PendingError or ErrUnavailable", i.name, err)
	}
	i.oracle.deleted(key, d)
}

// keysNamed are n keys that begin with a word.
func keysNamed(word string, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s-%d", word, i)
	}
	return keys
}

// warm gives every key a first version and every instance a copy.
func (f *fleet) warm(t *testing.T, keys []string) {
	t.Helper()
	for _, k := range keys {
		f.oracle.commit(k)
	}
	for _, i := range f.instances {
		for _, k := range keys {
			eventually(t, "an L1 hit of "+k, func() bool { _, source := i.read(t, k); return source == tiered.SourceL1 })
		}
	}
}

// ownKeys is the number of keys that each writer of a load sets.
const ownKeys = 4

func setBy(i *instance, n int) string { return fmt.Sprintf("set-by-%s-%d", i.name, n) }

// load reads keys on all instances, part of it past L1, and changes some on
// those that are writers (which have some more, that each sets alone), until the
// function that it returns is called.
func (f *fleet) load(t *testing.T, read, changed []string, writers ...*instance) (stop func()) {
	t.Helper()
	read = slices.Clone(read)
	done := make(chan struct{})
	var wg sync.WaitGroup
	each := func(d time.Duration, do func(n int)) {
		wg.Go(func() {
			tick := time.NewTicker(d)
			defer tick.Stop()
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				case <-tick.C:
					do(n)
				}
			}
		})
	}
	for _, i := range writers {
		each(30*time.Millisecond, func(n int) {
			k := rand.IntN(len(changed))
			if n%4 == 0 { // a batch across the partitions
				_ = i.change(t, changed[k], changed[(k+1)%len(changed)], changed[(k+2)%len(changed)])
				return
			}
			_ = i.change(t, changed[k])
		})
		each(50*time.Millisecond, func(int) { i.set(t, setBy(i, rand.IntN(ownKeys))) })
		for n := range ownKeys {
			f.oracle.commit(setBy(i, n))
			read = append(read, setBy(i, n))
		}
	}
	for _, i := range f.instances {
		each(4*time.Millisecond, func(int) { i.read(t, read[rand.IntN(len(read))]) })
		each(16*time.Millisecond, func(int) { i.read(t, read[rand.IntN(len(read))], tiered.BypassL1()) })
	}
	var once sync.Once
	stop = func() { once.Do(func() { close(done); wg.Wait() }) }
	t.Cleanup(stop)
	return stop
}

// settled waits until no instance is degraded or has an invalidation pending.
func settled(t *testing.T, instances ...*instance) {
	t.Helper()
	for _, i := range instances {
		reason := ""
		ok := false
		defer func() {
			if !ok {
				t.Logf("%s: %s", i.name, reason)
			}
		}()
		eventually(t, i.name+" has recovered", func() bool {
			s := i.Stats()
			reason = fmt.Sprintf("%d pending, degraded: %s", s.PendingRetries, s.DegradedReason)
			return s.PendingRetries == 0 && !s.Degraded
		})
		ok = true
	}
}

// newestEverywhere checks that every instance has the newest version of each
// key. Everything must be settled, the bound over, and nobody writing.
func newestEverywhere(t *testing.T, o *oracle, keys []string, instances ...*instance) {
	t.Helper()
	for _, i := range instances {
		for _, k := range keys {
			for _, opts := range [][]tiered.Option{nil, {tiered.BypassL1()}} {
				if got, source := i.read(t, k, opts...); got != o.newest(k) {
					t.Errorf("%s: in the end %s is version %d (%v), want %d", i.name, k, got, source, o.newest(k))
				}
			}
		}
	}
}

// layout names what the instances keep in Redis.
func layout(t *testing.T) *keyspace.Layout {
	t.Helper()
	l, err := keyspace.New(prefix, partitions)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// valueName is the name of a key's value in Redis.
func valueName(l *keyspace.Layout, key string) string {
	return l.Value(l.Partition(keyspace.Hash("items", key)), "items", key)
}
