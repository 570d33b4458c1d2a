package fence

import "sync/atomic"

// Mark is what a copy carries so that its freshness can be judged. The zero
// Mark is never valid.
//
// It has no room for a flag of its own: with it, what a hit reads of an entry
// would no longer fit into one cache line.
type Mark struct {
	Hash       uint64 // of the key
	Generation uint64 // of the partition, when the read or load began; odd: see Detach
	AsOf       uint64 // voidings of the stripe and sequence that the copy is known to include
	T0         int64  // time on the table's clock before the first step of the read or load
}

// detached is the bit of a mark's generation that says that the copy was made
// without Redis. It is free because generations in which copies are made are
// even.
const detached = 1

// Stamp is taken before the first step of a read or a load; what is learned
// afterwards cannot make it newer.
type Stamp struct {
	Hash       uint64
	Generation uint64
	Fence      uint64 // the stripe's word
	Floor      uint64
	Last       uint64
	T0         int64
}

// Stamp reads the fences of a key.
//
// A concurrent rewrite of the stripes (see rewind) makes the partition's
// generation odd, rewrites, and makes it even again. Three interleavings: the
// generation is read before the rewrite begins (then it differs from the one
// after, and no mark made from the stamp is valid), during it (then it is odd,
// which no mark may carry, so the stamp gets the impossible generation 0), or
// after it (then the words read next are the new ones).
func (t *Table) Stamp(hash uint64) Stamp {
	p, word := t.of(hash)
	s := Stamp{Hash: hash, T0: t.Now(), Generation: p.generation.Load()}
	if s.Generation&1 == 1 {
		s.Generation = 0
	}
	s.Last = p.last.Load()
	s.Fence = word.Load()
	s.Floor = p.floor.Load()
	return s
}

// At is the mark of a copy that Redis handed out, or accepted, when the
// partition's sequence was seq.
func (s Stamp) At(seq uint64) Mark {
	m := Mark{Hash: s.Hash, Generation: s.Generation, T0: s.T0}
	if seq > sequenceMask {
		return Mark{} // not a sequence that we can compare: never valid
	}
	m.AsOf = s.Fence&^sequenceMask | seq
	return m
}

// Mark is the mark of a copy that was made without asking Redis: it includes
// all invalidations heard before the stamp, because each of them had happened
// when its message (or the probe's answer) arrived.
func (s Stamp) Mark() Mark { return s.At(max(s.Last, s.Floor, s.Fence&sequenceMask)) }

// Detach returns the mark as one that no lease can prolong: it is valid for
// the bound from its own T0 only.
func (m Mark) Detach() Mark {
	m.Generation |= detached
	return m
}

// Detached reports whether only the copy's own age counts, never a lease.
func (m Mark) Detached() bool { return m.Generation&detached != 0 }

// Epoch is the generation of the partition that the mark is of, as a number that
// grows with it.
func (m Mark) Epoch() uint64 { return m.Generation &^ detached }

// Sequence is the number of the last invalidation that the copy is known to
// include.
func (m Mark) Sequence() uint64 { return m.AsOf & sequenceMask }

// Moment is where a read begins: what [Table.ValidAt] is to judge by, of which
// the copy itself is no part. It is taken before the copy is looked up, so that
// the processor need not wait for the copy before it reads the clock.
type Moment struct {
	Now int64 // on the table's clock

	lease int64
	part  *partition
	word  *atomic.Uint64
}

// Moment is that of a read of a key. It does not allocate.
//
// The lease before the clock: a goroutine that is paused between the two then
// sees the lease as older than it is, never as younger.
func (t *Table) Moment(hash uint64) Moment {
	p, word := t.of(hash)
	lease := p.lease.Load()
	return Moment{Now: t.Now(), lease: lease, part: p, word: word}
}

// ValidAt reports whether a copy with this mark may be served to a read that
// began at the given moment, which must be one of the mark's hash. It does not
// allocate.
//
// The order of the loads matters:
//
//   - The lease (in Moment) before the fences: the probe raises the floor before
//     it renews the lease, so whoever sees the new lease sees the floor that it
//     stands for. The other way round: load the old floor, then the probe raises
//     floor and lease, load the new lease: a copy that the floor voids is served
//     under a lease that was granted because the floor voids it.
//   - The generation last: whoever rewrites stripes changes the generation
//     first. The other way round: load the old generation, then the stripes are
//     reset, load a stripe that no longer knows the invalidation.
func (t *Table) ValidAt(m *Mark, at *Moment) bool {
	if (at.Now-at.lease > t.bound || m.Detached()) && at.Now-m.T0 > t.bound {
		return false
	}
	return m.AsOf >= at.word.Load() &&
		m.AsOf&sequenceMask >= at.part.floor.Load() &&
		m.Epoch() == at.part.generation.Load()
}

// Valid reports whether a copy with this mark may be served now, and the time on
// the table's clock at which that was decided. It does not allocate.
func (t *Table) Valid(m *Mark) (now int64, ok bool) {
	at := t.Moment(m.Hash)
	return at.Now, t.ValidAt(m, &at)
}

// Passes reports whether nothing was heard, since the stamp was taken, that
// could concern its key. A load whose stamp no longer passes may have read
// what was deleted meanwhile.
func (t *Table) Passes(s *Stamp) bool {
	p, word := t.of(s.Hash)
	// The same order as in ValidAt, for the same reason.
	return s.Fence >= word.Load() &&
		max(s.Floor, s.Fence&sequenceMask) >= p.floor.Load() &&
		s.Generation == p.generation.Load()
}

// Behind reports whether Redis has handed out a copy with this mark as of a number
// below what was known here of its key when the stamp was taken, before Redis was
// asked: it knows less than this instance did. Numbers of a former generation are
// not compared.
func (t *Table) Behind(s *Stamp, m *Mark) bool {
	p, _ := t.of(s.Hash)
	return m.Sequence() < max(s.Floor, s.Fence&sequenceMask) && s.Generation == p.generation.Load()
}

// Confirmed reports whether, at this moment, everything up to less than the
// bound ago is known to have been heard in the stamp's partition, or the stamp
// itself is younger than the bound.
func (t *Table) Confirmed(s *Stamp) bool {
	lease := t.parts[t.index(s.Hash)].lease.Load()
	now := t.Now()
	return now-s.T0 <= t.bound || now-lease <= t.bound
}
