package model

// The scripts of Redis. Each is one step. They work on the primary only: an
// isolated one refuses to write.

// advance counts an invalidation.
//
//go:norace
func (g *generator) advance(r *redis) {
	if r.Seq == 0 {
		g.create(r)
		return
	}
	r.Seq++
	r.Top = max(r.Top, r.Seq)
}

// create makes a lost sequence. It is the server's time, and so larger than all
// that was.
//
//go:norace
func (g *generator) create(r *redis) {
	if g.on(LostSequenceGrows) {
		r.Top++
		r.Seq = r.Top
		return
	}
	r.Seq = max(1, r.Top-1)
}

// publish announces an invalidation of the key.
//
//go:norace
func publish(s *State) { s.Messages.Key |= 1 << s.Redis.Seq }

// runInvalidate runs the script of Delete and returns its number.
//
//go:norace
func (g *generator) runInvalidate(s *State) uint8 {
	r := &s.Redis
	if g.on(InvalidateRemovesLease) {
		g.endLease(s)
	}
	if g.on(InvalidateRemovesValue) {
		r.Ver, r.VTok, r.VSeq = 0, 0, 0
	}
	g.overInvalidation(s)
	if g.on(InvalidateCounts) {
		g.advance(r)
	}
	publish(s)
	return r.Seq
}

// runBegin runs the script with which Set begins: an invalidation that leaves a
// lease.
//
//go:norace
func (g *generator) runBegin(s *State, token uint8) uint8 {
	r := &s.Redis
	if g.on(BeginInvalidates) {
		r.Ver, r.VTok, r.VSeq = 0, 0, 0
		g.advance(r)
		publish(s)
	} else if r.Seq == 0 {
		g.create(r)
	}
	g.endLease(s)
	if g.overBegin(s, token) {
		return r.Seq
	}
	r.LTok, r.LSeq = token, r.Seq
	return r.Seq
}

// runFill runs the script that stores a value under a lease.
//
//go:norace
func (g *generator) runFill(s *State, token, seq, ver uint8, announce bool) (stored bool) {
	r := &s.Redis
	if r.Seq == 0 {
		return false
	}
	if r.Ver != 0 && r.VTok == token {
		return true // an earlier run has stored it
	}
	if g.forbids(&s.Guard.Tomb, token) || seq < r.Clear && g.on(BelowClearIsRefused) {
		return false
	}
	switch {
	case r.LTok == 0:
		if g.on(FillNeedsLease) {
			return false
		}
	case r.LTok != token:
		if g.on(FillComparesToken) {
			return false
		}
	case r.LSeq != seq:
		if g.on(FillComparesSequence) {
			return false
		}
	}
	replaces := r.Ver != 0
	if !g.on(FillStatesGrant) {
		seq = r.Seq
	}
	r.Ver, r.VTok, r.VSeq, r.Over, r.Barred, r.Foreign = ver, token, seq, 0, 0, 0
	g.endLease(s)
	g.overFill(s)
	if (replaces || announce) && g.on(FillCountsReplacing) {
		g.advance(r)
		publish(s)
	}
	return true
}

// leaseReply is what get-or-lease answers.
type leaseReply uint8

const (
	leaseBusy leaseReply = iota
	leaseHit
	leaseGranted
	leaseBlocked
)

// runLease runs get-or-lease. refuse is the token of a value that will not do.
//
//go:norace
func (g *generator) runLease(s *State, token, refuse uint8) (reply leaseReply, seq uint8) {
	r := &s.Redis
	lost := r.Seq == 0
	if lost {
		g.create(r)
	}
	if r.Ver != 0 && !lost && r.VTok != refuse && !g.below(r) {
		return leaseHit, r.Seq
	}
	if s.Guard.Tomb.There == 1 && g.on(LeaseRespectsTombstone) || s.Guard.Nobodys != 0 {
		return leaseBlocked, r.Seq
	}
	if r.LTok == token {
		return leaseGranted, r.LSeq
	}
	if r.LTok != 0 && g.on(GrantIsExclusive) {
		return leaseBusy, 0
	}
	r.LTok, r.LSeq = token, r.Seq
	return leaseGranted, r.Seq
}

// endLease removes the key lease: from now on whoever loads under it does not
// hold it. (A second grant that the script should have refused ends nothing.)
//
//go:norace
func (g *generator) endLease(s *State) {
	token := s.Redis.LTok
	s.Redis.LTok, s.Redis.LSeq, s.Guard.Nobodys = 0, 0, 0
	if token != 0 {
		s.eachReader(func(r *reader) { r.Leased &^= b2u(r.Token == token) })
	}
}

// endLeases is for when Redis has lost everything.
//
//go:norace
func endLeases(s *State) {
	s.eachReader(func(r *reader) { r.Leased = 0 })
}

// runProbe runs the probe's script and returns whether it had to create the
// sequence.
//
//go:norace
func (g *generator) runProbe(s *State) (created bool) {
	r := &s.Redis
	if created = r.Seq == 0; created {
		g.create(r)
	}
	switch {
	case r.ERun == 0: // there is no epoch: nothing is known of an earlier primary
		r.ERun, r.ESeq, r.EAge = r.Run, 0, 0
		r.EId++
	case r.ERun != r.Run && g.Runs:
		r.ERun = r.Run
		if g.on(EpochMovesSequence) {
			r.Top++
			r.Seq = r.Top
		}
		r.ESeq, r.EAge = r.Seq, 0
		r.EId++
	}
	return created
}

//go:norace
func (s *State) eachReader(f func(*reader)) {
	for i := range s.Instance {
		for j := range s.Instance[i].Readers {
			f(&s.Instance[i].Readers[j])
		}
	}
}

//go:norace
func b2u(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}
