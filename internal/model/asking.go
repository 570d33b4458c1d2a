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
	if r.Foreign == 1 || r.VSeq < in.Epoch && g.on(FormerIsNotAsked) {
		return
	}
	r.Ask = asked{Ver: r.Ver, VTok: r.VTok, Mark: g.readMark(in, r)}
}

// vouch decides what the load may ask about, just before it begins: under a lease what
// Redis has, without one also the copy in L1.
//
//go:norace
func (g *generator) vouch(i, j int) {
	_, in, r := g.reader(Vouch, i, j)
	if !g.vouches(in, r) && r.Token == 0 {
		r.Ask = asked{}
		if e := &in.Entry; e.Ver != 0 && (g.valid(in, &e.Mark) || !g.on(UnchangedIsVouched)) && (e.Doomed == 0 || !g.on(FormerCopyIsNotAsked)) {
			r.Ask = asked{Ver: e.Ver, Mark: e.Mark}
			g.vouches(in, r)
		}
	}
	r.PC = loading
	if r.Token == 0 && r.Mark.AsOf > 0 {
		r.PC = beside
	}
}

// vouches reports whether nothing says that what is asked about was invalidated.
//
//go:norace
func (g *generator) vouches(in *instance, r *reader) bool {
	a := &r.Ask
	if a.Ver == 0 || !g.valid(in, &a.Mark) && g.on(UnchangedIsVouched) {
		*a = asked{}
		return false
	}
	a.Heard = min(in.Lease, a.Mark.T0) // both are ages
	return true
}

// answers is what the origin says to a load that may ask about something.
//
//go:norace
func (g *generator) answers(n *State, r *reader) {
	r.Ver, r.Ask.Same = n.Origin, 0
	if a := &r.Ask; a.Ver != 0 && g.same(a.Ver, n.Origin) {
		r.Ver, a.Same = a.Ver, 1
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
	r.Mark, r.Token, r.Refuse, r.Seq, r.VTok, r.VSeq, r.Ver, r.Foreign = m, 0, 0, 0, 0, 0, 0, 0
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

// runRenew runs that script: under a lease, for the value with the token of.
//
//go:norace
func (g *generator) runRenew(s *State, token, seq, of, ver uint8) renewal {
	r := &s.Redis
	switch {
	case r.Seq == 0 || s.Guard.Tomb.There == 1:
		return renewalRefused
	case r.Ver != 0 && r.VTok == token && r.Over == 0:
		return renewed // an earlier run has done it
	case r.Ver != 0 && r.VTok == token:
		return renewalRefused // and that life is over
	case (r.LTok != token || r.LSeq != seq) && g.on(RenewalNeedsLease):
		return renewalRefused
	case (r.Ver == 0 || r.VTok != of) && g.on(RenewalNeedsValue):
		return renewalGone
	case r.Ver != 0 && r.VSeq < r.ESeq && g.on(RenewalEndsWithEpoch):
		return renewalGone
	}
	r.Ver, r.VTok, r.VSeq, r.Over, r.Foreign = ver, token, seq, 0, 0
	g.endLease(s)
	return renewed
}

// renew is the step that runs it, or gives it up.
//
//go:norace
func (g *generator) renew(i, j int) {
	if !g.cutOff(i) {
		n, _, r := g.reader(RunRenew, i, j)
		switch g.runRenew(n, r.Token, r.LeaseSeq, r.Ask.VTok, r.Ver) {
		case renewed:
			r.Mark = r.Stamp.at(n.Redis.Seq)
			r.Token, r.LeaseSeq, r.Leased, r.Ask = 0, 0, 0, asked{}
			r.PC = keep
		case renewalGone:
			r.Ask, r.Ver = asked{}, 0
			r.PC = loading
		case renewalRefused:
			g.release(n, r)
			r.PC = land
		}
	}
	if g.from.Left.Timeouts > 0 || g.cutOff(i) {
		n, _, r := g.reader(GiveUpFill, i, j)
		if !g.cutOff(i) {
			n.Left.Timeouts--
			if !n.late(call{Kind: callRenew, Token: r.Token, Seq: r.LeaseSeq, Ver: r.Ver, Of: r.Ask.VTok}) {
				g.out = g.out[:len(g.out)-1]
				return
			}
		}
		m := r.Stamp.at(r.LeaseSeq)
		m.Detached = 1
		r.Mark = g.aged(r, m)
		r.Token, r.LeaseSeq, r.Leased = 0, 0, 0
		r.PC = keep
	}
}
