package tiered_test

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// Twenty thousand keys whose load costs nothing: loaded and stored, found in Redis by
// the next instance, found in L1. And fifty thousand that one call has to load.
//
//	go test -run '^$' -bench 'Warm|FiftyThousand' -benchtime 5x ./tiered
func BenchmarkWarm(b *testing.B) {
	server := redistest.Start(b)
	keys := numbers(20_000)
	var cold, inRedis, inL1 time.Duration
	for n := range b.N {
		for instance := range 2 {
			r := emptyRegion(b, server, "warm"+strconv.Itoa(n))
			for again := range 2 {
				began := time.Now()
				if _, err := r.Warm(b.Context(), slices.Values(keys), echo, tiered.Warming{}); err != nil {
					b.Fatal(err)
				}
				switch took := time.Since(began); {
				case again > 0:
					inL1 += took / 2 // it is measured on both
				case instance > 0:
					inRedis += took
				default:
					cold += took
				}
			}
		}
	}
	for name, took := range map[string]time.Duration{"cold": cold, "redis": inRedis, "l1": inL1} {
		b.ReportMetric(took.Seconds()*1e3/float64(b.N), name+"-ms")
	}
	b.ReportMetric(float64(cold.Microseconds())/float64(b.N*len(keys)), "cold-µs/key")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkGetOrLoadManyOfFiftyThousandKeys(b *testing.B) {
	server := redistest.Start(b)
	keys := numbers(50_000)
	b.ReportAllocs()
	var took time.Duration
	for n := range b.N {
		b.StopTimer()
		r := emptyRegion(b, server, "many"+strconv.Itoa(n))
		b.StartTimer()
		began := time.Now()
		if _, err := r.GetOrLoadMany(b.Context(), keys, echo); err != nil {
			b.Fatal(err)
		}
		took += time.Since(began)
	}
	b.ReportMetric(float64(took.Microseconds())/float64(b.N*len(keys)), "µs/key")
	b.ReportMetric(0, "ns/op")
}

// emptyRegion is one of a new instance, whose L1 is empty.
func emptyRegion(b *testing.B, server *redistest.Server, prefix string) *tiered.Region[string] {
	b.Helper()
	n := open(b, tiered.Options{
		Redis: server.Client(b), Prefix: prefix, Logger: slog.New(slog.DiscardHandler),
		L1MaxBytes: tiered.DefaultL1MaxBytes, MaxStaleness: tiered.DefaultMaxStaleness,
	})
	ready(b, n)
	return region(b, n, tiered.Config[string]{Name: "items"})
}

func numbers(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}

// echo loads each key as its own value.
func echo(_ context.Context, keys []string) (map[string]string, error) {
	values := make(map[string]string, len(keys))
	for _, key := range keys {
		values[key] = key
	}
	return values, nil
}
