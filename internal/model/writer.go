package model

// Op is what a writer does.
type Op uint8

// Operations.
const (
	Delete         Op = iota // commits a new version, then deletes the key
	Set                      // commits a new version, then sets it
	InvalidateTags           // commits a new version, then invalidates its tag
	Clear                    // commits a new version, then clears the region
	Mutate                   // commits a new version under a tombstone
	Expire                   // commits a new version, then expires the key
)

// writing adds the steps of an instance's writer.
//
//go:norace
func (g *generator) writing(i int) {
	from := &g.from.Instance[i]
	switch from.Writer.PC {
	case idle:
		if int(from.Writer.Op) < len(g.Ops[i]) && !(g.Serial && g.from.anyoneWrites()) {
			g.commit(i)
		}
	case deleteSent:
		g.deleting(i)
	case deleteDone:
		if !g.locked(from) {
			g.raiseOwn(i)
		}
		if g.from.Left.Timeouts > 0 {
			n, w := g.writer(GiveUpDelete, i)
			n.Left.Timeouts--
			w.PC = unknown
		}
	case deleteForget:
		n, w := g.writer(Return, i)
		g.forget(&n.Instance[i])
		g.acked(&n.Instance[i], w.Since)
		if w.Token != 0 && !g.storable(&n.Instance[i].Tag, &w.Tag) {
			n.late(call{Kind: callRelease, Token: w.Token})
		} else if w.Token != 0 {
			w.PC = setFill
			return
		}
		g.acknowledge(n, i)
	case setFill:
		g.setFill(i)
	case keep:
		g.keepSet(i)
	case unknown:
		if !g.locked(from) {
			g.enqueue(i)
		}
	case unknownForget:
		n, w := g.writer(Return, i)
		g.forget(&n.Instance[i])
		n.Acks[w.Ver-1].Queue = uint8(i + 1) //nolint:gosec // fewer than maxInstances
		w.done()
	default:
		g.clearing(i)
		g.mutating(i)
	}
}

//go:norace
func (g *generator) writer(kind ActionKind, i int) (*State, *writer) {
	n := g.next(kind, i, 0)
	return n, &n.Instance[i].Writer
}

// anyoneWrites reports whether somebody has committed, and Redis does not know.
//
//go:norace
func (s *State) anyoneWrites() bool {
	for i := range s.Instance {
		switch s.Instance[i].Writer.PC {
		case deleteSent, unknown, unknownForget, untagSent, untagUnknown, clearSent, clearUnknown, unblockSent:
			return true
		default:
		}
	}
	return false
}

// done makes the writer ready for its next operation.
//
//go:norace
func (w *writer) done() { *w = writer{Op: w.Op} }

// acknowledge returns nil to the caller.
//
//go:norace
func (g *generator) acknowledge(n *State, i int) {
	w := &n.Instance[i].Writer
	n.Acks[w.Ver-1] = ack{Who: uint8(i + 1), Soft: b2u(g.op(w, i) == Expire), Lossy: w.Former} //nolint:gosec // fewer than maxInstances
	w.done()
}

// commit writes a new version to the origin and sends the invalidation.
//
//go:norace
func (g *generator) commit(i int) {
	if g.Ops[i][g.from.Instance[i].Writer.Op] == Mutate {
		g.startMutate(i)
		return
	}
	n, w := g.writer(Commit, i)
	in := &n.Instance[i]
	n.Origin++
	w.Ver, w.Since = n.Origin, in.position()
	if g.Ops[i][w.Op] == Set {
		w.Token = n.fresh()
		w.Stamp = g.stampNow(in)
		w.Tag = g.snapshotNow(in)
	}
	w.PC = deleteSent
	g.commitTagged(in, g.Ops[i][w.Op])
	w.Op++
}

