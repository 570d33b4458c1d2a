package fence

// A tag is invalidated like a key: it has a hash, a partition and a stripe. But
// a value's tags may be known only once it has been loaded, so that no stamp of
// theirs can be taken before. What is taken before is a snapshot of all
// partitions.

// Snapshot is what had happened in each partition when it was taken: whatever
// begins afterwards includes it. It does not change.
type Snapshot struct {
	t0    int64
	parts []moment
}

type moment struct{ generation, voidings, seq uint64 }

// Snapshot takes one, before the first step of a load.
//
// As in [Table.Stamp], the generation comes first. If the partition is rewritten
// after it was read, then no mark made from it is valid.
func (t *Table) Snapshot() *Snapshot {
	s := &Snapshot{t0: t.Now(), parts: make([]moment, len(t.parts))}
	for i := range t.parts {
		p, m := &t.parts[i], &s.parts[i]
		if m.generation = p.generation.Load(); m.generation&1 == 1 {
			m.generation = 0
		}
		m.voidings = p.voidings.Load()
		m.seq = max(p.last.Load(), p.seen.Load(), p.floor.Load())
	}
	return s
}

// Includes is the sequence in the partition of a tag that whatever began after
// the snapshot includes.
func (t *Table) Includes(s *Snapshot, tag uint64) uint64 { return s.parts[t.index(tag)].seq }

// TagMark is the mark, as far as a tag is concerned, of what was loaded since
// the snapshot. It is the zero Mark, which is never valid, if some invalidation
// that Redis has not confirmed has voided a stripe of the partition since: which
// one is not known any more.
//
// The stripe's voidings are those of now, and so the partition's count of them
// comes after: a voiding raises the count first. If this sees a new word it sees
// a new count, and if it sees the old word, the mark is void.
func (t *Table) TagMark(s *Snapshot, tag uint64) Mark {
	p, word := t.of(tag)
	part := s.parts[t.index(tag)]
	voidings := word.Load() &^ sequenceMask
	if p.voidings.Load() != part.voidings || part.generation == 0 || part.seq > sequenceMask {
		return Mark{}
	}
	return Mark{Hash: tag, Generation: part.generation, AsOf: voidings | part.seq, T0: s.t0}
}

// TagMarkAt is the mark, as far as a tag is concerned, of a value that is known
// to include all invalidations of the tag's partition up to seq, and for which
// nothing but this instance's own knowledge says that there was none since: ok is
// false if it does not say so.
//
// Its time is that of the lease, because only up to then is it known, whenever
// the value itself was read.
func (t *Table) TagMarkAt(tag, seq uint64) (m Mark, ok bool) {
	p, word := t.of(tag)
	generation := p.generation.Load()
	lease := p.lease.Load()
	now := t.Now()
	w := word.Load()
	if generation&1 == 1 || now-lease > t.bound || lease <= p.rewound.Load() || seq > p.last.Load() ||
		seq < w&sequenceMask || seq < p.floor.Load() || seq > sequenceMask {
		return Mark{}, false
	}
	return Mark{Hash: tag, Generation: generation, AsOf: w&^sequenceMask | seq, T0: lease}, true
}

// ValidTags is [Table.ValidAt] for the marks of an entry's tags, whose
// partitions differ from the key's and from each other's. now was read on the
// table's clock when the read began. A lease that is renewed after that does no
// harm: the fences are loaded after the lease, and so what it stands for is seen.
func (t *Table) ValidTags(tags []Mark, now int64) bool {
	for i := range tags {
		m := &tags[i]
		p, word := t.of(m.Hash)
		at := Moment{Now: now, lease: p.lease.Load(), part: p, word: word}
		if !t.ValidAt(m, &at) {
			return false
		}
	}
	return true
}

// TagsPass is [Table.Passes] for the marks of tags: it reports whether nothing
// was heard that voids one of them, whatever their age.
func (t *Table) TagsPass(tags []Mark) bool {
	for i := range tags {
		m := &tags[i]
		p, word := t.of(m.Hash)
		if m.AsOf < word.Load() || m.AsOf&sequenceMask < p.floor.Load() || m.Epoch() != p.generation.Load() {
			return false
		}
	}
	return true
}

// Current reports whether the mark is of the present generation of its
// partition, and the partition has a live lease.
func (t *Table) Current(m *Mark) bool {
	p, _ := t.of(m.Hash)
	lease := p.lease.Load()
	return t.Now()-lease <= t.bound && m.Epoch() == p.generation.Load()
}
