package model

import "slices"

// canonical gives states that differ in names only the same form.
//
//go:norace
func (g *generator) canonical(s *State) {
	if s.Late != ([maxLate]call{}) {
		slices.SortFunc(s.Late[:], compareCalls)
	}
	g.dropDominated(s)
	g.canonicalTags(s)
	g.tidyLives(s)
	for i := range g.Instances {
		g.dropDead(&s.Instance[i])
		k := &g.Kinds[i]
		rs := &s.Instance[i].Readers
		if k[0] == k[1] && k[0] != None && less(&rs[1], &rs[0]) {
			rs[0], rs[1] = rs[1], rs[0]
		}
	}
}

// dropDead forgets copies that can never be valid again, and what makes stamps
// differ that can never pass again.
//
//go:norace
func (g *generator) dropDead(in *instance) {
	if g.FineRewinds {
		return
	}
	if in.Entry.Ver != 0 && g.gone(in, &in.Entry.Mark) && g.on(StaleMustBeValid) && g.on(UnchangedIsVouched) {
		in.Entry = entry{}
	}
	for j := range in.Readers {
		r := &in.Readers[j]
		if st := &r.Stamp; st.Floor > 0 && r.PC != stampFences && !g.passes(in, st) {
			st.Fence = 0
			if st.Gen == 0 || !r.reading() {
				st.Floor = 1
			}
		}
	}
}

// reading reports whether what Redis answers is still to be compared with what
// was known before.
//
//go:norace
func (r *reader) reading() bool {
	switch r.PC {
	case askPending, getSent, getDone, leaseSent:
		return true
	default:
		return false
	}
}

// dropDominated forgets confirmations that ask for less than a later one does
// of everybody.
//
//go:norace
func (g *generator) dropDominated(s *State) {
	for k := maxVersions - 1; k > 0; k-- {
		a := &s.Acks[k]
		if a.Who == 0 || a.Lossy == 1 || a.Age <= g.Bound || a.Soft == 1 {
			continue
		}
		for l := range k {
			s.Acks[l] = ack{}
		}
		return
	}
}

//go:norace
func compareCalls(a, b call) int { return int(b.number()) - int(a.number()) }

//go:norace
func (c call) number() uint32 {
	return uint32(c.Kind)<<24 | uint32(c.Token)<<16 | uint32(c.Seq)<<8 | uint32(c.Ver)
}

// less orders readers by what they differ in most. Where it cannot tell, two
// states that are alike are both looked at, which costs only time.
//
//go:norace
func less(a, b *reader) bool {
	if a.PC != b.PC {
		return a.PC < b.PC
	}
	return a.number() < b.number()
}

//go:norace
func (r *reader) number() uint64 {
	n := uint64(0)
	for _, f := range [...]uint8{
		r.Ver, r.Stamp.Fence, r.Stamp.T0, r.Mark.AsOf, r.Bound, r.Nil, r.Mono, r.Seq,
		r.Attempt, r.Own, r.Fresh, r.Met, r.Forgot, r.Token,
	} {
		n = n<<4 | uint64(f&15)
	}
	return n
}
