package model

// flying adds the steps of a flight.
//
//go:norace
func (g *generator) flying(i, j int) {
	from := &g.from.Instance[i]
	switch from.Readers[j].PC {
	case askPending:
		g.askPending(i, j)
	case getSent:
		g.get(i, j)
	case getDone:
		g.takeValue(i, j)
	case leaseSent:
		g.lease(i, j)
	case loading:
		n, _, r := g.reader(Load, i, j)
		switch {
		case g.Kinds[i][j].asks():
			g.answers(n, r)
		case g.on(LoadAfterGrant) || r.Ver == 0:
			r.Ver = n.Origin
		}
		r.PC = loaded
		if r.Token == 0 {
			r.PC = land // past LoadTimeout, or blocked by a tombstone: uncached
			g.labelBlocked(&n.Instance[i], r)
			if !g.on(BlockedLoadIsNotKept) {
				r.Mark = r.Stamp.alone(&n.Instance[i])
				r.Mark.Detached = 0
				r.PC = keep
			}
		}
		g.older(i, j)
	case loaded:
		g.tryFill(i, j)
	case fillSent:
		if from.Readers[j].Ask.Same == 1 {
			g.renew(i, j)
			break
		}
		g.fill(i, j)
	case detach:
		g.loadAlone(i, j)
	case asks:
		g.vouch(i, j)
	case beside:
		g.loadBeside(i, j)
	case unkept:
		if !g.locked(from) {
			g.keepNot(i, j)
		}
	case keep:
		g.keepCopy(i, j)
	case land:
		if !g.locked(from) {
			g.land(i, j)
		}
	case snapping, tagJudge, tagPending, tagSent, tagAnswer, tagNote:
		g.judging(i, j)
	default: // waiting: the other reader's flight moves it on
	}
}

// askPending decides whether Redis may be used, after another look at L1.
//
//go:norace
func (g *generator) askPending(i, j int) {
	s, in := g.from, &g.from.Instance[i]
	kind := g.Kinds[i][j]
	if e := &in.Entry; !kind.pastL1() && e.Ver != 0 && e.Over == 0 && !g.dead(s, e.Doomed) && in.Odd == 0 && g.valid(in, &e.Mark) && g.tagValid(&in.Tag, &e.Tag) {
		_, _, r := g.reader(Look, i, j)
		g.take(r, e)
		r.Local = 1
		r.PC = land
	}
	n, in, r := g.reader(AskPending, i, j)
	pending := in.Queue.Queued
	if !g.on(StampBeforePending) {
		pending, r.Asked = r.Asked, 0
		r.Stamp = g.stampNow(in)
	}
	usable := pending == 0 || !g.on(PendingReadsNoRedis)
	r.PC = getSent
	if !usable {
		g.alone(n, i, j)
	}
}

// alone goes on without Redis. Who only reads has nowhere else to look.
//
//go:norace
func (g *generator) alone(n *State, i, j int) {
	r := &n.Instance[i].Readers[j]
	if g.Kinds[i][j] == Get {
		g.fails(n, i, j)
		return
	}
	r.Token, r.Refuse, r.LeaseSeq, r.Leased = 0, 0, 0, 0
	r.Seq, r.VTok, r.VSeq, r.Ver, r.Stamp, r.Tag = 0, 0, 0, 0, stamp{}, tagReader{}
	r.PC = detach
}

// fails ends a flight that brings nothing.
//
//go:norace
func (g *generator) fails(n *State, i, j int) {
	in := &n.Instance[i]
	in.Readers[j].clear()
	if o := &in.Readers[1-j]; o.PC == waiting {
		o.clear()
	}
}

// get is MGET.
//
//go:norace
func (g *generator) get(i, j int) {
	isolated := g.from.Instance[i].Isolated == 1
	if isolated {
		g.getFrom(&g.from.Old, i, j)
	}
	if !isolated || g.Straggles {
		g.getFrom(&g.from.Redis, i, j)
	}
	if g.from.Left.Absences > 0 {
		n, _, _ := g.reader(GiveUpGet, i, j)
		n.Left.Absences--
		g.alone(n, i, j)
	}
}

//go:norace
func (g *generator) getFrom(from *redis, i, j int) {
	_, _, r := g.reader(RunGet, i, j)
	g.looksAt(r, from, i)
	r.PC = getDone
}

// takeValue judges what MGET or get-or-lease has answered.
//
//go:norace
func (g *generator) takeValue(i, j int) {
	n, in, r := g.reader(TakeValue, i, j)
	if !g.on(StampBeforeRead) {
		r.Stamp = g.stampNow(in)
	}
	kind := g.Kinds[i][j]
	hit := r.Ver != 0 && r.Seq != 0
	doomed := b2u(r.VSeq < in.Epoch && g.on(EpochEndsValues)) | g.tagDoomed(in, r)
	if hit && kind.asks() && (r.Past.Over == 1 || g.dead(n, doomed) || kind.forces()) {
		g.consider(in, r)
	}
	worthless := hit && (g.over(n, i, j, doomed) || g.dead(n, doomed) || kind.forces())
	token := r.VTok
	if hit && !worthless && r.Foreign == 1 && kind != Get {
		g.aside(r, kind.asks())
		return
	}
	if hit && !worthless && r.Foreign == 0 {
		m := g.readMark(in, r)
		if g.doubts(in, r, &m) {
			g.alone(n, i, j)
			return
		}
		if g.Tagged {
			r.Doomed, r.Mark = doomed, m
			r.PC = tagNote
			return
		}
		r.Tier, r.Doomed, r.Mark, r.Ask = 1, doomed, m, asked{}
		g.keepsToken(r, r.VTok)
		r.Token, r.Refuse, r.Seq, r.VTok, r.VSeq = 0, 0, 0, 0, 0
		r.PC = keep
		return
	}
	if kind == Get {
		g.fails(n, i, j)
		return
	}
	again := r.Past.Again == 1
	r.Past.Again = 0
	if again && in.Queue.Queued == 1 && g.on(HeldAsksPendingAgain) {
		g.alone(n, i, j)
		return
	}
	r.Refuse, r.Seq, r.VTok, r.VSeq, r.Ver, r.Tag, r.Foreign = 0, 0, 0, 0, 0, tagReader{}, 0
	if worthless {
		r.Refuse = token
	}
	if r.Token == 0 {
		r.Token = n.fresh()
	}
	if !g.on(LoadAfterGrant) {
		r.Ver = n.Origin
	}
	r.PC = leaseSent
}

