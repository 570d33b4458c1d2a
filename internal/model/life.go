package model

// lives is what is known of values whose life may end while they are kept.
type lives struct {
	Shown [maxInstances]uint8 // the highest version that a read on the instance has returned
}

// past is what a reader knows of a value past its life.
type past struct {
	Soft   uint8 // no older version may be returned as one that is not stale: an Expire was confirmed
	Shown  uint8 // no older version may be returned as a stale one: a read before has returned it
	Over   uint8 // the life of the value that it looks at has ended
	Barred uint8 // and it was made before the instance's bar
	Ver    uint8 // a value past its life that the reader itself has read
	Mark   mark
	Doomed uint8 // as in entry
	Stale  uint8 // it returns a value past its life
	Left   uint8 // the caller has gone; its flight goes on
	Again  uint8 // it has a new stamp, and has not asked yet whether an invalidation is pending
}

// op is what the writer of an instance does.
//
//go:norace
func (g *generator) op(w *writer, i int) Op { return g.Ops[i][w.Op-1] }

// invalidation runs the script of a Delete, or of an Expire.
//
//go:norace
func (g *generator) invalidation(s *State, i int) uint8 {
	if g.op(&s.Instance[i].Writer, i) == Expire {
		return g.runExpire(s)
	}
	return g.runInvalidate(s)
}

// invalidationKind is which of them it is.
//
//go:norace
func (g *generator) invalidationKind(i int) callKind {
	if g.op(&g.from.Instance[i].Writer, i) == Expire {
		return callExpire
	}
	return callInvalidate
}

// runExpire runs the script that ends the life of the value and keeps it.
//
//go:norace
func (g *generator) runExpire(s *State) uint8 {
	r := &s.Redis
	if g.on(ExpireRemovesLease) {
		g.endLease(s)
	}
	if g.on(ExpireEndsLife) {
		r.Over = b2u(r.Ver != 0)
	}
	if g.on(ExpireCounts) {
		g.advance(r)
	}
	publish(s)
	return r.Seq
}

// endLives ends the life of the value, or of a copy, which are kept.
//
//go:norace
func (g *generator) endLives() {
	if g.from.Left.Lives == 0 {
		return
	}
	if r := &g.from.Redis; r.Ver != 0 && r.Over == 0 {
		g.endLife()
	}
	for i := range g.Instances {
		if e := &g.from.Instance[i].Entry; e.Ver != 0 && e.Over == 0 {
			n := g.next(EndCopyLife, i, 0)
			n.Left.Lives--
			n.Instance[i].Entry.Over = 1
		}
	}
}

// endLife ends the life of the value. Copies of it live no longer, and who has read it
// judges it when the reply has come.
//
//go:norace
func (g *generator) endLife() {
	n := g.next(EndLife, 0, 0)
	n.Left.Lives--
	n.Redis.Over = 1
	for i := range n.Instance {
		in := &n.Instance[i]
		if in.Entry.Ver == n.Redis.Ver {
			in.Entry.Over = 1
		}
		for j := range in.Readers {
			if r := &in.Readers[j]; r.PC == getDone && r.VTok == n.Redis.VTok {
				r.Past.Over = 1
			}
		}
	}
}

// requireSoft is require for an Expire.
//
//go:norace
func (g *generator) requireSoft(a *ack, ver uint8, i int, r *reader) {
	if a.Who == uint8(i+1) || a.Age > g.Bound {
		r.Past.Soft = ver
	}
}

// shows looks at what a read returns, as far as lives matter.
//
//go:norace
func (g *generator) shows(n *State, i int, r *reader) {
	if !g.Stale {
		return
	}
	switch p := &r.Past; {
	case p.Stale == 0 && r.Ver < p.Soft && !g.Weak: // of a weak validator what was expired may live again
		g.broken(Expired)
	case p.Stale == 1 && r.Ver < p.Shown:
		g.broken(WentBack)
	}
	if r.Past.Stale == 0 && r.Tier == 1 && r.Ver < r.Past.Shown {
		n.Life.Shown[i] = r.Ver // the newer one was loaded without Redis, which does not know of it yet
	}
	raise(&n.Life.Shown[i], r.Ver)
}

// tidyLives forgets what does not matter.
//
//go:norace
func (g *generator) tidyLives(s *State) {
	for _, r := range [...]*redis{&s.Redis, &s.Replica, &s.Old} {
		if r.Ver == 0 {
			r.Over, r.Barred, r.Foreign = 0, 0, 0
		}
	}
	if !g.Stale {
		return
	}
	for i := range g.Instances {
		in := &s.Instance[i]
		if !g.reads(i) || !in.alive() {
			s.Redis.Barred &^= 1 << i
			s.Life.Shown[i] = 0
		}
		for j := range in.Readers {
			if p := &in.Readers[j].Past; p.Ver != 0 && g.on(HeldIsJudged) && g.gone(in, &p.Mark) {
				p.Ver, p.Mark, p.Doomed = 0, mark{}, 0
			}
		}
	}
}

// looksAt takes a reply of Redis.
//
//go:norace
func (g *generator) looksAt(r *reader, from *redis, i int) {
	r.Seq, r.Ver, r.VTok, r.VSeq, r.Tag.Stamp = from.Seq, from.Ver, from.VTok, from.VSeq, from.VTag
	if from.Ver != 0 && g.below(from) {
		r.Ver, r.VTok, r.VSeq, r.Tag.Stamp = 0, 0, 0, 0
	}
	r.Past.Over, r.Past.Barred, r.Foreign = from.Over, from.Barred>>i&1, from.Foreign
}

// over reports whether the life of the value that a reader has read has ended, and
// takes note of it if it may be served nevertheless.
//
//go:norace
func (g *generator) over(n *State, i, j int, doomed uint8) bool {
	in := &n.Instance[i]
	r := &in.Readers[j]
	over := r.Past.Over == 1
	if over && !g.Tagged && g.Kinds[i][j].servesStale() && !(g.dead(n, doomed) && g.on(EpochEndsStale)) {
		m := g.readMark(in, r)
		g.hold(in, r, &m, doomed)
	}
	r.Past.Over, r.Past.Barred = 0, 0
	return over
}
