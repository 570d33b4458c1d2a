package model

// A caller that may be given a value past its life gives up waiting for a load at
// any time (Config.SoftTimeout, or because a load has failed before), or is told
// that it has failed.

// lateness adds the steps in which a caller does not wait for a load any more, and
// reports whether there can be no others.
//
//go:norace
func (g *generator) lateness(i, j int) (failing bool) {
	if !g.Stale || !g.Kinds[i][j].servesStale() {
		return false
	}
	switch r := &g.from.Instance[i].Readers[j]; r.PC {
	case begin, waiting:
		n, _, _ := g.reader(ServeStale, i, j)
		g.serve(n, i, j, n)
	case leaseSent, loading, detach, beside:
		if r.Past.Left == 0 {
			n, _, _ := g.reader(ServeStale, i, j)
			g.serve(n, i, j, g.from)
		}
		if r.PC != leaseSent {
			g.failLoad(i, j)
		}
		failing = g.Failing && r.PC != leaseSent
	case staleAsk, staleTake:
		g.afterFailure(i, j)
	default:
	}
	return failing
}

// serve returns a stale value to a caller, if there is one; flight is where its
// flight goes on from, if that is elsewhere.
//
//go:norace
func (g *generator) serve(n *State, i, j int, flight *State) {
	r := &n.Instance[i].Readers[j]
	if g.pendingStale(&n.Instance[i]) || !g.takeStale(n, i, r) {
		g.out = g.out[:len(g.out)-1]
		return
	}
	g.returns(n, i, j)
	if flight != n {
		*r = flight.Instance[i].Readers[j]
		r.Nil, r.Pending, r.Bound, r.Mono, r.Own, r.Past = 0, 0, 0, 0, 0, past{Left: 1}
	}
}

//go:norace
func (g *generator) pendingStale(in *instance) bool {
	return in.Queue.Queued == 1 && g.on(StaleAsksPending)
}

// takeStale takes what may be served in place of a load: the copy in L1, or what
// the caller itself has read, whichever is newer.
//
//go:norace
func (g *generator) takeStale(n *State, i int, r *reader) bool {
	in := &n.Instance[i]
	e, p := &in.Entry, &r.Past
	ok := e.Ver != 0 && (g.valid(in, &e.Mark) && g.tagValid(&in.Tag, &e.Tag) || !g.on(StaleMustBeValid))
	if ok && e.Over == 0 && !g.dead(n, e.Doomed) {
		g.take(r, e)
		p.Stale = 0
		return true
	}
	ended := func(doomed uint8) bool { return g.dead(n, doomed) && g.on(EpochEndsStale) }
	if e.Mark.Barred == 1 || ended(e.Doomed) {
		ok = false
	}
	if p.Ver != 0 && (!ok || p.Mark.Gen > e.Mark.Gen || p.Mark.Gen == e.Mark.Gen && p.Mark.AsOf >= e.Mark.AsOf) {
		if !g.valid(in, &p.Mark) && g.on(HeldIsJudged) || ended(p.Doomed) {
			return false
		}
		r.Ver, r.Mark, r.Tier, p.Stale = p.Ver, p.Mark, 1, 1
		return true
	}
	if ok {
		g.take(r, e)
		p.Stale = 1
	}
	return ok
}

// failLoad is a load that fails: all who wait for it look for something else.
//
//go:norace
func (g *generator) failLoad(i, j int) {
	n, in, r := g.reader(FailLoad, i, j)
	g.release(n, r)
	if o := &in.Readers[1-j]; o.PC == waiting {
		o.PC = staleAsk
		if !g.on(HeldIsOwn) {
			o.Past.Ver, o.Past.Mark, o.Past.Doomed = r.Past.Ver, r.Past.Mark, r.Past.Doomed
		}
	}
	left := r.Past.Left == 1
	*r = reader{PC: staleAsk, Nil: r.Nil, Pending: r.Pending, Bound: r.Bound, Mono: r.Mono, Past: r.Past}
	if left {
		r.clear()
	}
}

// afterFailure asks whether an invalidation is pending, and then looks at what
// there is, in two steps.
//
//go:norace
func (g *generator) afterFailure(i, j int) {
	n, in, r := g.reader(ServeStale, i, j)
	first := r.PC == staleAsk
	r.PC = staleTake
	switch {
	case first == g.on(StaleAsksPendingFirst):
		if g.pendingStale(in) {
			r.clear()
		} else if !first {
			g.returns(n, i, j)
		}
	case !g.takeStale(n, i, r):
		r.clear()
	case !first:
		g.returns(n, i, j)
	}
}

// hold takes note of a value past its life that a reader has read, and puts it into
// L1 for those who come next.
//
//go:norace
func (g *generator) hold(in *instance, r *reader, m *mark, doomed uint8) {
	if r.Past.Barred == 1 && g.on(HeldIsBarred) {
		return
	}
	r.Past.Ver, r.Past.Mark, r.Past.Doomed = r.Ver, *m, doomed
	if g.on(HeldRaises) {
		g.answered(in, m)
		if g.on(HeldStampsAnew) {
			r.Stamp = g.stampNow(in)
			r.Past.Again = 1
		}
	}
	old := &in.Entry
	if m.Gen == 0 || old.Ver != 0 && g.valid(in, &old.Mark) && old.Mark.AsOf >= m.AsOf {
		old.Out |= b2u(old.Mark.AsOf == m.AsOf && g.on(OutlivedIsNotAsked) && g.asksSomewhere())
		return
	}
	if e := (entry{Ver: r.Ver, Doomed: doomed, Over: 1, Mark: *m}); g.supersedes(&e, old) {
		*old = e
	}
}

// supersede ends a load whose value no shared tier has taken: nothing that was made
// before is served past its life any more.
//
//go:norace
func (g *generator) supersede(n *State, i, j int) {
	r := &n.Instance[i].Readers[j]
	unshared := r.Tier == 0 && r.Local == 0 && (r.Mark.AsOf == 0 || r.Mark.Detached == 1) && !g.Kinds[i][j].ahead()
	if g.Stale && unshared && g.on(UnsharedLoadsBar) {
		n.bar(i)
	}
}

// outlived is the same for a value that L1 has not kept, though it keeps another one.
//
//go:norace
func (g *generator) outlived(n *State, i int, m *mark) {
	e := &n.Instance[i].Entry
	if e.Ver == 0 || !g.copyValid(&n.Instance[i]) || e.Mark.Gen != m.Gen || e.Mark.AsOf > m.AsOf {
		return
	}
	if g.on(OutlivedIsNotAsked) && g.asksSomewhere() {
		e.Out = 1
	}
	if g.Stale && g.on(OutlivedBars) {
		n.bar(i)
	}
}

// bar makes everything that was made before now unfit to be served past its life.
//
//go:norace
func (s *State) bar(i int) {
	in := &s.Instance[i]
	in.Barred, in.Probe.Barred = 1, b2u(in.Probe.PC != idle)
	in.Entry.Mark.Barred = b2u(in.Entry.Ver != 0)
	in.Writer.Stamp.Barred, in.Writer.Mark.Barred = b2u(in.Writer.Stamp.Floor > 0), b2u(in.Writer.Mark.AsOf > 0)
	for j := range in.Readers {
		r := &in.Readers[j]
		r.Stamp.Barred, r.Mark.Barred, r.Past.Barred = b2u(r.Stamp.Floor > 0), b2u(r.Mark.AsOf > 0), b2u(r.PC == getDone)
	}
	for _, r := range [...]*redis{&s.Redis, &s.Replica, &s.Old} {
		r.Barred |= 1 << i
	}
}
