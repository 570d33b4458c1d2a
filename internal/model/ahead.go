package model

// A load ahead of its time begins with a value that a reader has hit, and that is
// still alive. Nobody waits for it, and nobody joins it.

// ahead adds those steps of a refresh that are not as those of any load.
//
//go:norace
func (g *generator) ahead(i, j int) (other bool) {
	switch g.from.Instance[i].Readers[j].PC {
	case idle:
		if g.from.Left.Aheads > 0 {
			g.hit(i, j)
		}
	case due:
		g.takeOff(i, j)
		if !g.on(AheadIsInTheAir) {
			g.landOthers(i, j)
		}
	case askPending:
		n, in, r := g.reader(AskPending, i, j)
		r.Token = n.fresh()
		r.PC = leaseSent
		if in.Queue.Queued == 1 && g.on(PendingReadsNoRedis) {
			r.clear()
		}
	case leaseSent:
		g.leaseAhead(i, j)
	case getDone:
		g.takeNewer(i, j)
	case loading:
		n, _, r := g.reader(FailLoad, i, j)
		g.release(n, r)
		r.clear()
		return true
	default:
		return true
	}
	return false
}

// hit begins a refresh: with a value in Redis, or with the copy in L1.
//
//go:norace
func (g *generator) hit(i, j int) {
	from, e := &g.from.Redis, &g.from.Instance[i].Entry
	switch {
	case g.Copies && !(e.Ver != 0 && e.Over == 0 && !g.dead(g.from, e.Doomed) && g.copyValid(&g.from.Instance[i])):
		return
	case !g.Copies && (from.Ver == 0 || from.Over == 1):
		return
	}
	n, in, r := g.reader(Hit, i, j)
	n.Left.Aheads--
	r.Past.Left = 1 // there is no caller
	r.PC = due
	r.Refuse = from.VTok
	if g.Copies {
		r.Refuse = e.Tok
	}
	if g.Kinds[i][j] == AskAhead && !g.asksAhead(n, in, r) {
		g.out = g.out[:len(g.out)-1]
	}
}

// landOthers makes as if a flight were not in the air.
//
//go:norace
func (g *generator) landOthers(i, j int) {
	in := &g.out[len(g.out)-1].State.Instance[i]
	in.Readers[j].Air, in.Readers[j].Met = 0, 0
	in.Readers[1-j].Met = g.from.Instance[i].Readers[1-j].Met
}

// leaseAhead is get-or-lease, whose answer a refresh does not wait for if another
// one has the lease.
//
//go:norace
func (g *generator) leaseAhead(i, j int) {
	n, in, r := g.reader(RunLease, i, j)
	if !g.on(AheadTakesLease) {
		r.Ver = n.Origin
		r.Mark = r.Stamp.alone(in)
		r.Mark.Detached = 0
		r.Token, r.Refuse = 0, 0
		r.PC = keep
		return
	}
	if !g.on(AheadRefusesItsOwn) {
		r.Refuse = n.Redis.VTok
	}
	reply, seq := g.runLease(n, r.Token, r.Refuse)
	r.Refuse = 0
	switch reply {
	case leaseHit:
		g.looksAt(r, &n.Redis, i)
		r.Token = 0
		r.PC = getDone
	case leaseGranted:
		r.LeaseSeq, r.Leased = seq, 1
		r.PC = g.afterGrant()
		if g.Kinds[i][j] == AskAhead {
			r.PC = asks
		}
	case leaseBusy, leaseBlocked:
		r.clear()
	}
	if g.from.Left.Timeouts > 0 {
		n, _, r := g.reader(GiveUpLease, i, j)
		n.Left.Timeouts--
		n.late(call{Kind: callLease, Token: r.Token})
		r.clear()
	}
}

// takeNewer keeps a value in L1 that somebody has put in the other's place.
//
//go:norace
func (g *generator) takeNewer(i, j int) {
	n, in, r := g.reader(TakeValue, i, j)
	m := g.readMark(in, r)
	doomed := b2u(r.VSeq < in.Epoch && g.on(EpochEndsValues)) | g.tagDoomed(in, r)
	if r.Past.Over == 1 || g.dead(n, doomed) || g.doubts(in, r, &m) {
		r.clear()
		return
	}
	r.Tier, r.Doomed, r.Mark, r.Ask = 1, doomed, m, asked{}
	g.keepsToken(r, r.VTok)
	if g.Tagged {
		r.Tier = 0
		r.PC = tagNote
		return
	}
	r.Seq, r.VTok, r.VSeq = 0, 0, 0
	r.Past.Barred = 0
	r.PC = keep
}
