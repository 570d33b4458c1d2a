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

// Answered takes in that a value with this mark was, or is about to be, given to
// a caller: copies of its key that are older must not be served after it.
//
// The mark may be of a former generation: Redis has lost the sequence while the
// value was under way. Its number then means nothing among those of the present
// one. It must not get into the stripe, where it could be larger than all that
// the new sequence will count for years: the stripe would void nothing any more
// that was made without Redis, since such a copy includes what the stripe says,
// and it would void all that was read from Redis. So the key is voided without a
// number.
func (t *Table) Answered(m *Mark) {
	if m.Generation == 0 {
		return
	}
	p, word := t.of(m.Hash)
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.Epoch() != p.generation.Load() {
		t.void(p, word)
		return
	}
	raiseSequence(word, m.Sequence())
	raise(&p.seen, m.Sequence())
}

// Position is how far a partition has been heard.
type Position struct {
	Generation uint64
	Last       uint64 // highest sequence heard
}

// Position of partition p at this moment.
func (t *Table) Position(p int) Position {
	pt := &t.parts[p]
	// Were the sequence loaded first, a rewrite between the two (see rewind) would
	// still only make the position look older than it is.
	return Position{Generation: pt.generation.Load(), Last: pt.last.Load()}
}

// Invalidated takes in an own invalidation in partition p, of the keys with these
// hashes or of all if there are none, that Redis has confirmed with number seq.
// since is the [Table.Position] from before it was sent. Unlike a message it says
// nothing about the numbers before.
//
// A number that is not above since.Last means that Redis has lost the sequence,
// and no probe has noticed yet: copies here carry higher numbers, and the stripes
// would not void them. The partition starts over, and lost is true.
//
// If the partition has started over since, it is not known to which sequence the
// number belongs: the confirmation may have been under way while Redis lost the
// one that it counted in and a probe noticed. The keys are voided without it, for
// the reason given at [Table.Answered]. Then the fences say nothing of the invalidation
// to who reads a value from Redis with a tag that it is about. As when the stripes are
// emptied (see rewind), of a tag nothing is known here from then on until a probe that
// was sent after this has confirmed the partition. Three calls are enough otherwise: a
// Clear and an InvalidateTags are under way; another Clear fails, is queued and voids
// the partition; the tag is confirmed, and the Clear, which voids the partition again
// while the other one is sent again; that is confirmed and leaves the queue. None of
// the numbers has got into the fences, nothing is pending, and the lease is live.
func (t *Table) Invalidated(p int, hashes []uint64, seq uint64, since Position) (lost bool) {
	if seq > sequenceMask {
		return false
	}
	pt := &t.parts[p]
	pt.mu.Lock()
	defer pt.mu.Unlock()
	if pt.generation.Load() != since.Generation {
		// Before what is voided: who has a mark from after that sees it.
		pt.rewound.Store(t.Now())
		if len(hashes) == 0 {
			pt.generation.Add(2)
		}
		for _, h := range hashes {
			if q, word := t.of(h); q == pt {
				t.void(pt, word)
			}
		}
		return false
	}
	if lost = seq <= since.Last; lost {
		pt.rewind(t.Now(), seq, seq)
	}
	if len(hashes) == 0 {
		raise(&pt.floor, seq)
	}
	for _, h := range hashes {
		if q, word := t.of(h); q == pt {
			raiseSequence(word, seq)
		}
	}
	raise(&pt.seen, seq)
	return lost
}

// Void makes every copy of the key, and every read or load of it that is under
// way, invalid, without knowing a sequence: an invalidation of it may or may
// not have happened.
func (t *Table) Void(hash uint64) {
	p, word := t.of(hash)
	p.mu.Lock()
	defer p.mu.Unlock()
	t.void(p, word)
}

// void is Void for a stripe of the partition. The caller holds p.mu.
func (t *Table) void(p *partition, word *atomic.Uint64) {
	p.voidings.Add(1) // before the word, see Table.TagMark
	w := word.Load()
	if w>>sequenceBits == maxVoidings {
		// The counter is full. Start over under a new generation, which voids
		// the partition: better than a counter that goes round. The floor then
		// stands for what the stripes knew.
		last := p.last.Load()
		p.rewind(t.Now(), last, max(last, p.seen.Load(), p.floor.Load()))
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
//
// What the stripes knew is forgotten. Copies that this instance has are void by
// their generation. Of a tag of a value that it reads it cannot say by itself that
// it was not invalidated, until a probe that was sent after this has confirmed
// the partition: hence the time. (An own invalidation may have been counted after
// the answer that leads here was given, and its message be among what is
// forgotten.)
func (p *partition) rewind(now int64, last, floor uint64) {
	p.generation.Add(1) // odd: nothing is valid, no stamp is good
	p.rewound.Store(now)
	for i := range p.stripes {
		// Most are empty, all of them at the first probe: a page that is only
		// read is none that the process has to have.
		if word := &p.stripes[i]; word.Load() != 0 {
			word.Store(0)
		}
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