//go:norace
func (g *generator) deleting(i int) {
	if !g.cutOff(i) {
		n, w := g.writer(RunDelete, i)
		if w.Token != 0 {
			w.Seq = g.runBegin(n, w.Token)
		} else {
			w.Seq = g.invalidation(n, i)
		}
		w.PC = deleteDone
	}
	if g.from.Left.Timeouts > 0 || g.cutOff(i) {
		n, w := g.writer(GiveUpDelete, i)
		c := call{Kind: g.invalidationKind(i)}
		if w.Token != 0 {
			c = call{Kind: callBegin, Token: w.Token}
		}
		if !g.cutOff(i) {
			n.Left.Timeouts--
			n.late(c)
		}
		w.Token, w.Stamp = 0, stamp{}
		w.PC = unknown
	}
}

// raiseOwn applies the writer's own invalidation to its instance.
//
//go:norace
func (g *generator) raiseOwn(i int) {
	n, w := g.writer(RaiseOwn, i)
	in := &n.Instance[i]
	if g.on(DeleteRaisesStripe) {
		lost := g.invalidated(in, w.Seq, w.Since)
		if lost && in.Odd > 0 {
			w.Since = in.position()
			w.Since.Last = 0
			return // the stripe follows when that has ended
		}
	}
	if g.on(DeleteVoids) {
		in.void()
		w.Stamp.Void = 1 // what a Set stores now is as of this voiding
	}
	if w.Token != 0 && !g.on(SetStampsBeforeBegin) {
		w.Stamp = g.stampNow(in)
	}
	w.PC = deleteForget
}

// forget lets nobody join the flights that are in the air.
//
//go:norace
func (g *generator) forget(in *instance) {
	if !g.on(LocalDeleteForgets) {
		return
	}
	for j := range in.Readers {
		in.Readers[j].Forgot |= in.Readers[j].Air
	}
}

// setFill is the second half of Set.
//
//go:norace
func (g *generator) setFill(i int) {
	if !g.cutOff(i) {
		n, w := g.writer(RunSetFill, i)
		if g.runFill(n, w.Token, w.Seq, w.Ver, false) || !g.on(RejectedSetIsNotKept) {
			n.Redis.VTag = w.Tag.AsOf
			w.Mark = w.Stamp.at(n.Redis.Seq)
			w.PC = keep
			w.Token, w.Seq, w.Since = 0, 0, position{}
		} else {
			g.acknowledge(n, i) // something newer won
		}
	}
	if g.from.Left.Timeouts > 0 {
		n, w := g.writer(GiveUpSetFill, i)
		n.Left.Timeouts--
		n.late(call{Kind: callFill, Token: w.Token, Seq: w.Seq, Ver: w.Ver, Stamp: w.Tag.AsOf})
		g.acknowledge(n, i) // an error, but the old value is gone
	}
}

//go:norace
func (g *generator) keepSet(i int) {
	n, w := g.writer(Keep, i)
	in := &n.Instance[i]
	e := entry{Ver: w.Ver, Mark: w.Mark, Tag: w.Tag}
	if g.supersedes(&e, &in.Entry) {
		in.Entry = e
	}
	g.acknowledge(n, i)
	if g.from.Left.Drops > 0 && !g.locked(&g.from.Instance[i]) {
		n, w := g.writer(KeepNot, i)
		n.Left.Drops--
		if g.on(UnkeptReadsRaise) {
			g.answered(&n.Instance[i], &w.Mark)
		}
		g.acknowledge(n, i)
	}
}

// enqueue takes over an invalidation of unknown outcome, in two steps.
//
//go:norace
func (g *generator) enqueue(i int) {
	n, w := g.writer(Enqueue, i)
	in := &n.Instance[i]
	w.Seq, w.Since = 0, position{}
	first := w.Queue == 0
	w.Queue = 1
	if first == g.on(QueueBeforeVoid) {
		if g.on(UnknownIsQueued) {
			in.Queue.add()
		}
	} else if g.on(UnknownVoids) {
		in.void()
		n := &g.out[len(g.out)-1]
		n.Action.Kind = VoidOwn
	}
	if !first {
		w.Queue = 0
		w.PC = unknownForget
	}
}
