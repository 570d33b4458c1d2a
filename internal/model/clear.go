package model

// Clear of the key's region, as far as it concerns the key's partition.

// runClear runs the script of Clear and returns its number.
//
//go:norace
func (g *generator) runClear(s *State) uint8 {
	r := &s.Redis
	if g.on(ClearCounts) {
		g.advance(r)
	}
	if g.on(ClearIsWritten) {
		r.Clear = r.Seq
	}
	s.Whole |= 1 << r.Seq
	return r.Seq
}

// clearing adds the steps of a writer that clears the region.
//
//go:norace
func (g *generator) clearing(i int) {
	from := &g.from.Instance[i]
	switch from.Writer.PC {
	case clearSent:
		n, w := g.writer(RunClear, i)
		w.Seq = g.runClear(n)
		w.PC = clearDone
		if g.from.Left.Repeats > 0 {
			n := g.next(Repeat, i, 0)
			n.Left.Repeats--
			n.late(call{Kind: callClear})
		}
		g.giveUpClear(i, true)
	case clearDone:
		if !g.locked(from) {
			n, w := g.writer(RaiseFloor, i)
			if g.on(ClearRaisesFloor) {
				g.cleared(&n.Instance[i], w.Seq, w.Since)
			}
			g.acknowledge(n, i)
		}
		g.giveUpClear(i, false)
	case clearUnknown:
		if !g.locked(from) {
			g.enqueueClear(i)
		}
	default:
	}
}

//go:norace
func (g *generator) giveUpClear(i int, sent bool) {
	if g.from.Left.Timeouts == 0 {
		return
	}
	n, w := g.writer(GiveUpDelete, i)
	n.Left.Timeouts--
	if sent {
		n.late(call{Kind: callClear})
	}
	w.Seq, w.Since, w.PC = 0, position{}, clearUnknown
}

// cleared is Invalidated for the whole partition.
//
//go:norace
func (g *generator) cleared(in *instance, seq uint8, since position) {
	if since.Gen == 0 && g.on(NumbersNeedGeneration) {
		in.newGeneration()
		return
	}
	if seq <= since.Last && g.on(OldNumberRestarts) {
		g.rewind(in, seq)
	}
	raise(&in.Floor, seq)
}

// enqueueClear takes over a Clear of unknown outcome, in two steps.
//
//go:norace
func (g *generator) enqueueClear(i int) {
	n, w := g.writer(Enqueue, i)
	in := &n.Instance[i]
	first := w.Queue == 0
	w.Queue = 1
	if first == g.on(QueueBeforeVoid) {
		if g.on(UnknownIsQueued) {
			in.Queue.add()
			in.Queue.Whole = 1
		}
	} else if g.on(UnknownClearVoids) {
		in.newGeneration()
		g.out[len(g.out)-1].Action.Kind = VoidOwn
	}
	if !first {
		n.Acks[w.Ver-1].Queue = uint8(i + 1) //nolint:gosec // fewer than maxInstances
		w.done()
	}
}

// runQueued runs what is queued.
//
//go:norace
func (g *generator) runQueued(s *State, q *queue) uint8 {
	if q.Whole == 1 {
		return g.runClear(s)
	}
	if g.Lagging && !g.on(RetriedLeavesTombstone) {
		t := s.Guard.Tomb
		seq := g.runInvalidate(s)
		s.Guard.Tomb = t
		return seq
	}
	return g.runInvalidate(s)
}

// late is what becomes of it when it is given up.
//
//go:norace
func (q *queue) late() call {
	if q.Whole == 1 {
		return call{Kind: callClear}
	}
	return call{Kind: callInvalidate}
}

// retried takes in that it was confirmed.
//
//go:norace
func (g *generator) retried(in *instance) {
	if in.Queue.Whole == 1 {
		g.cleared(in, in.Queue.Seq, in.Queue.Since)
		return
	}
	g.invalidated(in, in.Queue.Seq, in.Queue.Since)
}

// hearingClear adds the messages that name no key.
//
//go:norace
func (g *generator) hearingClear(i int) {
	from := &g.from.Instance[i]
	if g.Deaf || g.locked(from) || !g.reads(i) {
		return
	}
	for s := uint8(1); g.from.Whole>>s != 0; s++ {
		if g.from.Whole>>s&1 == 0 || s <= from.Last && s <= from.Floor {
			continue
		}
		in := &g.next(Hear, i, 0).Instance[i]
		g.arg(s)
		if s > in.Last+1 && g.on(GapRaisesFloor) || g.on(WholeMessageRaisesFloor) {
			raise(&in.Floor, s)
		}
		raise(&in.Last, s)
	}
}

// below reports whether the value in Redis is from before a Clear.
//
//go:norace
func (g *generator) below(r *redis) bool { return r.VSeq < r.Clear && g.on(BelowClearIsMiss) }
