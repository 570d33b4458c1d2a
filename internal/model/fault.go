package model

// faults adds what nobody does.
//
//go:norace
func (g *generator) faults() {
	g.tick()
	g.runLate()
	g.repeat()
	g.loseKeys()
	g.loseAll()
	g.failover()
	g.tagFaults()
	if g.from.Left.Others > 0 && g.from.Redis.Seq > 0 {
		n := g.next(InvalidateOther, 0, 0)
		n.Left.Others--
		g.advance(&n.Redis)
		n.Messages.Other |= 1 << n.Redis.Seq
	}
	for i := range g.Instances {
		g.failDelete(i)
		if s := &g.from.Instance[i]; g.from.Left.Drops > 0 && s.Entry.Ver != 0 {
			n := g.next(EvictCopy, i, 0)
			n.Left.Drops--
			n.Instance[i].Entry = entry{}
		}
		if g.from.Left.Stops > 0 && g.from.Instance[i].alive() && g.from.Instance[i].Writer.PC == idle {
			n := g.next(Stop, i, 0)
			n.Left.Stops--
			n.Instance[i] = instance{Down: 1}
		}
	}
}

// tick lets time pass.
//
//go:norace
func (g *generator) tick() {
	if !g.Ticks || g.Timely && g.endsLease() {
		return
	}
	n := g.next(Tick, 0, 0)
	limit := g.expired()
	age := func(a *uint8) { *a = min(*a+1, limit) }
	for k := range n.Acks {
		if n.Acks[k].Who != 0 && g.readable(n, uint8(k+1)) { //nolint:gosec // fewer than maxVersions
			age(&n.Acks[k].Age)
		}
	}
	for i := range g.Instances {
		in := &n.Instance[i]
		if !in.alive() || !g.reads(i) {
			continue
		}
		if !g.Vouched {
			age(&in.Lease)
		}
		g.ageTags(in, age)
		if in.Entry.Mark.AsOf > 0 {
			age(&in.Entry.Mark.T0)
		}
		if in.Probe.PC != idle {
			age(&in.Probe.T0)
		}
		if in.Writer.Stamp.Floor > 0 {
			age(&in.Writer.Stamp.T0)
		}
		if in.Writer.Mark.AsOf > 0 {
			age(&in.Writer.Mark.T0)
		}
		for j := range in.Readers {
			r := &in.Readers[j]
			if r.Stamp.Floor > 0 || r.Stamp.Gen > 0 {
				age(&r.Stamp.T0)
			}
			if r.Mark.AsOf > 0 {
				age(&r.Mark.T0)
			}
			if r.Past.Mark.AsOf > 0 {
				age(&r.Past.Mark.T0)
			}
			if r.Ask.Ver > 0 {
				age(&r.Ask.Mark.T0)
				age(&r.Ask.Heard)
			}
		}
	}
	g.ageEpoch(&n.Tag.tagPrimary)
	g.ageEpoch(&n.Tag.Replica)
	for _, r := range [...]*redis{&n.Redis, &n.Replica} {
		if r.ESeq > 0 {
			r.EAge = min(r.EAge+1, g.recovered())
		}
	}
}

// endsLease reports whether a tick would end the lease of an instance that reads.
//
//go:norace
func (g *generator) endsLease() bool {
	for i := range g.Instances {
		if in := &g.from.Instance[i]; in.alive() && g.reads(i) && (in.Lease >= g.Bound || g.Tagged && in.Tag.Lease >= g.Bound) {
			return true
		}
	}
	return false
}

// late leaves a request behind, and reports whether there was room for it.
//
//go:norace
func (s *State) late(c call) bool {
	for k := range s.Late {
		if s.Late[k].Kind == noCall {
			s.Late[k] = c
			return true
		}
	}
	return false
}

