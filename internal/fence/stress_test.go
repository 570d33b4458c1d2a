package fence_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
)

const (
	writers = 3
	slots   = 8 // copies of each key
)

// world is one partition as Redis has it, and everything that happened to its
// keys, which only the test knows.
type world struct {
	table *fence.Table

	// underWay holds a token of each writer whose message is not yet applied.
	// The sequence goes back while there is none: a message from before that
	// arrives after it would be taken for one of the new sequence.
	underWay chan struct{}

	mu       sync.Mutex
	sequence uint64
	keys     [16]history
}

// history is what happened to one key. Its version counts its invalidations.
type history struct {
	committed []int64       // when, on the table's clock
	known     atomic.Uint64 // version of the last one that has been applied to the table
	copies    [slots]atomic.Pointer[replica]
}

// replica is a copy of a key.
type replica struct {
	mark    fence.Mark
	version uint64
}

// hashOf spreads the keys over half as many stripes.
func hashOf(k int) uint64 { return uint64(k/2+1)<<32 | uint64(k) }

// commit invalidates key k in Redis.
func (w *world) commit(k int) (seq, version uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sequence++
	h := &w.keys[k]
	h.committed = append(h.committed, w.table.Now())
	return w.sequence, uint64(len(h.committed))
}

// read is what Redis answers to who asks for key k.
func (w *world) read(k int) (seq, version uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sequence, uint64(len(w.keys[k].committed))
}

// learn notes that the invalidation with this version has been applied.
func (h *history) learn(version uint64) {
	for {
		known := h.known.Load()
		if known >= version || h.known.CompareAndSwap(known, version) {
			return
		}
	}
}

// invalidate does it in one of the ways in which an instance may come to know
// of it, or not.
func (w *world) invalidate(r *rand.Rand) {
	k := r.IntN(len(w.keys))
	h := &w.keys[k]
	w.underWay <- struct{}{}
	defer func() { <-w.underWay }()
	switch n := r.IntN(100); {
	case n < 50: // elsewhere; the message arrives, sometimes late and out of order
		seq, version := w.commit(k)
		if n < 20 {
			sleep(time.Duration(r.Int64N(int64(20 * time.Millisecond))))
		}
		w.table.Heard(0, seq, []uint64{hashOf(k)})
		h.learn(version)
	case n < 58: // elsewhere; the message is lost
		w.commit(k)
	case n < 80: // here
		seq, version := w.commit(k)
		own(w.table, hashOf(k), seq)
		h.learn(version)
	case n < 90: // here, with an outcome that is not known
		_, version := w.commit(k)
		w.table.Void(hashOf(k))
		h.learn(version)
	case n < 92: // the same of the whole partition
		_, version := w.commit(k)
		w.table.VoidPartition(0)
		h.learn(version)
	default: // the message says that the whole partition is void
		seq, version := w.commit(k)
		w.table.Heard(0, seq, nil)
		h.learn(version)
	}
}

// makeCopy reads a key, sometimes slowly, sometimes without asking for the
// sequence, and keeps what it read if the stamp still passes.
func (w *world) makeCopy(r *rand.Rand) {
	k := r.IntN(len(w.keys))
	s := w.table.Stamp(hashOf(k))
	if r.IntN(10) == 0 {
		sleep(time.Duration(r.Int64N(int64(2 * D))))
	}
	seq, version := w.read(k)
	c := &replica{mark: s.At(seq), version: version}
	if r.IntN(3) == 0 {
		c.mark = s.Mark()
		if r.IntN(2) == 0 {
			c.mark = c.mark.Detach()
		}
	}
	w.keys[k].copies[r.IntN(slots)].Store(c)
}

// probe is a round of the prober, which loses some.
func (w *world) probe(r *rand.Rand) {
	t0, before := w.table.Now(), w.table.Last(0)
	seq, _ := w.read(0)
	sleep(time.Duration(r.Int64N(int64(10 * time.Millisecond))))
	if r.IntN(4) == 0 {
		return
	}
	if w.table.Observe(0, before, seq, t0) == fence.Behind {
		sleep(D / 8)
		w.table.Settle(0, seq, t0)
	}
}

