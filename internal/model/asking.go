package model

// An [Ask] loads like [GetOrLoad], and asks the origin whether the value that there
// was is unchanged. What there was is a value that Redis keeps beyond its life, or,
// where Redis cannot be asked, or has what another version of the service has stored,
// the copy in L1.

// asked is what a load asks the origin about.
type asked struct {
	Ver   uint8 // 0: nothing
	VTok  uint8 // its fill token in Redis; 0: it is a copy
	Mark  mark
	Tag   tagMark // of its tag
	Stamp uint8   // that of its tag in Redis
	Judge judgement
	Heard uint8 // age: up to when all that could have invalidated it was heard
	Same  uint8 // what the flight brings is this, unchanged, and Redis does not vouch for it
}

// same reports whether two versions have the same validator. A weak one is that of
// two versions, one after the other.
//
//go:norace
func (g *generator) same(a, b uint8) bool {
	if g.Weak {
		a, b = (a+1)/2, (b+1)/2
	}
	return a == b
}

// consider takes note of a value that Redis has, and that will not do as an answer.
//
//go:norace
func (g *generator) consider(in *instance, r *reader) {
	r.Ask = asked{}
	if r.Foreign == 1 || r.VSeq < in.Epoch && g.on(FormerIsNotAsked) || g.formerTag(in, r.Tag.Stamp) {
		return
	}
	r.Ask = asked{Ver: r.Ver, VTok: r.VTok, Mark: g.readMark(in, r)}
	if g.Tagged {
		r.Ask.Stamp, r.Ask.Judge = r.Tag.Stamp, found
	}
}

// vouch decides what the load may ask about, just before it begins: under a lease what
// Redis has, without one also the copy in L1.
//
//go:norace
func (g *generator) vouch(i, j int) {
	n, in, r := g.reader(Vouch, i, j)
	if r.Ask.Judge == found && g.judgesAsked(in, r) {
		return
	}
	if !g.vouches(in, r) && r.Token == 0 && !(g.Kinds[i][j] == AskBypass && g.on(BypassAsksAboutNoCopy)) {
		r.Ask = asked{}
		if e := &in.Entry; e.Ver != 0 && e.Out == 0 && (e.Doomed == 0 || !g.on(FormerCopyIsNotAsked)) {
			r.Ask = asked{Ver: e.Ver, Mark: e.Mark, Tag: e.Tag}
			g.vouches(in, r)
		}
	}
	switch {
	case r.Token != 0:
		r.PC = g.afterGrant()
	case r.Mark.AsOf > 0:
		r.PC = beside
	default:
		r.PC = loading
	}
	if r.Token == 0 || !g.on(SnapshotBeforeLoad) {
		r.Tag = tagReader{Mark: g.snapshotNow(&n.Instance[i])}
	}
}

// vouches reports whether nothing says that what is asked about was invalidated.
//
//go:norace
func (g *generator) vouches(in *instance, r *reader) bool {
	a := &r.Ask
	if a.Ver == 0 || !g.valid(in, &a.Mark) && g.on(UnchangedIsVouched) || !g.tagValid(&in.Tag, &a.Tag) && g.on(UnchangedTagsAreVouched) {
		*a = asked{}
		return false
	}
	a.Heard = min(in.Lease, a.Mark.T0) // both are ages
	if g.Tagged && g.on(HeardIncludesTags) {
		raise(&a.Heard, min(in.Tag.Lease, a.Tag.T0))
	}
	return true
}

// answers is what the origin says to a load that may ask about something.
//
//go:norace
func (g *generator) answers(n *State, r *reader) {
	r.Ver, r.Ask.Same = n.Origin, 0
	if a := &r.Ask; a.Ver != 0 && g.same(a.Ver, n.Origin) {
		r.Ver, a.Same = a.Ver, 1
		if g.on(UnchangedKeepsTagMark) {
			r.Tag.Mark = a.Tag
		}
		return
	}
	r.Ask = asked{}
}

// aside begins a load whose value has no place in Redis, where there is one of another
// version of the service.
//
//go:norace
func (g *generator) aside(r *reader, may bool) {
	m := r.Stamp.at(r.Seq)
	r.Mark, r.Token, r.Refuse, r.Seq, r.VTok, r.VSeq, r.Ver, r.Foreign, r.Tag = m, 0, 0, 0, 0, 0, 0, 0, tagReader{}
	r.PC = beside
	if may {
		r.PC = asks
	}
}