// runLate runs a request that nobody waits for any more.
//
//go:norace
func (g *generator) runLate() {
	for k, c := range g.from.Late {
		if c.Kind == noCall {
			continue
		}
		n := g.next(RunLate, 0, 0)
		g.arg(uint8(c.Kind))
		n.Late[k] = call{}
		switch c.Kind {
		case callLease:
			g.runLease(n, c.Token, 0)
		case callFill:
			if g.runFill(n, c.Token, c.Seq, c.Ver, false) {
				n.Redis.VTag = c.Stamp
			}
		case callInvalidate:
			g.runInvalidate(n)
		case callBegin:
			g.runBegin(n, c.Token)
		case callRelease:
			if n.Redis.LTok == c.Token || !g.on(ReleaseComparesToken) {
				// Who holds it meanwhile goes on believing so.
				n.Redis.LTok, n.Redis.LSeq = 0, 0
			}
		case callTags:
			g.runTags(n)
		case callUntag:
			g.runInvalidateTag(n)
		case callWhole:
			g.runInvalidateWhole(&n.Tag, c.Seq == 1)
		case callClear:
			g.runClear(n)
		case callBlock:
			g.runBlock(n, c.Token, 0)
		case callExpire:
			g.runExpire(n)
		case callUnblock:
			g.runUnblock(n, c.Token)
		case callRenew:
			g.runRenew(n, c)
		case noCall:
		}
	}
}

// repeat lets a request that is under way run a second time, later.
//
//go:norace
func (g *generator) repeat() {
	if g.from.Left.Repeats == 0 {
		return
	}
	again := func(i, j int, c call) {
		n := g.next(Repeat, i, j)
		n.Left.Repeats--
		if !n.late(c) {
			g.out = g.out[:len(g.out)-1]
		}
	}
	for i := range g.Instances {
		in := &g.from.Instance[i]
		switch w := &in.Writer; {
		case w.PC == deleteSent && w.Token == 0:
			again(i, 0, call{Kind: g.invalidationKind(i)})
		case w.PC == deleteSent:
			again(i, 0, call{Kind: callBegin, Token: w.Token})
		case w.PC == blockSent:
			again(i, 0, call{Kind: callBlock, Token: w.Token})
		case w.PC == unblockSent:
			again(i, 0, call{Kind: callUnblock, Token: w.Token})
		case w.PC == setFill:
			again(i, 0, call{Kind: callFill, Token: w.Token, Seq: w.Seq, Ver: w.Ver, Stamp: w.Tag.AsOf})
		}
		for j := range in.Readers {
			switch r := &in.Readers[j]; r.PC {
			case leaseSent:
				again(i, j, call{Kind: callLease, Token: r.Token})
			case fillSent:
				if r.Ask.Same == 1 {
					again(i, j, g.renewal(i, j, r))
					break
				}
				again(i, j, call{Kind: callFill, Token: r.Token, Seq: r.LeaseSeq, Ver: r.Ver, Stamp: r.Tag.Mark.AsOf})
			default:
			}
		}
	}
}

// loseKeys is what Redis may lose of a key.
//
//go:norace
func (g *generator) loseKeys() {
	s := g.from
	if s.Left.Expiries > 0 && s.Redis.LTok != 0 {
		n := g.next(ExpireLease, 0, 0)
		n.Left.Expiries--
		g.endLease(n)
	}
	if s.Left.Evictions > 0 && s.Redis.Ver != 0 && (!g.Stale && !g.Monotone || s.Redis.Over == 1) {
		n := g.next(EvictValue, 0, 0)
		n.Left.Evictions--
		n.Redis.Ver, n.Redis.VTok, n.Redis.VSeq = 0, 0, 0
	}
	if r := &s.Redis; s.Left.Foreigns > 0 && r.Ver == 0 && r.LTok == 0 && r.Seq != 0 {
		n := g.next(StoreForeign, 0, 0)
		n.Left.Foreigns--
		n.Redis.Ver, n.Redis.VTok, n.Redis.VSeq, n.Redis.Foreign = n.Origin, n.fresh(), r.Seq, 1
	}
	if s.Left.Losses > 0 && s.Redis.Seq != 0 {
		n := g.next(LoseSequence, 0, 0)
		n.Left.Losses--
		n.Redis.Seq = 0
	}
}

