// The figures of the README. Each stands beside what it is built on, measured
// in the same run and in turns, so that what else the machine does meanwhile
// slows both down alike. Look at the ratio (x-bare), not at the times.
//
//	go test -run '^$' -bench . -count 5 .
package doppio_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/redis/go-redis/v9"
	"github.com/vmihailenco/msgpack/v5"
	"golang.org/x/sync/singleflight"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// product is the value of all benchmarks.
type product struct {
	ID          int64
	SKU         string
	Name        string
	Description string
	PriceCents  int64
	Currency    string
	Tags        []string
	Weight      float64
	Active      bool
	Updated     time.Time
}

func newProduct(i int) product {
	return product{
		ID: int64(i), SKU: "SKU-" + strconv.Itoa(i), Name: "Moka pot, six cups", PriceCents: 3495, Currency: "EUR",
		Description: "Aluminium, for all hobs but induction. Unscrew, fill, wait.",
		Tags:        []string{"kitchen", "coffee"}, Weight: 0.78, Active: true, Updated: time.Unix(1700000000, 0),
	}
}

func loadProduct(_ context.Context, key string) (product, error) { return newProduct(len(key)), nil }

const (
	benchKeys = 100_000
	zipfS     = 1.1
)

// zipfian returns keys drawn by Zipf's law, the same ones each time.
func zipfian(n, keys int) []string {
	names := make([]string, keys)
	for i := range names {
		names[i] = "product-" + strconv.Itoa(i)
	}
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), zipfS, 1, uint64(keys-1))
	drawn := make([]string, n)
	for i := range drawn {
		drawn[i] = names[z.Uint64()]
	}
	return drawn
}

// ballast stands for the memory of a service that has such a cache. In a process
// of a few MiB the collector runs all the time, and is what is measured.
var ballast = make([]byte, 64<<20)

