package model

// What becomes of tombstones when Redis loses them. A Mutate whose process lives is a
// Delete then: it invalidates at its end, whatever it finds. One whose process dies
// after that is what a Delete is whose process dies before it: nobody invalidates what
// was loaded between the loss and the commit. But if the write was committed before the
// loss, then all that can be loaded after it is new, and what a replica has from before
// ends with the grace.

// copied is what a replica has of a guard.
type copied struct {
	Tomb    tombstone
	Nobodys uint8
}

// loseTombstones puts what there is after a loss in the place of the tombstone and the
// lease of nobody's.
//
//go:norace
func (s *State) loseTombstones(now copied, failover bool) {
	u := &s.Guard
	owes := u.Tomb.Owes
	u.Tomb, u.Nobodys, u.Copy = now.Tomb, now.Nobodys, copied{}
	for i := range s.Instance {
		bit := uint8(1) << i
		switch {
		case u.Placed&bit == 0:
		case s.Instance[i].Writer.writes():
			if now.Tomb.Covers&bit == 0 {
				u.Placed &^= bit
			}
		case failover:
			u.Fallen |= bit
		}
	}
	switch {
	case owes == 0:
	case now.Tomb.There == 1:
		raise(&u.Tomb.Owes, owes)
	default:
		s.Acks[owes-1] = ack{Who: orphan, Lossy: b2u(failover)}
	}
}

// loseTombstone is a tombstone alone that Redis evicts.
//
//go:norace
func (g *generator) loseTombstone() {
	if g.from.Left.Tombstones == 0 || g.from.Guard.Tomb.There == 0 {
		return
	}
	n := g.next(LoseTombstone, 0, 0)
	n.Left.Tombstones--
	now := copied{Nobodys: n.Guard.Nobodys}
	n.loseTombstones(now, false)
}

// outlast is what there is to be said when a process dies whose write was committed
// under its tombstone: what was committed binds from the end of that on, or at once.
//
//go:norace
func (s *State) outlast(i int, ver uint8) {
	t, bit := &s.Guard.Tomb, uint8(1)<<i
	switch {
	case ver == 0 || s.Guard.Placed&bit == 0:
	case t.There == 1 && t.Set == 0:
		raise(&t.Owes, ver)
	default:
		s.Acks[ver-1] = ack{Who: orphan, Lossy: s.Guard.Fallen >> i & 1}
	}
}

// leaves forgets the tombstone of a Mutate that has ended.
//
//go:norace
func (u *guard) leaves(i int) {
	u.Placed &^= 1 << i
	u.Fallen &^= 1 << i
}

// former notes, at a failover, what was done by the former primary and is still to be
// confirmed.
//
//go:norace
func (s *State) former() {
	for i := range s.Instance {
		in := &s.Instance[i]
		in.Queue.Former |= b2u(in.Queue.PC == retryDone || in.Queue.PC == retryLeave)
		in.Writer.Former |= b2u(in.Writer.PC == deleteDone || in.Writer.PC == deleteForget)
	}
}

// acked takes note of an invalidation that was confirmed, to be sent again to another
// primary. If the generation has changed since it was sent, that may have been done
// already, without this one. Values from before a failover end with the grace; but where
// the origin lags behind, others are as bad.
//
//go:norace
func (g *generator) acked(in *instance, since position) {
	in.Acked = b2u(g.Replicated && !g.Forgetful)
	if since.Gen == 0 && g.Lagging && g.on(LateAcksAreSentAgain) {
		in.Queue.add()
		in.void()
	}
}

// sentAgain is what a replay means that was confirmed: what a failover has lost is
// invalidated anew, and binds as anything that is.
//
//go:norace
func (s *State) sentAgain(i int) {
	if s.Instance[i].Queue.Former == 1 {
		return
	}
	for k := range s.Acks {
		if a := &s.Acks[k]; int(a.Who) == i+1 && a.Lossy == 1 {
			a.Lossy, a.Age = 0, 0
		}
	}
}

// resent reports whether what a failover may have lost counts, as far as the origin
// that loads read lags behind: the tombstone that was lost must be there again, or
// never be. Until whoever has left it has reached the new primary, what was there
// before may be loaded and stored; so it may if that one has died.
//
//go:norace
func (g *generator) resent(s *State, a *ack) bool {
	if !g.Lagging {
		return true
	}
	if a.Who == orphan {
		return false
	}
	in := &s.Instance[a.Who-1]
	return in.alive() && in.Queue.Queued == 0 && in.Run == s.Redis.Run
}

// unending reports whether a value in Redis, which is older than a confirmation that a
// failover has lost, is there to stay: it is from after the failover, so that the grace
// does not end it, and who was confirmed has nothing more to send.
//
//go:norace
func (g *generator) unending(s *State, a *ack) bool {
	r := &s.Redis
	after := r.ERun == r.Run && r.ESeq > 0 && r.VSeq >= r.ESeq
	return a.Lossy == 1 && g.Lagging && after && g.resent(s, a)
}
