package model

// generator enumerates the steps that are possible in a state.
type generator struct {
	*Scenario
	rules Rules
	from  *State
	out   []step
}

// step is a possible step: what it leads to, and what it breaks.
type step struct {
	State  State
	Action Action
	Broken Property
}

//go:norace
func (g *generator) on(r Rule) bool { return g.rules.Has(r) }

// next adds a step and returns the state that it leads to, for the caller to
// change before it calls next again.
//
//go:norace
func (g *generator) next(kind ActionKind, i, j int) *State {
	g.out = append(g.out, step{
		State:  *g.from,
		Action: Action{Kind: kind, Instance: uint8(i), Reader: uint8(j)}, //nolint:gosec // both are tiny
	})
	return &g.out[len(g.out)-1].State
}

// arg notes a detail of the last step, for the trace.
//
//go:norace
func (g *generator) arg(n uint8) { g.out[len(g.out)-1].Action.Arg = n }

// broken notes that the last step breaks a guarantee.
//
//go:norace
func (g *generator) broken(p Property) { g.out[len(g.out)-1].Broken = p }

// successors returns all steps that are possible in s. The result is valid until
// the next call.
//
//go:norace
func (g *generator) successors(s *State) []step {
	g.from, g.out = s, g.out[:0]
	if !g.hurry() {
		g.all()
	}
	for k := range g.out {
		st := &g.out[k]
		if st.Broken == Holds {
			st.Broken = g.check(&st.State)
		}
		g.canonical(&st.State)
	}
	return g.out
}

//go:norace
func (g *generator) all() {
	for i := range g.Instances {
		in := &g.from.Instance[i]
		if !in.alive() {
			continue
		}
		if in.Odd > 0 {
			g.rewrite(i)
		}
		g.probing(i)
		g.hearing(i)
		g.writing(i)
		g.retrying(i)
		g.tagging(i)
		g.hearingClear(i)
		for j := range in.Readers {
			if g.Kinds[i][j] != None {
				g.reading(i, j)
			}
		}
	}
	g.faults()
	g.expireTombstone()
	g.catchUp()
	g.endLives()
}

// hurried reports whether a process is to go on before anybody else does
// anything. What its step does, nobody else can see or hinder, or a delay before
// it makes the guarantees ask for less: to look at the delays as well would find
// nothing more. Scenarios that are about just these steps say so.
//
//go:norace
func (g *generator) hurried(s *State) bool {
	for i := range g.Instances {
		in := &s.Instance[i]
		if g.probeHurries(s, i) || g.writerHurries(i, in) || g.readerHurries(in, 0) || g.readerHurries(in, 1) || g.tagHurries(i, in) {
			return true
		}
	}
	return false
}

//go:norace
func (g *generator) probeHurries(s *State, i int) bool {
	in := &s.Instance[i]
	return in.Probe.PC == probeSent && !g.SlowProbes && (in.Isolated == 0 || g.Straggles)
}

//go:norace
func (g *generator) writerHurries(i int, in *instance) bool {
	return (in.Writer.PC == deleteDone || in.Writer.PC == deleteForget) && !g.reads(i) && !g.SlowAcks
}

//go:norace
func (g *generator) readerHurries(in *instance, j int) bool {
	switch in.Readers[j].PC {
	case begin, askPending, asks, loaded, keep, tagNote, tagJudge, tagPending:
		return !g.SlowFlights
	case land, unkept:
		return !g.SlowFlights && !g.locked(in)
	default:
		return false
	}
}

// hurry adds the steps of the first process that hurries.
//
//go:norace
func (g *generator) hurry() bool {
	for i := range g.Instances {
		in := &g.from.Instance[i]
		switch {
		case g.probeHurries(g.from, i):
			g.probing(i)
		case g.writerHurries(i, in):
			g.writing(i)
		case g.readerHurries(in, 0):
			g.reading(i, 0)
		case g.readerHurries(in, 1):
			g.reading(i, 1)
		case g.tagHurries(i, in):
			g.hurryTag(i)
		default:
			continue
		}
		return true
	}
	return false
}

// cutOff reports whether an instance has nothing but an old primary that
// refuses to write.
//
//go:norace
func (g *generator) cutOff(i int) bool { return g.from.Instance[i].Isolated == 1 && !g.Straggles }

// reads reports whether an instance has readers. What one without them holds
// and hears is nobody's business.
//
//go:norace
func (g *generator) reads(i int) bool { return g.Kinds[i] != [maxReaders]Kind{} }

// initial is the state in which everything begins: a sequence which all
// instances have heard and confirmed.
//
//go:norace
func (g *generator) initial() State {
	s := State{Origin: 1, Left: g.Budget}
	begun := max(1, g.Begun)
	s.Redis = redis{Seq: begun, Top: begun, Run: 1, ERun: 1}
	if g.Warm {
		s.Redis.Ver, s.Redis.VTok, s.Redis.VSeq, s.Redis.Over = 1, 1, begun, b2u(g.Ended)
	}
	if g.Replicated {
		s.Replica = s.Redis
	}
	for i := range g.Instances {
		in := &s.Instance[i]
		in.Last, in.Run = begun, 1
		in.Floor = 1
		if begun > 1 {
			in.Stripe = begun // the last invalidation was the key's
		}
	}
	g.initialTags(&s)
	if g.Lagging {
		s.Guard.Replica = s.Origin
	}
	g.canonical(&s)
	return s
}

// limits of the ages that are told apart.
//
//go:norace
func (g *generator) expired() uint8 { return g.Bound + 1 }

// grace is the age of an epoch from which on values of before it are gone, and
// lost what the guarantees may have lost.
//
//go:norace
func (g *generator) grace() uint8 { return 1 }

// recovered is the age of a failover from which on the guarantees hold as
// always.
//
//go:norace
func (g *generator) recovered() uint8 { return g.Bound + g.grace() + 1 }
