package fence

import "sync/atomic"

// Heard applies an invalidation message: number seq of partition p, concerning
// the keys with these hashes, or the whole partition if there are none. It
// reports whether numbers before it are missing (a gap), in which case all
// older copies of the partition are void too.
//
// Stripes (and the floor) are raised before last. The probe grants a lease
// where last has reached the sequence that it read; were last raised first, a
// probe between the two steps would grant a lease under which a copy is served
// that this message voids.
func (t *Table) Heard(p int, seq uint64, hashes []uint64) (gap bool) {
	if seq > sequenceMask {
		return false
	}
	pt := &t.parts[p]
	pt.mu.Lock()
	defer pt.mu.Unlock()
	for _, h := range hashes {
		if q, word := t.of(h); q == pt {
			raiseSequence(word, seq)
		}
	}
	last := pt.last.Load()
	gap = seq > last+1
	if gap || len(hashes) == 0 {
		raise(&pt.floor, seq)
	}
	raise(&pt.last, seq)
	return gap && last > 0
}

// Raise makes the fence of a key at least seq: this instance's own invalidation
// got that number. Unlike a message it says nothing about the numbers before.
func (t *Table) Raise(hash, seq uint64) {
	if seq > sequenceMask {
		return
	}
	p, word := t.of(hash)
	p.mu.Lock()
	raiseSequence(word, seq)
	raise(&p.seen, seq)
	p.mu.Unlock()
}

// RaiseFloor voids all copies of partition p that are older than seq.
func (t *Table) RaiseFloor(p int, seq uint64) {
	if seq > sequenceMask {
		return
	}
	pt := &t.parts[p]
	pt.mu.Lock()
	raise(&pt.floor, seq)
	pt.mu.Unlock()
}

// Void makes every copy of the key, and every read or load of it that is under
// way, invalid, without knowing a sequence: an invalidation of it may or may
// not have happened.
func (t *Table) Void(hash uint64) {
	t.voidings.Add(1) // before the word, see Table.TagMark
	p, word := t.of(hash)
	p.mu.Lock()
	defer p.mu.Unlock()
	w := word.Load()
	if w>>sequenceBits == maxVoidings {
		// The counter is full. Start over under a new generation, which voids
		// the partition: better than a counter that goes round.
		p.rewind(p.last.Load(), p.floor.Load())
		return
	}
	word.Store(w + 1<<sequenceBits)
}

// VoidPartition makes every copy of partition p, and every read or load that
// is under way in it, invalid.
func (t *Table) VoidPartition(p int) {
	pt := &t.parts[p]
	pt.mu.Lock()
	pt.generation.Add(2)
	pt.mu.Unlock()
}

// Advance counts an invalidation of a key in a table that has no Redis, and
// returns its number.
func (t *Table) Advance(hash uint64) (seq uint64) {
	p, word := t.of(hash)
	p.mu.Lock()
	seq = p.last.Load() + 1
	raiseSequence(word, seq)
	p.last.Store(seq)
	p.mu.Unlock()
	return seq
}

// AdvancePartition counts an invalidation of all keys of partition p in a table
// that has no Redis.
func (t *Table) AdvancePartition(p int) {
	pt := &t.parts[p]
	pt.mu.Lock()
	seq := pt.last.Load() + 1
	raise(&pt.floor, seq)
	pt.last.Store(seq)
	pt.mu.Unlock()
}

// rewind starts the partition over at sequence last under a new generation.
// The caller holds p.mu. See [Table.Stamp] and [Table.Valid] for the readers'
// side.
func (p *partition) rewind(last, floor uint64) {
	p.generation.Add(1) // odd: nothing is valid, no stamp is good
	for i := range p.stripes {
		p.stripes[i].Store(0)
	}
	p.floor.Store(floor)
	p.last.Store(last)
	p.seen.Store(last)
	p.generation.Add(1)
}

// raise makes *v at least n. The caller holds the partition's lock.
func raise(v *atomic.Uint64, n uint64) {
	if v.Load() < n {
		v.Store(n)
	}
}

// raiseSequence makes the sequence of a fence word at least seq and keeps its
// count of voidings. The caller holds the partition's lock.
func raiseSequence(word *atomic.Uint64, seq uint64) {
	if w := word.Load(); w&sequenceMask < seq {
		word.Store(w&^sequenceMask | seq)
	}
}
