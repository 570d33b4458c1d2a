package model

import "fmt"

// guard is what protects the key while somebody writes it, and the origin that
// loads read where that lags behind.
type guard struct {
	Tomb    tombstone
	Placed  uint8 // bit i: the tombstone of instance i's writer was there when its write began
	Replica uint8 // version that every load reads at least; 0: loads read what was committed
	Nobodys uint8 // the key lease is nobody's, until every load reads this version at least; 0: it is not
	Copy    copied
	Fallen  uint8 // bit i: the primary was replaced after the write of instance i was committed
}

// tombstone is what keeps everybody from storing anything in the key's place. How
// long it lives is told by what it lives longer than.
type tombstone struct {
	There  uint8 // 1: there is one
	Owner  uint8 // token of the Mutate that may take it away; 0: it is nobody's
	Set    uint8 // 1: the owner is a Set, which alone may fill under it
	Covers uint8 // bit i: it ends after the write of instance i must have ended
	Lag    uint8 // and after every load reads this version at least
	Owes   uint8 // version that a writer has committed under it that died then
}

// orphan confirms, in [ack].Who, in place of a writer that died under a tombstone.
const orphan = maxInstances + 1

// runBlock runs the script with which Mutate begins: an invalidation that leaves
// a tombstone.
//
//go:norace
func (g *generator) runBlock(s *State, token uint8, covers uint8) uint8 {
	r, t := &s.Redis, &s.Guard.Tomb
	if g.on(BlockRemovesLease) {
		g.endLease(s)
	}
	r.Ver, r.VTok, r.VSeq = 0, 0, 0
	lag := t.Lag
	if g.Lagging && g.on(TombstoneOutlivesLag) {
		lag = s.Origin // it lives for so long after it was placed, too
	}
	g.entomb(s, token, covers, lag)
	if g.on(BlockCounts) {
		g.advance(r)
	}
	publish(s)
	return r.Seq
}

// entomb puts a tombstone in the key's place.
//
//go:norace
func (g *generator) entomb(s *State, token, covers, lag uint8) {
	t := &s.Guard.Tomb
	if t.There == 1 {
		if t.Owner != token && g.on(MetTombstonesAreShared) {
			token = 0
		}
		if g.on(TombstonesNeverShorten) {
			covers |= t.Covers
			lag = max(lag, t.Lag)
		}
	}
	t.There, t.Owner, t.Set, t.Covers, t.Lag = 1, token, 0, covers, lag
}

// runUnblock runs the script with which Mutate ends: an invalidation that takes
// the tombstone away if it is the writer's.
//
//go:norace
func (g *generator) runUnblock(s *State, token uint8) uint8 {
	t := &s.Guard.Tomb
	if t.There == 1 && (t.Owner == token || !g.on(UnblockComparesToken)) {
		g.unearth(s)
	} else if t.There == 0 && s.Redis.Seq != 0 && !g.on(UnblockInvalidatesAnyway) {
		return s.Redis.Seq
	}
	return g.runInvalidate(s)
}

// overInvalidation is what an invalidation by others makes of a tombstone: it is
// left. Where the origin lags behind it leaves one itself, in the same step.
//
//go:norace
func (g *generator) overInvalidation(s *State) {
	switch {
	case g.Lagging && g.on(LagLeavesTombstone):
		g.entomb(s, 0, 0, s.Origin)
	case !g.on(DeleteLeavesTombstone):
		g.unearth(s)
	}
}

// overBegin is the same for a Set with a token. It reports whether the Set gets no
// lease. Where the origin lags behind it leaves a tombstone of its own, in place of
// that of another Set, or makes the one that is there live for as long.
//
//go:norace
func (g *generator) overBegin(s *State, token uint8) (noLease bool) {
	t := &s.Guard.Tomb
	if !g.on(SetLeavesTombstone) {
		g.unearth(s)
	}
	others := t.There == 1 && t.Set == 0
	switch {
	case !g.Lagging || !g.on(LaggingSetLeavesTombstone):
	case others:
		raise(&t.Lag, s.Origin)
	default:
		*t = tombstone{There: 1, Owner: token, Set: 1, Lag: s.Origin}
	}
	return others && g.on(BlockedBeginGrantsNothing)
}

