package histogram

import (
	"fmt"
	"math"
	"time"
)

// Snapshot is the state of a [Histogram] at one moment.
type Snapshot struct {
	Count   uint64        // durations observed
	Sum     time.Duration // of all of them
	Buckets []Bucket      // by rising upper bound; the same bounds in every snapshot
}

// Bucket holds the number of durations above the bound of the bucket before
// it, up to and including its own.
type Bucket struct {
	UpperBound time.Duration // [Unbounded] in the last
	Count      uint64        // of this bucket alone, not of those before it
}

// Mean is the average duration, 0 if there is none.
func (s Snapshot) Mean() time.Duration {
	if s.Count == 0 {
		return 0
	}
	return time.Duration(float64(s.Sum) / float64(s.Count))
}

// Quantile is an estimate of the duration that a share q of all durations, from
// 0 to 1, does not exceed: the place in its bucket is interpolated. It is 0 if
// there is none, and [Largest] if the quantile lies above.
func (s Snapshot) Quantile(q float64) time.Duration {
	if s.Count == 0 {
		return 0
	}
	rank := max(1, math.Ceil(min(max(q, 0), 1)*float64(s.Count)))
	var below float64
	var lower time.Duration
	for _, b := range s.Buckets {
		n := float64(b.Count)
		if below+n < rank {
			below += n
			lower = b.UpperBound
			continue
		}
		if b.UpperBound == Unbounded {
			break
		}
		return lower + time.Duration(float64(b.UpperBound-lower)*(rank-below)/n)
	}
	return Largest
}

// String is a summary in one line.
func (s Snapshot) String() string {
	return fmt.Sprintf("%d observed, mean %v, median %v, 99%% within %v",
		s.Count, s.Mean(), s.Quantile(0.5), s.Quantile(0.99))
}
