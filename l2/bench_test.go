package l2_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/l2"
)

// benchValues is the number of values, benchSize the length of each.
const (
	benchValues = 1000
	benchSize   = 256
)

type bench struct {
	client *redis.Client
	store  *l2.Store
	layout *keyspace.Layout
	keys   []l2.Key
	heap   []byte
	plain  []string // keys of the same values, stored plainly
}

// newBench fills a server of its own with values, once as envelopes and once
// plainly.
func newBench(b *testing.B) *bench {
	b.Helper()
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(b).Addr()})
	b.Cleanup(func() { client.Close() })
	layout, err := keyspace.New("bench", 32)
	if err != nil {
		b.Fatal(err)
	}
	store, err := l2.New(l2.Options{Client: client, Layout: layout, Announcer: announcer{}, Logger: slog.New(slog.DiscardHandler), Timeout: 5 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	x := &bench{client: client, store: store, layout: layout}
	// A service has a heap, and collects it seldom; a benchmark without one would
	// measure the collector.
	x.heap = make([]byte, 64<<20)
	b.Cleanup(func() { x.heap = nil })
	ctx := context.Background()
	for i := range benchValues {
		k := keyspace.Of("products", fmt.Sprint(i))
		x.keys = append(x.keys, k)
		x.plain = append(x.plain, "plain:products:"+k.Name)
		payload := make([]byte, benchSize)
		if err := client.Set(ctx, x.plain[i], payload, 0).Err(); err != nil {
			b.Fatal(err)
		}
		l, err := store.Begin(ctx, k, l2.NewToken())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := store.Fill(ctx, l, l2.Fill{Codec: "msgpack", Schema: "a1b2c3d4", Payload: payload, Life: time.Hour}); err != nil {
			b.Fatal(err)
		}
	}
	return x
}

func (x *bench) get(b *testing.B, i int) {
	r, err := x.store.Get(context.Background(), x.keys[i%benchValues])
	if err != nil || r.Status != l2.Hit {
		b.Errorf("%v %v", r.Status, err)
	}
}

// mget is the command that a read is.
func (x *bench) mget(i int) *redis.StringSliceCmd {
	k := x.keys[i%benchValues]
	p := x.layout.Partition(k.Hash)
	return redis.NewStringSliceCmd(context.Background(), "mget",
		x.layout.Sequence(p), x.layout.Clear(p, k.Region), x.layout.Value(p, k.Region, k.Name))
}

func (x *bench) plainGet(b *testing.B, i int) {
	if _, err := x.client.Get(context.Background(), x.plain[i%benchValues]).Bytes(); err != nil {
		b.Error(err)
	}
}

// BenchmarkGet is a read of L2 beside what it is built on, a plain GET of
// go-redis of a value of the same size, and beside other ways to send the MGET
// that it is. They take turns in the same run, so that what else the machine
// does hits all, and the medians are compared.
//
//	go test -run '^$' -bench Get -benchtime 100000x ./l2
//
// callers=1 is what a lone caller waits, the others are throughput.
func BenchmarkGet(b *testing.B) {
	x := newBench(b)
	pipeline, err := x.client.WithTimeout(5 * time.Second).AsyncAutoPipeline()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { pipeline.Close() })
	ways := []struct {
		name string
		read func(b *testing.B, i int)
	}{
		{"plain", x.plainGet},
		{"l2", x.get},
		{"mget", func(b *testing.B, i int) { check(b, x.client.Process(context.Background(), x.mget(i))) }},
		{"goroutine", func(b *testing.B, i int) {
			done := make(chan error, 1)
			go func() { done <- x.client.Process(context.Background(), x.mget(i)) }()
			check(b, <-done)
		}},
		{"autopipeline", func(b *testing.B, i int) { check(b, pipeline.Submit(context.Background(), x.mget(i)).Wait()) }},
	}
	for _, callers := range []int{1, 2, 4, 8, 16, 32, 128} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			turn := 100 * callers // long against what it takes to start the callers
			took := make([][]float64, len(ways))
			for n := 0; n == 0 || n < b.N; n += len(ways) * turn {
				for w := range ways {
					took[w] = append(took[w], together(b, callers, turn, ways[w].read))
				}
			}
			b.ReportMetric(0, "ns/op")
			for w := range ways {
				b.ReportMetric(median(took[w]), ways[w].name+"-ns")
			}
			b.ReportMetric(median(took[0])/median(took[1]), "times-plain")
		})
	}
}

func check(b *testing.B, err error) {
	if err != nil {
		b.Error(err)
	}
}

// together calls fn a number of times from a number of goroutines and returns
// the time per call, in ns, over all of them.
func together(b *testing.B, callers, calls int, fn func(b *testing.B, i int)) float64 {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			<-start
			for i := range calls / callers {
				fn(b, c*7919+i)
			}
		})
	}
	began := time.Now()
	close(start)
	wg.Wait()
	return float64(time.Since(began).Nanoseconds()) / float64(calls)
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