// forbids reports whether a fill with a token is refused because of a tombstone.
//
//go:norace
func (g *generator) forbids(t *tombstone, token uint8) bool {
	return t.There == 1 && !(t.Set == 1 && t.Owner == token) && g.on(FillRespectsTombstone)
}

// overFill is what a fill makes of a tombstone. Under that of a Set it leaves the key
// lease to nobody, for what is left of the tombstone's life: the value is not replaced
// by what is loaded.
//
//go:norace
func (g *generator) overFill(s *State) {
	if t := &s.Guard.Tomb; t.Set == 1 && g.on(LaggingFillLeavesLease) {
		s.Guard.Nobodys = t.Lag
	}
	g.unearth(s)
}

// unearth ends a tombstone. What was committed under it by a writer that has died
// binds from now on like a confirmed invalidation, except that there is no instance
// on which it binds at once.
//
//go:norace
func (g *generator) unearth(s *State) {
	if v := s.Guard.Tomb.Owes; v != 0 {
		s.Acks[v-1] = ack{Who: orphan}
	}
	s.Guard.Tomb = tombstone{}
}

// expireTombstone is the end of a tombstone's life, or of a lease that is nobody's: at
// any time at which nobody needs it any more.
//
//go:norace
func (g *generator) expireTombstone() {
	g.loseTombstone()
	t := &g.from.Guard.Tomb
	if v := g.from.Guard.Nobodys; v != 0 && g.from.Guard.Replica >= v {
		g.next(ExpireLease, 0, 0).Guard.Nobodys = 0
	}
	if t.There == 0 || g.Lasting || g.from.Guard.Replica < t.Lag && g.Lagging {
		return
	}
	for i := range g.Instances {
		if t.Covers>>i&1 == 1 && g.from.Instance[i].Writer.writes() && g.on(WriteEndsBeforeTombstone) {
			return
		}
	}
	g.unearth(g.next(ExpireTombstone, 0, 0))
}

// writes reports whether a Mutate is between its tombstone and its commit.
//
//go:norace
func (w *writer) writes() bool { return w.PC == blockDone || w.PC == mutates }

// catchUp lets loads read what was committed a while ago.
//
//go:norace
func (g *generator) catchUp() {
	if g.Lagging && g.from.Guard.Replica < g.from.Origin {
		g.next(CatchUp, 0, 0).Guard.Replica++
	}
}

// older adds, to the step in which a reader has loaded, those in which it has got
// an older version, because the origin that it reads lags behind.
//
//go:norace
func (g *generator) older(i, j int) {
	if !g.Lagging {
		return
	}
	loaded := g.out[len(g.out)-1]
	for v := loaded.State.Guard.Replica; v < loaded.State.Origin; v++ {
		st := loaded
		st.State.Instance[i].Readers[j].Ver = v
		g.out = append(g.out, st)
	}
}

// readable reports whether every load reads a version. Before that no guarantee
// can speak of it.
//
//go:norace
func (g *generator) readable(s *State, ver uint8) bool {
	return !g.Lagging || s.Guard.Replica >= ver
}

// String describes a tombstone.
func (t tombstone) String() string {
	switch {
	case t.There == 0:
		return "no tombstone"
	case t.Owner == 0:
		return "a tombstone that is nobody's"
	case t.Set == 1:
		return fmt.Sprintf("a tombstone of %d's, a Set", t.Owner)
	}
	return fmt.Sprintf("a tombstone of %d's", t.Owner)
}

// detachesLagging reports whether an instance may load without Redis from an origin
// that lags behind. What it has got so it keeps for the bound, also where it has
// deleted itself, unless its invalidation is still queued.
//
//go:norace
func (g *generator) detachesLagging() bool {
	return g.Lagging && g.Budget.Timeouts+g.Budget.Absences > 0
}