// lease is get-or-lease.
//
//go:norace
func (g *generator) lease(i, j int) {
	if g.cutOff(i) {
		n, _, _ := g.reader(GiveUpLease, i, j) // refused
		g.alone(n, i, j)
		return
	}
	n, _, r := g.reader(RunLease, i, j)
	reply, seq := g.runLease(n, r.Token, r.Refuse)
	switch reply {
	case leaseHit:
		g.looksAt(r, &n.Redis, i)
		r.PC = getDone
	case leaseGranted:
		r.LeaseSeq, r.Leased, r.Refuse = seq, 1, 0
		r.PC = g.afterGrant()
		if g.Kinds[i][j].asks() {
			r.PC = asks
		}
	case leaseBlocked:
		r.Token, r.Refuse = 0, 0 // and so nothing is kept
		r.PC = g.afterGrant()
		if g.Kinds[i][j].asks() {
			r.PC = asks
		}
	case leaseBusy:
		g.out = g.out[:len(g.out)-1] // it asks again
	}
	if g.from.Left.Timeouts > 0 {
		n, _, r := g.reader(GiveUpLease, i, j)
		n.Left.Timeouts--
		if n.late(call{Kind: callLease, Token: r.Token}) {
			g.alone(n, i, j)
		} else {
			g.out = g.out[:len(g.out)-1]
		}
	}
}

// tryFill is the last look at the queue before a fill.
//
//go:norace
func (g *generator) tryFill(i, j int) {
	n, in, r := g.reader(TryFill, i, j)
	if r.Ask.Same == 0 {
		g.label(in, r)
	}
	if in.Queue.Queued == 1 && g.on(PendingFillsNoRedis) {
		g.release(n, r)
		r.PC = land
		return
	}
	if !g.storable(&in.Tag, &r.Tag.Mark) {
		g.keepAlone(n, i, j)
		return
	}
	r.PC = fillSent
}

// release gives up the lease, some time.
//
//go:norace
func (g *generator) release(n *State, r *reader) {
	if g.Releases {
		n.late(call{Kind: callRelease, Token: r.Token}) // no room: it is left to expire
	}
	r.Token, r.LeaseSeq, r.Leased = 0, 0, 0
}

// fill is the fill under a lease.
//
//go:norace
func (g *generator) fill(i, j int) {
	if !g.cutOff(i) {
		n, _, r := g.reader(RunFill, i, j)
		stored := g.runFill(n, r.Token, r.LeaseSeq, r.Ver, g.Kinds[i][j].forces())
		r.PC = keep
		if stored {
			n.Redis.VTag = r.Tag.Mark.AsOf
		}
		switch {
		case stored, !g.on(RejectedLoadIsNotKept):
			r.Mark = r.Stamp.at(n.Redis.Seq)
			g.keepsToken(r, r.Token)
			r.Token, r.LeaseSeq, r.Leased = 0, 0, 0
		default:
			g.release(n, r)
			r.PC = land
		}
	}
	if g.from.Left.Timeouts > 0 || g.cutOff(i) {
		n, _, r := g.reader(GiveUpFill, i, j)
		if !g.cutOff(i) {
			n.Left.Timeouts--
			if !n.late(call{Kind: callFill, Token: r.Token, Seq: r.LeaseSeq, Ver: r.Ver, Stamp: r.Tag.Mark.AsOf}) {
				g.out = g.out[:len(g.out)-1]
				return
			}
		}
		if g.Kinds[i][j].ahead() {
			g.release(n, r) // it keeps nothing that Redis has not taken
			r.clear()
			return
		}
		r.Mark = r.Stamp.at(r.LeaseSeq)
		r.Mark.Detached = 1
		g.keepsToken(r, r.Token)
		r.Token, r.LeaseSeq, r.Leased = 0, 0, 0
		r.PC = keep
	}
}

// loadAlone loads without Redis. The stamp and the load are one step: the
// origin's answer can only be newer if it takes longer.
//
//go:norace
func (g *generator) loadAlone(i, j int) {
	n, in, r := g.reader(LoadAlone, i, j)
	r.Stamp = g.stampNow(in)
	r.Mark = r.Stamp.alone(in)
	r.Tag = tagReader{Mark: g.snapshotNow(in)}
	if g.Kinds[i][j].asks() {
		r.PC = asks
		return
	}
	r.Ver = n.Origin
	r.PC = keep
	if g.Lagging && in.Queue.Queued == 1 && g.on(PendingLagIsNotKept) {
		r.Mark = mark{}
		r.PC = land
	}
	g.older(i, j)
}