// inTurns runs ours and bare for b.N operations each, in turns, and reports the
// medians and their ratio. Both get the number of operations and of goroutines.
func inTurns(b *testing.B, goroutines int, ours, bare func(g, i int)) {
	rounds := min(11, b.N)
	per := b.N / rounds
	defer runtime.KeepAlive(ballast)
	var a, c, ratios []float64
	run := func(op func(g, i int)) float64 {
		runtime.Gosched()
		start := time.Now()
		var wg sync.WaitGroup
		for g := range goroutines {
			n := per/goroutines + min(1, max(0, per%goroutines-g))
			wg.Go(func() {
				for i := range n {
					op(g, i)
				}
			})
		}
		wg.Wait()
		return float64(time.Since(start)) / float64(per)
	}
	b.ResetTimer()
	for r := range rounds {
		var x, y float64
		if r%2 == 0 {
			x, y = run(ours), run(bare)
		} else {
			y, x = run(bare), run(ours)
		}
		a, c, ratios = append(a, x), append(c, y), append(ratios, x/y)
	}
	b.StopTimer()
	b.ReportMetric(median(a), "ns/op")
	b.ReportMetric(median(c), "bare-ns/op")
	b.ReportMetric(median(ratios), "x-bare")
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// BenchmarkL1Hit: GetOrLoad answered by L1, beside Ristretto's Get with string
// keys and SetWithTTL.
func BenchmarkL1Hit(b *testing.B) {
	node := localNode(b)
	items, err := tiered.New(node, tiered.Config[*product]{Name: "products", Size: func(*product) int64 { return 300 }})
	if err != nil {
		b.Fatal(err)
	}
	load := func(_ context.Context, key string) (*product, error) { p := newProduct(len(key)); return &p, nil }
	bare, err := ristretto.NewCache(&ristretto.Config[string, *product]{NumCounters: 10 * benchKeys, MaxCost: 1 << 30, BufferItems: 64})
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close()
	keys := zipfian(1<<20, benchKeys)
	ctx := context.Background()
	for i := range benchKeys {
		key := "product-" + strconv.Itoa(i)
		if _, err := items.GetOrLoad(ctx, key, load); err != nil {
			b.Fatal(err)
		}
		p := newProduct(i)
		bare.SetWithTTL(key, &p, 300, time.Hour)
		if i%1000 == 999 {
			bare.Wait()
		}
	}
	bare.Wait()
	for _, g := range []int{1, 64} {
		b.Run(fmt.Sprintf("goroutines=%d", g), func(b *testing.B) {
			b.ReportAllocs()
			before := items.Stats()
			var missed atomic.Int64
			inTurns(b, g, func(g, i int) {
				if p, err := items.GetOrLoad(ctx, keys[(g*7919+i)&(1<<20-1)], load); err != nil || p.ID < 0 {
					b.Error(err)
				}
			}, func(g, i int) {
				if p, ok := bare.Get(keys[(g*7919+i)&(1<<20-1)]); !ok || p.ID < 0 {
					missed.Add(1)
				}
			})
			after := items.Stats()
			if loads := after.Loads - before.Loads; loads > uint64(1+b.N/100) || missed.Load() > int64(1+b.N/100) {
				b.Errorf("%d of ours and %d of Ristretto's %d reads were misses", loads, missed.Load(), b.N)
			}
		})
	}
}

// BenchmarkL2Hit: GetOrLoad answered by Redis, beside a plain GET and decode.
func BenchmarkL2Hit(b *testing.B) {
	env := newEnvironment(b)
	node := env.node(b)
	items := newRegion(b, node, tiered.Config[product]{Name: "products", Mode: tiered.L2Only, TTL: time.Hour})
	plain := env.client(b)
	ctx := context.Background()
	const n = 10_000
	keys := make([]string, n)
	fill(b, n, func(i int) {
		keys[i] = "product-" + strconv.Itoa(i)
		data, err := msgpack.Marshal(newProduct(i))
		if err != nil {
			b.Error(err)
		}
		if err := errors.Join(items.Set(ctx, keys[i], newProduct(i)), plain.Set(ctx, "plain:"+keys[i], data, time.Hour).Err()); err != nil {
			b.Error(err)
		}
	})
	for _, g := range []int{1, 128} {
		b.Run(fmt.Sprintf("goroutines=%d", g), func(b *testing.B) {
			inTurns(b, g, func(g, i int) {
				if _, err := items.GetOrLoad(ctx, keys[(g*7919+i*31)%n], loadProduct); err != nil {
					b.Error(err)
				}
			}, func(g, i int) {
				data, err := plain.Get(ctx, "plain:"+keys[(g*7919+i*31)%n]).Bytes()
				if err != nil {
					b.Error(err)
				}
				var p product
				if err := msgpack.Unmarshal(data, &p); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// BenchmarkMissWithLoad: a key that is in no tier, loaded at no cost, beside a
// plain GET, encode and SET.
func BenchmarkMissWithLoad(b *testing.B) {
	env := newEnvironment(b)
	node := env.node(b)
	items := newRegion(b, node, tiered.Config[product]{Name: "products"})
	plain := env.client(b)
	ctx := context.Background()
	var key atomic.Int64
	for _, g := range []int{1, 128} {
		b.Run(fmt.Sprintf("goroutines=%d", g), func(b *testing.B) {
			inTurns(b, g, func(int, int) {
				if _, err := items.GetOrLoad(ctx, strconv.FormatInt(key.Add(1), 10), loadProduct); err != nil {
					b.Error(err)
				}
			}, func(int, int) {
				k := "plain:" + strconv.FormatInt(key.Add(1), 10)
				if err := plain.Get(ctx, k).Err(); !errors.Is(err, redis.Nil) {
					b.Error(err)
				}
				p, _ := loadProduct(ctx, k)
				data, err := msgpack.Marshal(p)
				if err != nil {
					b.Error(err)
				}
				if err := plain.Set(ctx, k, data, time.Hour).Err(); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// BenchmarkStampede: 100 callers on each of three instances want one cold key
// whose load takes 10ms, beside singleflight and a plain GET and SET in each
// instance. One operation is the whole stampede.
func BenchmarkStampede(b *testing.B) {
	const callers, instances = 100, 3
	env := newEnvironment(b)
	var loads, bareLoads atomic.Int64
	load := func(ctx context.Context, key string) (product, error) {
		loads.Add(1)
		time.Sleep(10 * time.Millisecond) //nolint:forbidigo // the load's duration
		return loadProduct(ctx, key)
	}
	var regions []*tiered.Region[product]
	var clients []*redis.Client
	var groups [instances]singleflight.Group
	for range instances {
		regions = append(regions, newRegion(b, env.node(b), tiered.Config[product]{Name: "products"}))
		clients = append(clients, env.client(b))
	}
	ctx := context.Background()
	stampede := func(one func(instance int)) {
		var wg sync.WaitGroup
		for i := range instances {
			for range callers {
				wg.Go(func() { one(i) })
			}
		}
		wg.Wait()
	}
	round := 0
	inTurns(b, 1, func(int, int) {
		round++
		key := strconv.Itoa(round)
		stampede(func(i int) {
			if _, err := regions[i].GetOrLoad(ctx, key, load); err != nil {
				b.Error(err)
			}
		})
	}, func(int, int) {
		round++
		key := "plain:" + strconv.Itoa(round)
		stampede(func(i int) {
			_, err, _ := groups[i].Do(key, func() (any, error) {
				if data, err := clients[i].Get(ctx, key).Bytes(); err == nil {
					var p product
					return p, msgpack.Unmarshal(data, &p)
				}
				bareLoads.Add(1)
				time.Sleep(10 * time.Millisecond) //nolint:forbidigo // the load's duration
				p, _ := loadProduct(ctx, key)
				data, err := msgpack.Marshal(p)
				return p, errors.Join(err, clients[i].Set(ctx, key, data, time.Hour).Err())
			})
			if err != nil {
				b.Error(err)
			}
		})
	})
	rounds := float64(min(11, b.N) * (b.N / min(11, b.N)))
	b.ReportMetric(float64(loads.Load())/rounds, "loads")
	b.ReportMetric(float64(bareLoads.Load())/rounds, "bare-loads")
}

// BenchmarkDeleteToRemoteEffect: from the call of Delete on one instance until
// another no longer serves its copy, beside a bare PUBLISH until a subscriber
// has it.
func BenchmarkDeleteToRemoteEffect(b *testing.B) {
	env := newEnvironment(b)
	a := newRegion(b, env.node(b), tiered.Config[product]{Name: "products"})
	other := newRegion(b, env.node(b), tiered.Config[product]{Name: "products"})
	plain := env.client(b)
	ctx := context.Background()
	sub := env.client(b).Subscribe(ctx, "bare")
	defer sub.Close()
	if _, err := sub.Receive(ctx); err != nil {
		b.Fatal(err)
	}
	received := make(chan struct{})
	go func() {
		for {
			if _, err := sub.ReceiveMessage(ctx); err != nil {
				return
			}
			received <- struct{}{}
		}
	}()
	var ours, bare []float64
	b.ResetTimer()
	for range b.N {
		warm(b, other, "k")
		start := time.Now()
		if err := a.Delete(ctx, "k"); err != nil {
			b.Fatal(err)
		}
		for cached(other, "k") {
			runtime.Gosched()
		}
		ours = append(ours, float64(time.Since(start)))

		start = time.Now()
		if err := plain.Publish(ctx, "bare", "x").Err(); err != nil {
			b.Fatal(err)
		}
		<-received
		bare = append(bare, float64(time.Since(start)))
	}
	b.StopTimer()
	slices.Sort(ours)
	slices.Sort(bare)
	b.ReportMetric(ours[len(ours)/2], "ns/op")
	b.ReportMetric(bare[len(bare)/2], "bare-ns/op")
	b.ReportMetric(ours[len(ours)/2]/bare[len(bare)/2], "x-bare")
	b.ReportMetric(ours[len(ours)*99/100], "p99-ns/op")
	b.ReportMetric(bare[len(bare)*99/100], "bare-p99-ns/op")
}

// cached reports whether L1 answers. (A read of a key that it does not have
// goes to Redis, which has none either.)
func cached(r *tiered.Region[product], key string) bool {
	before := r.Stats().L1Hits
	_, _ = r.Get(context.Background(), key)
	return r.Stats().L1Hits > before
}

func warm(b *testing.B, r *tiered.Region[product], key string) {
	for !cached(r, key) {
		if _, err := r.GetOrLoad(context.Background(), key, loadProduct); err != nil {
			b.Fatal(err)
		}
		runtime.Gosched()
	}
}

// fill calls one for 0 to n-1, some at a time.
func fill(b *testing.B, n int, one func(i int)) {
	b.Helper()
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Go(func() {
			for i := g; i < n; i += 64 {
				one(i)
			}
		})
	}
	wg.Wait()
}

// environment is a Redis for one benchmark.
type environment struct{ backend *redistest.Backend }

var sayOnce sync.Once

// newEnvironment starts a redis-server if there is one, miniredis otherwise,
// and says which.
func newEnvironment(b *testing.B) *environment {
	b.Helper()
	var e environment
	if redistest.Available() {
		e.backend = redistest.Real(b)
	} else {
		e.backend = redistest.Mini(b)
	}
	sayOnce.Do(func() { fmt.Printf("redis: %s\n", e.backend.Name) })
	return &e
}

func (e *environment) client(b *testing.B) *redis.Client {
	return e.backend.Client(b, func(o *redis.Options) { *o = redis.Options{Addr: o.Addr} }) // go-redis's own defaults
}

func (e *environment) node(b *testing.B) *tiered.Node {
	return openNode(b, tiered.Options{Redis: e.client(b)})
}

func localNode(b *testing.B) *tiered.Node {
	return openNode(b, tiered.Options{Local: true, L1MaxBytes: 128 << 20})
}

func openNode(b *testing.B, opts tiered.Options) *tiered.Node {
	b.Helper()
	opts.Prefix = "bench"
	opts.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	n, err := tiered.Open(context.Background(), opts)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { n.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.Ready(ctx); err != nil {
		b.Fatal(err)
	}
	return n
}

func newRegion(b *testing.B, n *tiered.Node, cfg tiered.Config[product]) *tiered.Region[product] {
	b.Helper()
	r, err := tiered.New(n, cfg)
	if err != nil {
		b.Fatal(err)
	}
	return r
}
