package histogram_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/histogram"
)

func TestBucketsRiseFromTenMicrosecondsToAMinute(t *testing.T) {
	b := new(histogram.Histogram).Snapshot().Buckets
	if got, want := b[0].UpperBound, 10*time.Microsecond; got != want {
		t.Errorf("the first bucket ends at %v, want %v", got, want)
	}
	last := len(b) - 1
	if got := b[last-1].UpperBound; got != histogram.Largest || got < time.Minute {
		t.Errorf("the last bounded bucket ends at %v, want Largest, at least a minute", got)
	}
	if b[last].UpperBound != histogram.Unbounded {
		t.Errorf("the last bucket ends at %v", b[last].UpperBound)
	}
	for i := 1; i < last; i++ {
		if ratio := float64(b[i].UpperBound) / float64(b[i-1].UpperBound); ratio <= 1 || ratio > 1.26 {
			t.Errorf("bucket %d ends at %v after %v", i, b[i].UpperBound, b[i-1].UpperBound)
		}
	}
}

func TestUpperBoundsAreInclusive(t *testing.T) {
	bounds := new(histogram.Histogram).Snapshot().Buckets
	for i, b := range bounds[:len(bounds)-1] {
		var h histogram.Histogram
		h.Observe(b.UpperBound)
		h.Observe(b.UpperBound + 1)
		s := h.Snapshot()
		if s.Buckets[i].Count != 1 || s.Buckets[i+1].Count != 1 {
			t.Errorf("bucket %d, up to %v: its bound and the nanosecond above it are not counted in it and the next one", i, b.UpperBound)
		}
	}
}

func TestExtremesAreCounted(t *testing.T) {
	var h histogram.Histogram
	for _, d := range []time.Duration{-time.Second, 0, 1, time.Hour, 1<<63 - 1} {
		h.Observe(d)
	}
	s := h.Snapshot()
	if s.Count != 5 || s.Buckets[0].Count != 3 || s.Buckets[len(s.Buckets)-1].Count != 2 {
		t.Errorf("got %+v", s)
	}
	if got := s.Quantile(1); got != histogram.Largest {
		t.Errorf("a quantile above all bounds is %v, want Largest", got)
	}
}

func TestQuantilesOfASmoothDistributionAreWithinAnEighth(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h histogram.Histogram
	var all []time.Duration
	for range 20_000 {
		d := time.Duration(float64(50*time.Microsecond) * r.ExpFloat64() * r.ExpFloat64() * 100)
		all = append(all, d)
		h.Observe(d)
	}
	slices.Sort(all)
	s := h.Snapshot()
	for _, q := range []float64{0.1, 0.5, 0.9, 0.99, 0.999} {
		want := all[int(q*float64(len(all)))-1]
		if got := s.Quantile(q); float64(got) < 0.875*float64(want) || float64(got) > 1.125*float64(want) {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	var sum time.Duration
	for _, d := range all {
		sum += d
	}
	if s.Sum != sum || s.Mean() != sum/time.Duration(len(all)) {
		t.Errorf("sum %v, mean %v; want %v, %v", s.Sum, s.Mean(), sum, sum/time.Duration(len(all)))
	}
}

func TestAnEmptySnapshotAnswers(t *testing.T) {
	var h histogram.Histogram
	if s := h.Snapshot(); s.Quantile(0.5) != 0 || s.Mean() != 0 || (histogram.Snapshot{}).Quantile(1) != 0 {
		t.Errorf("got %v, %v", s.Quantile(0.5), s.Mean())
	}
}

func TestASnapshotIsSummedUpInALine(t *testing.T) {
	var h histogram.Histogram
	for range 3 {
		h.Observe(10 * time.Microsecond)
	}
	if got, want := h.Snapshot().String(), "3 observed, mean 10µs, median 6.666µs, 99% within 10µs"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestObserveIsConcurrentAndDoesNotAllocate(t *testing.T) {
	var h histogram.Histogram
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 1000 {
				h.Observe(time.Duration(i) * time.Microsecond)
			}
		})
	}
	wg.Wait()
	if s := h.Snapshot(); s.Count != 4000 {
		t.Errorf("got %d observations, want 4000", s.Count)
	}
	if n := testing.AllocsPerRun(100, func() { h.Observe(time.Millisecond) }); n != 0 {
		t.Errorf("Observe makes %v allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	var h histogram.Histogram
	for b.Loop() {
		h.Observe(137 * time.Microsecond)
	}
}