// loseSequence lets Redis lose the sequence, and the prober find it out at
// once. (Until it does, numbers of before and after cannot be told apart, and
// the guarantees do not hold.) Redis may count anew from any number, lower or
// higher, and say so; or count on from a number below what was heard; or go
// ahead, as after a failover.
func (w *world) loseSequence(r *rand.Rand) {
	for range writers {
		w.underWay <- struct{}{}
		defer func() { <-w.underWay }()
	}
	t0, before := w.table.Now(), w.table.Last(0)
	w.mu.Lock()
	switch how := r.IntN(3); {
	case how == 0 || before < 100:
		w.sequence += 50 - r.Uint64N(100)
		w.table.Restart(0, w.sequence)
	case how == 1:
		w.sequence = before - 1 - r.Uint64N(50)
		w.table.Observe(0, before, w.sequence, t0)
	default:
		w.sequence += r.Uint64N(1000)
		if w.table.Observe(0, before, w.sequence, t0) == fence.Behind {
			w.table.Settle(0, w.sequence, t0)
		}
	}
	w.mu.Unlock()
}

// look takes any copy of any key and complains if it may be served although it
// must not. It reports whether it may.
func (w *world) look(r *rand.Rand) (served bool, err error) {
	k := r.IntN(len(w.keys))
	h := &w.keys[k]
	begin, known := w.table.Now(), h.known.Load()
	c := h.copies[r.IntN(slots)].Load()
	if c == nil {
		return false, nil
	}
	if _, ok := w.table.Valid(&c.mark); !ok {
		return false, nil
	}
	if c.version < known {
		return true, fmt.Errorf("key %d: version %d was served, %d had been applied before (mark %+v)", k, c.version, known, c.mark)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if int(c.version) < len(h.committed) {
		if at := h.committed[c.version]; begin-at > int64(D) {
			return true, fmt.Errorf("key %d: version %d was served %v after the next one (mark %+v)", k, c.version, time.Duration(begin-at), c.mark)
		}
	}
	return true, nil
}

// Invalidations are committed, and their messages arrive, are lost, come late
// or in the wrong order; probes are sent, are lost and find gaps; the sequence
// goes back; copies are made and read. No read is answered with a copy that is
// older than an invalidation that had been applied here before the read began,
// or that was committed anywhere more than the bound before it began.
func TestNoReadIsTooOld(t *testing.T) {
	const lasts = 10 * time.Minute
	synctest.Test(t, func(t *testing.T) {
		w := &world{table: fence.New(1, D, 0), underWay: make(chan struct{}, writers), sequence: 1000}
		var looks, served, failed atomic.Int64
		var wg sync.WaitGroup
		every := func(pause time.Duration, act func(r *rand.Rand)) {
			seed := rand.Uint64()
			wg.Go(func() {
				r := rand.New(rand.NewPCG(seed, 0))
				for w.table.Now() < int64(lasts) && failed.Load() < 10 {
					act(r)
					sleep(time.Duration(r.Int64N(int64(2 * pause))))
				}
			})
		}
		for range writers {
			every(time.Second, w.invalidate)
			every(100*time.Millisecond, w.makeCopy)
			every(20*time.Millisecond, func(r *rand.Rand) {
				for range 50 {
					ok, err := w.look(r)
					if err != nil {
						t.Error(err)
						failed.Add(1)
						return
					}
					looks.Add(1)
					if ok {
						served.Add(1)
					}
				}
			})
		}
		every(D/4, func(r *rand.Rand) {
			if r.IntN(20) == 0 {
				w.loseSequence(r)
			} else {
				w.probe(r)
			}
		})
		wg.Wait()

		t.Logf("%d looks, %d served", looks.Load(), served.Load())
		if failed.Load() == 0 && served.Load() < looks.Load()/50 {
			t.Errorf("%d of %d copies were served: the test sees too little", served.Load(), looks.Load())
		}
	})
}
