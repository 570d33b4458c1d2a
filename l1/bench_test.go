package l1_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l1"
)

// product is a value as a service would cache it.
type product struct {
	ID    int
	Name  string
	Price int
}

const (
	benchKeys  = 100_000
	benchTrace = 1 << 20 // accesses, a power of two
	benchZipf  = 0.99
)

// BenchmarkHit compares a hit (hashing, look-up, all checks and counting) with
// that of a bare Ristretto used as its documentation shows: string keys and
// SetWithTTL. The two take turns within one run, so that whatever else the
// machine does hits both; l1/bare is the median over all turns.
func BenchmarkHit(b *testing.B) {
	keys, trace := benchKeyNames(), zipfTrace(benchKeys, benchZipf, benchTrace, 1)
	bare := newBareHit(b, keys, trace)
	ours := newL1Hit(b, keys, trace)
	for _, goroutines := range []int{1, runtime.GOMAXPROCS(0), 64} {
		b.Run(fmt.Sprintf("goroutines=%d", goroutines), func(b *testing.B) {
			compare(b, goroutines, bare, ours)
		})
	}
}

// BenchmarkGet is the second half of that comparison alone, for profiles.
func BenchmarkGet(b *testing.B) {
	ours := newL1Hit(b, benchKeyNames(), zipfTrace(benchKeys, benchZipf, benchTrace, 1))
	b.ReportAllocs()
	for b.Loop() {
		ours(0, 1)
	}
}

func BenchmarkPut(b *testing.B) {
	fences := fence.New(32, time.Minute, 64<<20)
	fences.GrantForever()
	c, err := l1.New(l1.Options{MaxBytes: 64 << 20, Fences: fences})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	r, keys := c.Region("products"), benchKeyNames()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		key := keys[i%benchKeys]
		c.Put(&l1.Entry{Region: r, Key: key, Mark: fences.Stamp(keyspace.Hash("products", key)).Mark(), Cost: 100})
		if i++; i%1000 == 0 {
			c.Wait()
		}
	}
}

// access reads n keys of the trace, beginning at from.
type access func(from, n int)

func newBareHit(b *testing.B, keys []string, trace []int32) access {
	b.Helper()
	c, err := ristretto.NewCache(&ristretto.Config[string, *product]{
		NumCounters: 10 * benchKeys, MaxCost: 1 << 30, BufferItems: 64,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	for i, key := range keys {
		c.SetWithTTL(strings.Clone(key), &product{ID: i}, 100, time.Hour)
		if i%1000 == 0 {
			c.Wait()
		}
	}
	c.Wait()
	return func(from, n int) {
		for i := from; i < from+n; i++ {
			p, ok := c.Get(keys[trace[i%benchTrace]])
			if !ok || p.Price != 0 {
				b.Error("miss")
				return
			}
		}
	}
}

func newL1Hit(b *testing.B, keys []string, trace []int32) access {
	b.Helper()
	fences := fence.New(32, time.Hour, 64<<20)
	c, err := l1.New(l1.Options{MaxBytes: 64 << 20, Fences: fences})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	r := c.Region("products")
	for i, key := range keys {
		c.Put(&l1.Entry{
			Region: r, Key: strings.Clone(key), Value: &product{ID: i}, Cost: 100,
			Mark:    fences.Stamp(keyspace.Hash("products", key)).Mark(),
			Expires: fences.Now() + int64(time.Hour),
		})
		if i%1000 == 0 {
			c.Wait()
		}
	}
	c.Wait()
	return func(from, n int) {
		for i := from; i < from+n; i++ {
			key := keys[trace[i%benchTrace]]
			if e, value, _ := c.Get(r, keyspace.Hash("products", key), key); e == nil || value.(*product).Price != 0 {
				b.Error("miss")
				return
			}
		}
	}
}

// compare lets bare and ours take turns of a few thousand accesses.
func compare(b *testing.B, goroutines int, bare, ours access) {
	each := 8192 / goroutines
	var perAccess [2][]float64
	var ratios []float64
	for turn := 0; turn == 0 || turn*each*goroutines < b.N; turn++ {
		for i, a := range []access{bare, ours} {
			begin := time.Now()
			var wg sync.WaitGroup
			for g := range goroutines {
				wg.Go(func() { a(turn*each+g*benchTrace/goroutines, each) })
			}
			wg.Wait()
			perAccess[i] = append(perAccess[i], float64(time.Since(begin))/float64(each*goroutines))
		}
		ratios = append(ratios, perAccess[1][turn]/perAccess[0][turn])
	}
	b.ReportMetric(median(perAccess[0]), "bare-ns/op")
	b.ReportMetric(median(perAccess[1]), "l1-ns/op")
	b.ReportMetric(median(ratios), "l1/bare")
	b.ReportMetric(0, "ns/op") // the sum of both: says nothing
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func benchKeyNames() []string {
	keys := make([]string, benchKeys)
	for i := range keys {
		keys[i] = fmt.Sprintf("product:%08d", i)
	}
	return keys
}

// zipfTrace draws n accesses to keys whose popularity follows Zipf's law with
// any exponent (that of math/rand must exceed 1). The same seed gives the same
// trace.
func zipfTrace(keys int, exponent float64, n int, seed uint64) []int32 {
	cumulated, sum := make([]float64, keys), 0.0
	for i := range cumulated {
		sum += math.Pow(float64(i+1), -exponent)
		cumulated[i] = sum
	}
	r := rand.New(rand.NewPCG(seed, 0))
	order := r.Perm(keys)
	trace := make([]int32, n)
	for i := range trace {
		trace[i] = int32(order[sort.SearchFloat64s(cumulated, r.Float64()*sum)])
	}
	return trace
}