// loadBeside loads without a lease, where that may take a while.
//
//go:norace
func (g *generator) loadBeside(i, j int) {
	n, _, r := g.reader(LoadAlone, i, j)
	g.answers(n, r)
	if r.Ask.Same == 0 {
		g.label(&n.Instance[i], r)
	}
	r.Mark = g.aged(r, r.Mark)
	r.PC = keep
}

// aged is the mark of what was loaded: if it is unchanged, it is no newer than it was.
//
//go:norace
func (g *generator) aged(r *reader, m mark) mark {
	if r.Ask.Same == 1 {
		if g.on(UnchangedIsNoYounger) {
			raise(&m.T0, r.Ask.Heard) // both are ages
		}
		if g.on(UnchangedIsNoNewer) {
			m.AsOf = min(m.AsOf, r.Ask.Mark.AsOf)
		}
	}
	return m
}

// renewal is what the script answers that gives a value another life.
type renewal uint8

const (
	renewalRefused renewal = iota
	renewalGone
	renewed
)

// renewal is the request for that of a reader.
//
//go:norace
func (g *generator) renewal(i, j int, r *reader) call {
	forced := b2u(g.Kinds[i][j].forces() && g.on(ForcedRenewalCounts))
	return call{Kind: callRenew, Token: r.Token, Seq: r.LeaseSeq, Ver: r.Ver, Of: r.Ask.VTok, Stamp: forced}
}

// runRenew runs that script: under a lease, for the value with the token c.Of.
//
//go:norace
func (g *generator) runRenew(s *State, c call) renewal {
	r := &s.Redis
	switch {
	case r.Seq == 0 || s.Guard.Tomb.There == 1:
		return renewalRefused
	case r.Ver != 0 && r.VTok == c.Token && r.Over == 0:
		return renewed // an earlier run has done it
	case r.Ver != 0 && r.VTok == c.Token:
		return renewalRefused // and that life is over
	case c.Seq < r.Clear && g.on(BelowClearIsRefused):
		return renewalRefused
	case (r.LTok != c.Token || r.LSeq != c.Seq) && g.on(RenewalNeedsLease):
		return renewalRefused
	case (r.Ver == 0 || r.VTok != c.Of) && g.on(RenewalNeedsValue):
		return renewalGone
	case r.Ver != 0 && r.VSeq < r.ESeq && g.on(RenewalEndsWithEpoch), r.Ver != 0 && g.below(r) && g.on(RenewalEndsWithClear):
		return renewalGone
	}
	r.Ver, r.VTok, r.VSeq, r.Over, r.Foreign = c.Ver, c.Token, c.Seq, 0, 0
	r.Barred = 0
	g.endLease(s)
	if c.Stamp == 1 {
		g.advance(r)
		publish(s)
	}
	return renewed
}

// renew is the step that runs it, or gives it up.
//
//go:norace
func (g *generator) renew(i, j int) {
	if !g.cutOff(i) {
		n, _, r := g.reader(RunRenew, i, j)
		switch g.runRenew(n, g.renewal(i, j, r)) {
		case renewed:
			r.Mark = r.Stamp.at(n.Redis.Seq)
			g.keepsToken(r, r.Token)
			r.Token, r.LeaseSeq, r.Leased, r.Ask = 0, 0, 0, asked{}
			r.PC = g.afterRenewal(n, i)
		case renewalGone:
			r.Ask, r.Ver = asked{}, 0
			r.PC = g.afterGrant()
		case renewalRefused:
			g.release(n, r)
			r.PC = land
		}
	}
	if g.from.Left.Timeouts > 0 || g.cutOff(i) {
		n, _, r := g.reader(GiveUpFill, i, j)
		if !g.cutOff(i) {
			n.Left.Timeouts--
			if !n.late(g.renewal(i, j, r)) {
				g.out = g.out[:len(g.out)-1]
				return
			}
		}
		if g.Kinds[i][j].ahead() {
			g.release(n, r) // it keeps nothing that Redis has not renewed
			r.clear()
			return
		}
		m := r.Stamp.at(r.LeaseSeq)
		m.Detached = 1
		r.Mark = g.aged(r, m)
		g.keepsToken(r, r.Token)
		r.Token, r.LeaseSeq, r.Leased = 0, 0, 0
		r.PC = keep
		if g.Tagged {
			r.PC = unkept
		}
	}
}
