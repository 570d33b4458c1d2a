package fleet

import (
	"sort"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// Share is how many of a number of reads L1 has answered.
type Share struct{ Hits, All uint64 }

// Ratio is the share; 0 of nothing.
func (s Share) Ratio() float64 {
	if s.All == 0 {
		return 0
	}
	return float64(s.Hits) / float64(s.All)
}

// Shares are those of both systems.
type Shares [wire.Systems]Share

// add adds what happened between two samples.
func (s *Shares) add(a, b *sample) {
	for i := range s {
		hits := b.Hits[i] - a.Hits[i]
		s[i].Hits += hits
		s[i].All += hits + b.Misses[i] - a.Misses[i]
	}
}

// Shares returns the hits of both systems in a stretch of time, over all
// instances.
func (f *Fleet) Shares(from, to int64) (shares Shares) {
	for _, m := range f.Members {
		m.changes(from, to, shares.add)
	}
	return shares
}

// Counts are what happened in a stretch of time.
type Counts struct {
	Failed    [wire.Systems]uint64 // reads
	Stale     uint64               // calls of Doppio's that were answered with a value past its life
	Refreshes uint64               // loads of Doppio's ahead of time
}

// Add adds what o counts.
func (c *Counts) Add(o *Counts) {
	for s := range c.Failed {
		c.Failed[s] += o.Failed[s]
	}
	c.Stale += o.Stale
	c.Refreshes += o.Refreshes
}

// Counts returns what happened in a stretch of time, over all instances.
func (f *Fleet) Counts(from, to int64) (c Counts) {
	for _, m := range f.Members {
		m.changes(from, to, func(a, b *sample) {
			more := Counts{Stale: b.Stale - a.Stale, Refreshes: b.Refreshes - a.Refreshes}
			for s := range more.Failed {
				more.Failed[s] = b.Errors[s] - a.Errors[s]
			}
			c.Add(&more)
		})
	}
	return c
}

// changes calls see with each two samples that follow each other in one life,
// the second of which was taken in a stretch of time.
func (m *Member) changes(from, to int64, see func(a, b *sample)) {
	samples, _ := state(m, func(m *Member) []sample { return m.samples })
	for i := max(1, firstAfter(samples, from)); i < len(samples) && samples[i].At <= to; i++ {
		if samples[i-1].life == samples[i].life {
			see(&samples[i-1], &samples[i])
		}
	}
}

// firstAfter is the index of the first sample that was taken after a moment.
func firstAfter(samples []sample, at int64) int {
	return sort.Search(len(samples), func(i int) bool { return samples[i].At > at })
}

// Well reports whether every instance, by its last sample at or before the
// given time but after healed, has a lease within the bound, is not degraded,
// and has no invalidation waiting.
func (f *Fleet) Well(healed, at int64) bool {
	for _, m := range f.Members {
		samples, alive := state(m, func(m *Member) []sample { return m.samples })
		if !alive {
			return false
		}
		i := firstAfter(samples, at) - 1
		if i < 0 || samples[i].At < healed || samples[i].life != samples[len(samples)-1].life {
			return false
		}
		s := &samples[i]
		if s.Degraded || s.Pending > 0 || s.LeaseAge < 0 || s.LeaseAge > int64(f.opts.Library) {
			return false
		}
	}
	return true
}

// window is what a hit ratio is taken over when it is asked whether it is back.
const window = 200 * time.Millisecond

// Recovery is how long after a fault's end it took until all instances were
// well again, and until L1 answered as many reads of each system as before, in
// each instance, nine tenths of that at least. Negative: not yet.
type Recovery struct {
	State time.Duration
	Hits  [wire.Systems]time.Duration
}

// Done reports whether everything is back.
func (r Recovery) Done() bool {
	return r.State >= 0 && min(r.Hits[wire.Doppio], r.Hits[wire.Baseline]) >= 0
}

// Recovery looks back at the time from healed on, at which a fault had ended.
// usual are the shares of a calm time.
func (f *Fleet) Recovery(healed int64, usual Shares) Recovery {
	r := Recovery{State: -1, Hits: [wire.Systems]time.Duration{-1, -1}}
	for at := healed; at <= wire.Now() && !r.Done(); at += int64(reportEvery) {
		since := time.Duration(at - healed)
		if r.State < 0 && f.Well(healed, at) {
			r.State = since
		}
		for s := range wire.Systems {
			if r.Hits[s] < 0 && f.warm(s, at, usual[s].Ratio()) {
				r.Hits[s] = since
			}
		}
	}
	return r
}

// warm reports whether L1 of every instance answered enough reads in the time
// before a moment.
func (f *Fleet) warm(s wire.System, at int64, usual float64) bool {
	for _, m := range f.Members {
		var shares Shares
		m.changes(at-int64(window), at, shares.add)
		if shares[s].All == 0 || shares[s].Ratio() < 0.9*usual {
			return false
		}
	}
	return true
}
