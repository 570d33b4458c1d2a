package model

// A load that asks, and the tag of the value that it asks about, as tiered/prior.go and
// tiered/fill.go have it.

// judgement is how far the tag of a value that Redis has, and which is to be asked
// about, was judged.
type judgement uint8

const (
	judged      judgement = iota // or there is nothing to judge
	found                        // not yet
	beingJudged                  // by the steps of any value's, see judging
)

// formerTag reports whether a value with a stamp is known to be from before a failover
// of its tag's partition.
//
//go:norace
func (g *generator) formerTag(in *instance, stamp uint8) bool {
	return g.Tagged && stamp < in.Tag.Epoch && g.on(FormerTagIsNotAsked)
}

// judgesAsked begins to judge the tag, and reports whether there is more to do.
//
//go:norace
func (g *generator) judgesAsked(in *instance, r *reader) bool {
	if !g.on(UnchangedTagsAreJudged) {
		r.Ask.Judge, r.Ask.Tag = judged, in.Tag.snapshot()
		return false
	}
	r.Ask.Judge = beingJudged
	r.Tag = tagReader{Stamp: r.Ask.Stamp}
	r.PC = tagNote
	return true
}

// judgedAsked goes on when the tag was not invalidated.
//
//go:norace
func (g *generator) judgedAsked(in *instance, r *reader) {
	r.Ask.Judge, r.Ask.Tag = judged, r.Tag.Mark
	if g.on(FormerTagIsSoughtAfterMark) && g.formerTag(in, r.Ask.Stamp) {
		r.Ask = asked{}
	}
	r.Tag = tagReader{}
	r.PC = asks
}

// asksSomewhere reports whether anybody asks: or else it does not matter what about.
//
//go:norace
func (g *generator) asksSomewhere() bool {
	for i := range g.Kinds {
		if g.Kinds[i][0].asks() || g.Kinds[i][1].asks() {
			return true
		}
	}
	return false
}

// copyValid reports whether the copy in L1 is, by its own mark and by its tag's.
//
//go:norace
func (g *generator) copyValid(in *instance) bool {
	return g.valid(in, &in.Entry.Mark) && g.tagValid(&in.Tag, &in.Entry.Tag)
}

// asksAhead takes note of what a load ahead of time may ask about: the copy in L1 that
// was hit, or what another reader has read in Redis just now, and was given. It reports
// whether there can be that one.
//
//go:norace
func (g *generator) asksAhead(n *State, in *instance, r *reader) bool {
	if e := &in.Entry; g.Copies {
		if e.Doomed == 0 || !g.on(FormerCopyIsNotAsked) {
			r.Ask = asked{Ver: e.Ver, VTok: e.Tok, Mark: e.Mark, Tag: e.Tag}
		}
		return true
	}
	read := reader{Stamp: g.stampNow(in), Seq: n.Redis.Seq}
	m := g.readMark(in, &read)
	tag, known := g.knownTag(&in.Tag, n.Redis.VTag)
	if n.Redis.Seq == 0 || n.Redis.Foreign == 1 || !g.valid(in, &m) || g.Tagged && !known {
		return false
	}
	if n.Redis.VSeq < in.Epoch && g.on(FormerCopyIsNotAsked) || g.formerTag(in, n.Redis.VTag) {
		return true
	}
	r.Ask = asked{Ver: n.Redis.Ver, VTok: n.Redis.VTok, Mark: m}
	if g.Tagged {
		r.Ask.Tag = tag
	}
	return true
}

// keepsToken notes the fill token of what a reader brings, where a load ahead of time
// begins with the copy.
//
//go:norace
func (g *generator) keepsToken(r *reader, token uint8) {
	if g.Copies {
		r.Kept = token
	}
}

// afterRenewal is where a flight goes on whose value Redis has renewed: one with a tag
// does not get into L1, where nobody would know what its stamp leaves of its life.
//
//go:norace
func (g *generator) afterRenewal(n *State, i int) pc {
	if !g.Tagged {
		return keep
	}
	if !g.on(RenewalKeepsStamp) {
		n.Redis.VTag = n.Instance[i].Tag.snapshot().AsOf
	}
	if g.on(RenewedTaggedIsNotKept) {
		return unkept
	}
	return keep
}

// keepNot ends what L1 has, when it does not keep a newer value. Where values are
// served past their lives it puts this one there as one that is not.
//
//go:norace
func (g *generator) keepNot(i, j int) {
	n, in, r := g.reader(KeepNot, i, j)
	if old := &in.Entry; g.Stale && r.Mark.Detached == 0 && old.Ver != 0 && g.copyValid(in) && g.on(RenewedReplacesStale) {
		e := entry{Ver: r.Ver, Over: 1, Tok: r.Kept, Mark: r.Mark, Tag: r.Tag.Mark}
		e.Mark.Barred = 1
		if g.supersedes(&e, old) {
			*old = e
		} else {
			g.outlived(n, i, &r.Mark)
		}
	} else {
		g.outlived(n, i, &r.Mark)
	}
	if g.on(UnkeptReadsRaise) {
		g.answered(in, &r.Mark)
	}
	r.PC = land
}
