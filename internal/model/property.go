package model

// Property is something that must always hold.
type Property uint8

// Properties. The first is none: nothing is broken.
const (
	Holds Property = iota
	// G1a: after Delete returned nil, no read that begins later on the same instance returns an older value.
	G1a
	// G1aPending: nor after Delete has queued the invalidation.
	G1aPending
	// G1b: on any other instance none that begins more than the bound later does, whatever was lost.
	G1b
	// G2: after Delete returned nil, Redis holds no older value.
	G2
	// G3: between reads answered by the tiers, the value never goes back on one instance.
	G3
	// G4: there is at most one load at a time under a key lease that lives.
	G4
	// Expired: after Expire returned nil, an older value is returned as a stale one at most; elsewhere with the same bound.
	Expired
	// WentBack: no value past its life is returned after a newer one on the same instance.
	WentBack
	// Space: the state did not fit. It is no property of the protocol.
	Space
)

var propertyTexts = [...]string{
	Holds:      "holds",
	G1a:        "G1a: a read that began after a confirmed Delete on its own instance returned an older value",
	G1aPending: "G1a: a read that began after a queued Delete on its own instance returned an older value",
	G1b:        "G1b: a read that began more than the bound after a confirmed Delete returned an older value",
	G2:         "G2: Redis holds a value that is older than a confirmed Delete",
	G3:         "G3: a tier answered with an older value than one that it had answered with before",
	G4:         "G4: two loads of the key hold a lease that lives",
	Expired:    "a value is taken for one that is not stale that is older than a confirmed Expire",
	WentBack:   "a read returned a value past its life that is older than one that was returned before",
	Space:      "the state did not fit into the model",
}

// String says what is broken.
//
//go:norace
func (p Property) String() string {
	if int(p) < len(propertyTexts) {
		return propertyTexts[p]
	}
	return "?"
}

// counts reports whether a confirmation binds: one that a failover may have
// lost does only once the fleet has recovered from that.
//
//go:norace
func (g *generator) counts(s *State, a *ack) bool {
	return a.Lossy == 0 || g.resent(s, a) && (g.tagRecovered(s) || s.Redis.EAge >= g.recovered() && s.Redis.ERun == s.Redis.Run)
}

// require notes what a read that begins now may not fall behind.
//
//go:norace
func (g *generator) require(s *State, i int, r *reader) {
	r.Nil, r.Pending, r.Bound = 0, 0, 0
	for k := range s.Acks {
		a := &s.Acks[k]
		ver := uint8(k + 1) //nolint:gosec // fewer than maxVersions
		if !g.readable(s, ver) {
			continue
		}
		if a.Queue == uint8(i+1) && (!g.detachesLagging() || s.Instance[i].Queue.Queued == 1) {
			r.Pending = ver
		}
		if a.Who == 0 || !g.counts(s, a) {
			continue
		}
		if a.Soft == 1 {
			g.requireSoft(a, ver, i, r)
			continue
		}
		if a.Who == uint8(i+1) && !g.detachesLagging() {
			r.Nil = ver
		}
		if a.Age > g.Bound {
			r.Bound = ver
		}
	}
	if r.Pending <= r.Nil {
		r.Pending = 0
	}
	if r.Bound <= max(r.Nil, r.Pending) {
		r.Bound = 0
	}
	r.Mono, r.Past.Shown = s.Instance[i].Seen, s.Life.Shown[i]
}

// requirePastL1 is require for a read past L1: it promises what was in Redis, or was
// loaded, after it began. (A forced load that asks may ask about a copy in L1, if Redis
// cannot be asked.)
//
//go:norace
func (g *generator) requirePastL1(s *State, kind Kind, r *reader) {
	if kind != AskBypass {
		return
	}
	for k := range s.Acks {
		if a := &s.Acks[k]; a.Who != 0 && a.Soft == 0 && g.counts(s, a) {
			r.Bound = uint8(k + 1) //nolint:gosec // fewer than maxVersions
		}
	}
}

// returns ends a read with the value that the reader has.
//
//go:norace
func (g *generator) returns(n *State, i, j int) {
	in := &n.Instance[i]
	r := &in.Readers[j]
	switch {
	case r.Ver < r.Nil:
		g.broken(G1a)
	case r.Ver < r.Pending:
		g.broken(G1aPending)
	case r.Ver < r.Bound:
		g.broken(G1b)
	}
	g.shows(n, i, r)
	// A copy that was made without Redis is no answer of a shared tier: it may be
	// newer than what Redis still holds until the invalidation comes.
	if !g.Kinds[i][j].pastL1() && r.Tier == 1 && g.Monotone {
		if r.Ver < r.Mono {
			g.broken(G3)
		}
		if r.Mark.Detached == 0 {
			raise(&in.Seen, r.Ver)
		}
	}
	r.clear()
}

// check looks for what can be seen in a state itself.
//
//go:norace
func (g *generator) check(s *State) Property {
	holders := 0
	s.eachReader(func(r *reader) {
		if r.Leased == 1 && (r.PC == loading || r.PC == loaded || r.PC == fillSent) {
			holders++
		}
	})
	if holders > 1 {
		return G4
	}
	if s.Redis.Ver != 0 {
		for k := int(s.Redis.Ver); k < maxVersions; k++ {
			switch a := &s.Acks[k]; {
			case a.Who != 0 && g.unending(s, a):
				return G2
			case a.Who == 0 || a.Lossy == 1 || !g.upheld(s, k+1):
			case a.Soft == 0:
				return G2
			case s.Redis.Over == 0 && !g.Weak:
				return Expired
			}
		}
	}
	if s.Redis.Top > 15 || s.Origin > maxVersions {
		return Space
	}
	return Holds
}