// loseAll is what Redis may lose altogether.
//
//go:norace
func (g *generator) loseAll() {
	s := g.from
	if s.Left.Flushes > 0 && s.Redis.Seq != 0 {
		n := g.next(Flush, 0, 0)
		n.Left.Flushes--
		n.Redis = redis{Top: s.Redis.Top, Run: s.Redis.Run, EId: s.Redis.EId}
		n.loseTombstones(copied{}, false)
		endLeases(n)
	}
	if s.Left.Rewinds > 0 && s.Redis.Seq >= g.RewindFrom && (g.Unheard || g.allHeard(s)) {
		// Everything is lost, and the server's clock is behind: the sequence
		// has begun anew at a low number before anybody looked.
		n := g.next(Rewind, 0, 0)
		n.Left.Rewinds--
		n.Redis = redis{Seq: 1, Top: s.Redis.Top, Run: s.Redis.Run, EId: s.Redis.EId}
		if g.RecordStays {
			n.Redis.ERun, n.Redis.ESeq, n.Redis.EAge = s.Redis.ERun, s.Redis.ESeq, s.Redis.EAge
		}
		n.loseTombstones(copied{}, false)
		endLeases(n)
	}
}

// allHeard reports whether all numbers that were handed out have been heard by
// those who read, and before they sent what is under way.
//
//go:norace
func (g *generator) allHeard(s *State) bool {
	for i := range g.Instances {
		in := &s.Instance[i]
		switch {
		case !g.reads(i):
		case in.Last < s.Redis.Seq,
			in.Writer.PC == deleteSent && in.Writer.Since.Last < s.Redis.Seq,
			in.Queue.PC == retrySent && in.Queue.Since.Last < s.Redis.Seq:
			return false
		default:
		}
	}
	return true
}

// failover is what happens to the primary.
//
//go:norace
func (g *generator) failover() {
	s := g.from
	if g.Replicated && !g.Behind && s.Left.Failovers > 0 && (s.Replica != s.Redis || s.Guard.Copy != copied{s.Guard.Tomb, s.Guard.Nobodys}) {
		n := g.next(Replicate, 0, 0)
		n.Replica = s.Redis
		n.Guard.Copy = copied{s.Guard.Tomb, s.Guard.Nobodys}
	}
	if s.Left.Failovers > 0 {
		n := g.next(Failover, 0, 0)
		n.Left.Failovers--
		n.promote(s.Replica)
		for k := range n.Acks {
			if n.Acks[k].Who != 0 {
				n.Acks[k].Lossy = 1
			}
		}
		n.Replica = redis{}
		n.loseTombstones(n.Guard.Copy, true)
		n.former()
		// Reads that are under way were promised what is not there any more.
		n.eachReader(func(r *reader) { r.Nil, r.Bound = 0, 0 })
	}
	for i := range g.Instances {
		if s.Left.Isolates > 0 && s.Instance[i].alive() {
			// The old primary refuses writes from now on, and the replica has
			// them all.
			n := g.next(Isolate, i, 0)
			n.Left.Isolates--
			n.Old = s.Redis
			n.Instance[i].Isolated = 1
			n.promote(s.Redis)
		}
		if s.Instance[i].Isolated == 1 {
			n := g.next(Rejoin, i, 0)
			n.Instance[i].Isolated = 0
			n.Old = redis{}
		}
	}
}

// promote brings a replica to power.
//
//go:norace
func (s *State) promote(r redis) {
	top, run := s.Redis.Top, s.Redis.Run
	s.Redis = r
	s.Redis.Top, s.Redis.Run = top, run+1
	endLeases(s)
}
