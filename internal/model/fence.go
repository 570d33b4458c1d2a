package model

// The fences of an instance, as package fence has them.

// confirmed reports whether the lease of the partition is within the bound.
//
//go:norace
func (g *generator) confirmed(in *instance) bool { return in.Lease <= g.Bound }

// within is the part of Valid that is about time.
//
//go:norace
func (g *generator) within(in *instance, m *mark) bool {
	if !g.on(CopyNeedsLease) {
		return true
	}
	leased := g.confirmed(in) && (m.Detached == 0 || !g.on(DetachedEnds))
	return leased || m.T0 <= g.Bound
}

//go:norace
func (g *generator) passesStripe(in *instance, m *mark) bool {
	return !g.on(StripeVoids) || m.Void == 1 && m.AsOf >= in.Stripe
}

//go:norace
func (g *generator) passesFloor(in *instance, m *mark) bool {
	return !g.on(FloorVoids) || m.AsOf >= in.Floor
}

//go:norace
func (g *generator) passesGeneration(m *mark) bool {
	return !g.on(GenerationVoids) || m.Gen == 1
}

// passesFences is the part of Valid that is not about time.
//
//go:norace
func (g *generator) passesFences(in *instance, m *mark) bool {
	return m.AsOf > 0 && g.passesStripe(in, m) && g.passesFloor(in, m) && g.passesGeneration(m)
}

// valid is Valid in one step.
//
//go:norace
func (g *generator) valid(in *instance, m *mark) bool {
	return g.within(in, m) && g.passesFences(in, m)
}

// passes reports whether nothing was heard since the stamp was taken.
//
//go:norace
func (g *generator) passes(in *instance, st *stamp) bool {
	return st.Void == 1 && st.Fence >= in.Stripe && st.Floor >= in.Floor && st.Gen == 1
}

// stampNow takes a stamp in one step.
//
//go:norace
func (g *generator) stampNow(in *instance) stamp {
	st := stamp{Gen: 1}
	if in.Odd > 0 && g.on(OddIsNoGeneration) {
		st.Gen = 0
	}
	st.readFences(in)
	return st
}

//go:norace
func (st *stamp) readFences(in *instance) {
	st.Void, st.Fence, st.Floor = 1, in.Stripe, max(in.Floor, in.Stripe)
}

// at is the mark of a copy that Redis handed out, or accepted, at a sequence.
//
//go:norace
func (st *stamp) at(seq uint8) mark {
	return mark{Gen: st.Gen, Void: st.Void, AsOf: seq, T0: st.T0, Barred: st.Barred}
}

// alone is the mark of a copy that was made without Redis. It includes all that
// was heard when the stamp was taken.
//
//go:norace
func (st *stamp) alone(in *instance) mark {
	m := st.at(max(in.Last, in.Floor, in.Stripe))
	m.Detached = 1
	return m
}

// answered is Answered: older copies must not be served after a value with this
// mark was. A number of an earlier generation would make stamps pass that are
// older than what the present one counts, so that it voids without it. (That
// counterexample is five million states away; the row of NumbersNeedGeneration in
// Mutants is about the same rule in invalidated.)
//
//go:norace
func (g *generator) answered(in *instance, m *mark) {
	switch {
	case m.AsOf == 0:
	case m.Gen == 0 && g.on(NumbersNeedGeneration):
		in.void()
	default:
		raise(&in.Stripe, m.AsOf)
	}
}

// invalidated is Invalidated: an own invalidation that was sent at a position,
// and confirmed with a number. It reports whether the partition has started over.
//
//go:norace
func (g *generator) invalidated(in *instance, seq uint8, since position) (lost bool) {
	if since.Gen == 0 && g.on(NumbersNeedGeneration) {
		in.void()
		return false
	}
	if lost = seq <= since.Last && g.on(OldNumberRestarts); lost {
		g.rewind(in, seq)
		if in.Odd > 0 {
			return true // the stripe follows when that has ended
		}
	}
	raise(&in.Stripe, seq)
	return lost
}

//go:norace
func raise(v *uint8, n uint8) { *v = max(*v, n) }

// gone reports whether a copy can never be valid again.
//
//go:norace
func (g *generator) gone(in *instance, m *mark) bool {
	return !g.FineRewinds && (!g.passesFences(in, m) || m.Detached == 1 && g.on(DetachedEnds) && m.T0 > g.Bound)
}

// supersedes reports whether L1 keeps e rather than old.
//
//go:norace
func (g *generator) supersedes(e, old *entry) bool {
	a, b := &e.Mark, &old.Mark
	switch {
	case old.Ver == 0 || !g.on(NewerStays):
		return true
	case a.Gen != b.Gen:
		return a.Gen > b.Gen
	case a.Detached+b.Detached > 0:
		return a.T0 <= b.T0
	case a.Void != b.Void:
		return a.Void > b.Void
	default:
		return a.AsOf >= b.AsOf
	}
}

//go:norace
func (in *instance) position() position { return position{Gen: 1, Last: in.Last} }

// eachMark calls f for everything on an instance that carries a generation and
// a count of voidings.
//
//go:norace
func (in *instance) eachMark(f func(gen, void *uint8)) {
	f(&in.Entry.Mark.Gen, &in.Entry.Mark.Void)
	f(&in.Writer.Stamp.Gen, &in.Writer.Stamp.Void)
	f(&in.Writer.Mark.Gen, &in.Writer.Mark.Void)
	for j := range in.Readers {
		r := &in.Readers[j]
		f(&r.Mark.Gen, &r.Mark.Void)
		f(&r.Past.Mark.Gen, &r.Past.Mark.Void)
		f(&r.Ask.Mark.Gen, &r.Ask.Mark.Void)
		f(&r.Stamp.Gen, &r.Stamp.Void)
	}
}

// void counts a voiding of the stripe.
//
//go:norace
func (in *instance) void() {
	in.eachMark(func(_, void *uint8) { *void = 0 })
}

// newGeneration makes everything be of an earlier generation.
//
//go:norace
func (in *instance) newGeneration() {
	in.Writer.Since.Gen, in.Queue.Since.Gen = 0, 0
	in.eachMark(func(gen, _ *uint8) { *gen = 0 })
}

// rewind starts the instance over at a sequence, under a new generation. With
// [Scenario].FineRewinds it takes three steps; the first is done here, the
// others by rewrite. Nobody but readers comes in between: writers hold a lock.
//
//go:norace
func (g *generator) rewind(in *instance, seq uint8) {
	if !g.FineRewinds {
		in.newGeneration()
		in.Stripe, in.Floor, in.Last = 0, seq, seq
		return
	}
	if g.on(RewriteIsOdd) {
		in.newGeneration()
	}
	in.Stripe = 0
	in.Odd = 1
	in.Last = seq
}

// rewrite goes on with a rewind.
//
//go:norace
func (g *generator) rewrite(i int) {
	n := g.next(Rewrite, i, 0)
	in := &n.Instance[i]
	if in.Odd == 1 {
		in.Floor = in.Last
		in.Odd = 2
		return
	}
	in.newGeneration()
	in.Odd = 0
}

// locked reports whether somebody holds the lock of the partition's writers.
//
//go:norace
func (g *generator) locked(in *instance) bool {
	if in.Odd > 0 {
		return true
	}
	return !g.Unlocked && (in.Hear.PC == hearSecond || in.Probe.PC == probeLease)
}
