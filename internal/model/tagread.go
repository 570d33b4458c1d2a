package model

// A flight and the tag of what it brings, as tiered/judgetags.go and tiered/tags.go
// have it.

// judging adds the steps of a flight that are about the tag.
//
//go:norace
func (g *generator) judging(i, j int) {
	switch g.from.Instance[i].Readers[j].PC {
	case snapping:
		_, in, r := g.reader(TakeSnapshot, i, j)
		r.Tag.Mark = in.Tag.snapshot()
		r.PC = loading
	case tagNote:
		_, in, r := g.reader(MarkTag, i, j)
		g.markTag(in, r)
	case tagJudge:
		_, in, r := g.reader(MarkTag, i, j)
		g.noteTag(in, r)
		r.PC = tagPending
	case tagPending:
		g.askTagPending(i, j)
	case tagSent:
		g.askTag(i, j)
	case tagAnswer:
		n, in, r := g.reader(MarkTag, i, j)
		if asOf := r.Tag.Mark.AsOf; !g.on(TagStampBeforeAsk) {
			r.Tag.Mark = in.Tag.stamp()
			r.Tag.Mark.AsOf = asOf
		}
		g.answerTag(n, i, j)
	default:
	}
}

// afterGrant is where a flight goes on that has a lease.
//
//go:norace
func (g *generator) afterGrant() pc {
	if g.Tagged && g.on(SnapshotBeforeLoad) {
		return snapping
	}
	return loading
}

// tagDoomed reports whether a value ends with the grace after a failover of the
// tag's partition: 2, or 0.
//
//go:norace
func (g *generator) tagDoomed(in *instance, r *reader) uint8 {
	return b2u(r.Tag.Stamp < in.Tag.Epoch && g.on(EpochEndsTagged)) << 1
}

// markTag begins to judge a value that Redis has answered with, and which is good
// as far as its key is concerned.
//
// A batch asks for the tags of all that it has read before it judges each value. So
// there the question whether an invalidation of the tag is pending comes after the
// answer.
//
//go:norace
func (g *generator) markTag(in *instance, r *reader) {
	switch {
	case g.Batch:
		r.PC = tagJudge
		if _, known := g.knownTag(&in.Tag, r.Tag.Stamp); !known {
			r.Tag.Mark = in.Tag.stamp()
			r.PC = tagSent
		}
		return
	case g.on(TagMarkBeforePending):
		g.noteTag(in, r)
	default:
		r.Tag.Asked = b2u(g.pendingTag(&in.Tag))
	}
	r.PC = tagPending
}

// noteTag takes the mark, or the stamp for the question to Redis.
//
//go:norace
func (g *generator) noteTag(in *instance, r *reader) {
	m, known := g.knownTag(&in.Tag, r.Tag.Stamp)
	switch {
	case known:
		r.Tag.Mark, r.Tag.Known, r.Tag.Not = m, 1, 0
	case r.Tag.Known == 0:
		r.Tag.Mark = in.Tag.stamp()
	}
}

// askTagPending asks whether an invalidation of the tag is pending.
//
//go:norace
func (g *generator) askTagPending(i, j int) {
	n, in, r := g.reader(AskTagPending, i, j)
	pending := b2u(g.pendingTag(&in.Tag))
	if !g.on(TagMarkBeforePending) {
		pending = r.Tag.Asked
		g.noteTag(in, r)
	}
	switch {
	case pending == 1 && g.on(PendingTagIsNotAccepted), r.Tag.Not == 1,
		r.Tag.Known == 1 && g.on(KnownTagPassesAfterPending) && !g.tagPasses(&in.Tag, &r.Tag.Mark):
		g.refuseTagged(n, i, j)
	case r.Tag.Known == 1:
		g.acceptTagged(n, i, j)
	default:
		r.Tag.Asked, r.Tag.Last = 0, b2u(g.Batch)
		r.PC = tagSent
	}
}

// askTag asks Redis. What it answers is judged in the same step, unless others are to
// come in between.
//
//go:norace
func (g *generator) askTag(i, j int) {
	n, _, r := g.reader(RunTags, i, j)
	seq, tag := g.runTags(n)
	refused := tag > r.Tag.Stamp && g.on(AskedTagIsCompared) || seq < r.Tag.Stamp && g.on(AskedTagIncludesStamp)
	r.Tag.Mark.AsOf, r.Tag.Known, r.Tag.Not = seq, 1, b2u(refused)
	if g.SlowFlights || !g.on(TagStampBeforeAsk) {
		r.PC = tagAnswer
	} else {
		g.answerTag(n, i, j)
	}
	if g.from.Left.Timeouts > 0 {
		n, _, _ := g.reader(GiveUpTags, i, j)
		n.Left.Timeouts--
		if n.late(call{Kind: callTags}) {
			g.refuseTagged(n, i, j)
		} else {
			g.out = g.out[:len(g.out)-1]
		}
	}
}

