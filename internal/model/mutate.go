package model

// startMutate sends the script that places the tombstone.
//
//go:norace
func (g *generator) startMutate(i int) {
	n, w := g.writer(StartMutate, i)
	w.Op++
	w.Token, w.Since = n.fresh(), n.Instance[i].position()
	w.PC = blockSent
}

// mutating adds the steps of a Mutate, up to its last invalidation; what follows
// that is as with Delete.
//
//go:norace
func (g *generator) mutating(i int) {
	switch g.from.Instance[i].Writer.PC {
	case blockSent:
		g.blocking(i)
	case blockDone:
		if !g.locked(&g.from.Instance[i]) {
			n, w := g.writer(RaiseOwn, i)
			in := &n.Instance[i]
			g.invalidated(in, w.Seq, w.Since)
			g.forget(in)
			g.acked(in, w.Since)
			w.Seq, w.Since = 0, position{}
			w.PC = mutates
		}
	case mutates:
		if !(g.Serial && g.from.anyoneWrites()) {
			g.commitUnder(i)
		}
	case unblockSent:
		g.unblocking(i)
	default:
		return
	}
	g.crash(i)
}

// blocking places the tombstone. If Redis does not confirm it, the write goes on
// without.
//
//go:norace
func (g *generator) blocking(i int) {
	n, w := g.writer(RunBlock, i)
	w.Seq = g.runBlock(n, w.Token, 1<<i)
	n.Guard.Placed |= 1 << i
	w.PC = blockDone
	if g.from.Left.Timeouts > 0 {
		n, w := g.writer(GiveUpBlock, i)
		n.Left.Timeouts--
		n.late(call{Kind: callBlock, Token: w.Token})
		w.Since = position{}
		w.PC = mutates
	}
}

// commitUnder is the write. Its context has ended, or it has returned, when the
// tombstone's life may; with a lag the tombstone lives for that much longer.
//
//go:norace
func (g *generator) commitUnder(i int) {
	n, w := g.writer(CommitUnder, i)
	n.Origin++
	w.Ver, w.Since = n.Origin, n.Instance[i].position()
	w.PC = unblockSent
	for _, t := range [...]*tombstone{&n.Guard.Tomb, &n.Guard.Copy.Tomb} {
		if t.Covers>>i&1 == 0 {
			continue
		}
		t.Covers &^= 1 << i
		if g.Lagging && g.on(TombstoneOutlivesLag) {
			t.Lag = n.Origin
		}
	}
}

// unblocking is the last invalidation. It is made also if the write has failed,
// which may have been carried out.
//
//go:norace
func (g *generator) unblocking(i int) {
	n, w := g.writer(RunUnblock, i)
	w.Seq = g.runUnblock(n, w.Token)
	w.Token = 0
	n.Guard.leaves(i)
	w.PC = deleteDone
	if g.from.Left.Timeouts > 0 {
		n, w := g.writer(GiveUpUnblock, i)
		n.Left.Timeouts--
		n.late(call{Kind: callUnblock, Token: w.Token})
		w.Token = 0
		n.Guard.leaves(i)
		w.PC = unknown
	}
	if !g.on(FailedWriteInvalidates) {
		n, w := g.writer(Return, i)
		w.Token = 0
		n.Guard.leaves(i)
		g.acknowledge(n, i)
	}
}

// crash ends the process in the middle of a Mutate. What it has sent may run, or
// not. From the moment at which the tombstone ends, what was committed binds.
//
//go:norace
func (g *generator) crash(i int) {
	if g.from.Left.Crashes == 0 {
		return
	}
	g.crashed(i, noCall)
	switch g.from.Instance[i].Writer.PC {
	case blockSent:
		g.crashed(i, callBlock)
	case unblockSent:
		g.crashed(i, callUnblock)
	default:
	}
}

//go:norace
func (g *generator) crashed(i int, under callKind) {
	n, w := g.writer(Crash, i)
	n.Left.Crashes--
	if under != noCall {
		n.late(call{Kind: under, Token: w.Token})
	}
	n.outlast(i, w.Ver)
	n.Guard.leaves(i)
	n.Guard.Tomb.Covers &^= 1 << i
	n.Guard.Copy.Tomb.Covers &^= 1 << i
	n.Instance[i] = instance{Down: 1}
}
