package model

// readMark is the mark of a copy that was only read: that it was read just now
// does not make it good for the bound from now on.
//
//go:norace
func (g *generator) readMark(in *instance, r *reader) mark {
	m := r.Stamp.at(r.Seq)
	if g.on(ReadIsAsOldAsLease) {
		raise(&m.T0, in.Lease) // both are ages
		m.Barred |= in.Barred
	}
	return m
}

// doubts reports whether what was read may be from a primary that was replaced.
// If the lease has ended, a flight waits a while for the next probe; here it does
// so by taking the reply late. (The copy's mark is of before the wait then, and so
// here it may seem younger than it is, never older.)
//
//go:norace
func (g *generator) doubts(in *instance, r *reader, m *mark) bool {
	switch {
	case !g.on(ReadMustBeValid) || g.valid(in, m):
		return false
	case g.on(BehindIsNotUsed) && r.Stamp.Gen == 1 && m.AsOf < r.Stamp.Floor:
		return true // what it knows is less than what was known here before it was asked
	case g.confirmed(in) && !g.passes(in, &r.Stamp):
		return false // something was heard meanwhile: who accepts it has it read again
	default:
		return true
	}
}