// answerTag goes on with what Redis has said of the tag.
//
//go:norace
func (g *generator) answerTag(n *State, i, j int) {
	in := &n.Instance[i]
	r := &in.Readers[j]
	if in.Tag.Lease > g.Bound && g.on(AskedTagNeedsLease) {
		r.Tag.Not = 1
	}
	switch {
	case g.Batch && r.Tag.Last == 0:
		r.PC = tagJudge
	case r.Tag.Not == 1:
		g.refuseTagged(n, i, j)
	default:
		g.acceptTagged(n, i, j)
	}
}

// acceptTagged takes the value that Redis has answered with.
//
//go:norace
func (g *generator) acceptTagged(n *State, i, j int) {
	in := &n.Instance[i]
	r := &in.Readers[j]
	if r.Ask.Judge == beingJudged {
		g.judgedAsked(in, r)
		return
	}
	if g.on(LifeAfterTagMark) {
		r.Doomed |= g.tagDoomed(in, r)
		if g.dead(n, r.Doomed) {
			g.refuseTagged(n, i, j)
			return
		}
	}
	r.Tier, r.Ask = 1, asked{}
	g.keepsToken(r, r.VTok)
	r.Token, r.Refuse, r.Seq, r.VTok, r.VSeq = 0, 0, 0, 0, 0
	r.Tag = tagReader{Mark: r.Tag.Mark}
	r.PC = keep
}

// refuseTagged goes on without it. Who only reads has nowhere else to look.
//
//go:norace
func (g *generator) refuseTagged(n *State, i, j int) {
	if g.Kinds[i][j] == Get {
		g.fails(n, i, j)
		return
	}
	r := &n.Instance[i].Readers[j]
	switch {
	case r.Ask.Judge == beingJudged:
		r.Ask, r.Tag = asked{}, tagReader{}
		r.PC = asks
		return
	case g.Kinds[i][j].ahead():
		r.clear()
		return
	}
	r.Refuse = r.VTok
	r.Seq, r.VTok, r.VSeq, r.Ver, r.Doomed, r.Mark = 0, 0, 0, 0, 0, mark{}
	r.Tag = tagReader{}
	if r.Token == 0 {
		r.Token = n.fresh()
	}
	r.PC = leaseSent
}

// label makes the mark of what was loaded from the snapshot. Which stripe was
// voided since is not known any more.
//
//go:norace
func (g *generator) label(in *instance, r *reader) {
	m := &r.Tag.Mark
	switch {
	case !g.Tagged:
	case !g.on(SnapshotBeforeLoad):
		*m = in.Tag.snapshot()
	case !g.on(SnapshotSeesVoidings):
		m.Void = 1
	case m.Void == 0:
		*m = tagMark{}
	}
}

// labelBlocked is label for a load that a tombstone has blocked.
//
//go:norace
func (g *generator) labelBlocked(in *instance, r *reader) {
	g.label(in, r)
	if g.Tagged && !g.on(BlockedLoadIsLabelled) {
		r.Tag.Mark = tagMark{Gen: 1, Void: 1, AsOf: 15} // as if it had none
	}
}

// keepAlone keeps in L1, for the bound at most, what must not get into Redis
// because of its tag.
//
//go:norace
func (g *generator) keepAlone(n *State, i, j int) {
	r := &n.Instance[i].Readers[j]
	m := r.Stamp.at(r.LeaseSeq)
	m.Detached = b2u(g.on(UnstorableIsDetached))
	r.Mark = g.aged(r, m)
	g.release(n, r)
	r.PC = keep
	if g.Kinds[i][j].ahead() {
		r.clear()
	}
}

// leaderTakes reports whether the leader of a flight may take what it brought, as
// far as the tag is concerned.
//
//go:norace
func (g *generator) leaderTakes(in *instance, r *reader) bool {
	return g.exhausted(r) || g.tagPasses(&in.Tag, &r.Tag.Mark) || !g.on(LeaderChecksTags)
}

// joinerTakes is leaderTakes for who has joined it.
//
//go:norace
func (g *generator) joinerTakes(in *instance, r *reader) bool {
	switch {
	case !g.on(JoinChecksTags):
		return true
	case r.Own == 1 || !g.on(JoinNeedsTagLease):
		return g.tagPasses(&in.Tag, &r.Tag.Mark)
	default:
		return g.tagValid(&in.Tag, &r.Tag.Mark)
	}
}

// snapshotNow is a snapshot in one step with the load that it is for, or with the
// commit of what is set.
//
//go:norace
func (g *generator) snapshotNow(in *instance) tagMark {
	if !g.Tagged {
		return tagMark{}
	}
	return in.Tag.snapshot()
}

// markedTag reports whether a copy has a mark of its tag, as it must to be kept.
//
//go:norace
func (g *generator) markedTag(e *entry) bool { return !g.Tagged || e.Tag.AsOf > 0 }
