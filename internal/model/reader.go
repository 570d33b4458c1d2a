package model

// order is in which order the steps of a look at L1 load what.
type part uint8

const (
	partLease part = iota
	partStripe
	partFloor
	partGeneration
)

//go:norace
func (g *generator) order() [4]part {
	switch {
	case !g.on(LeaseBeforeFences):
		return [4]part{partStripe, partFloor, partGeneration, partLease}
	case !g.on(GenerationLast):
		return [4]part{partLease, partGeneration, partStripe, partFloor}
	default:
		return [4]part{partLease, partStripe, partFloor, partGeneration}
	}
}

// reading adds the steps of a reader.
//
//go:norace
func (g *generator) reading(i, j int) {
	if g.lateness(i, j) || g.Kinds[i][j].ahead() && !g.ahead(i, j) {
		return
	}
	switch g.from.Instance[i].Readers[j].PC {
	case idle:
		g.arrive(i, j)
	case look1, look2, look3, look4:
		n, _, r := g.reader(Look, i, j)
		g.look(n, i, j, r.PC)
	case begin:
		g.takeOff(i, j)
		g.join(i, j)
	case stampFences:
		_, in, r := g.reader(ReadFences, i, j)
		g.endStamp(in, r)
		r.PC = askPending
	case landed:
		g.acceptByFences(i, j)
	case joined:
		g.acceptByLease(i, j)
	default:
		g.flying(i, j)
	}
}

// reader adds a step of a reader, and returns where to carry it out.
//
//go:norace
func (g *generator) reader(kind ActionKind, i, j int) (*State, *instance, *reader) {
	n := g.next(kind, i, j)
	in := &n.Instance[i]
	return n, in, &in.Readers[j]
}

// dead reports whether a copy is past its life. There is a limit only for
// those from before a failover.
//
//go:norace
func (g *generator) dead(s *State, doomed uint8) bool {
	return doomed&1 == 1 && s.Redis.EAge > g.grace() || doomed&2 == 2 && s.Tag.EAge > g.grace()
}

// arrive begins a read. It is one step with the first look at L1: what a caller
// may not fall behind can only grow while it hesitates.
//
//go:norace
func (g *generator) arrive(i, j int) {
	kind := g.Kinds[i][j]
	if kind.forces() && g.from.Left.Forces == 0 {
		return
	}
	n, in, r := g.reader(Arrive, i, j)
	g.require(n, i, r)
	r.PC = begin
	if kind.pastL1() {
		n.Left.Forces -= b2u(kind.forces())
		g.requirePastL1(n, kind, r)
		return
	}
	e := &in.Entry
	if e.Ver == 0 || e.Over == 1 || g.dead(n, e.Doomed) {
		return
	}
	if g.FineReads {
		r.Ver, r.Mark, r.Tier = e.Ver, e.Mark, 1
		g.look(n, i, j, look1)
		return
	}
	if g.valid(in, &e.Mark) && g.tagValid(&in.Tag, &e.Tag) {
		g.take(r, e)
		g.returns(n, i, j)
	}
}

//go:norace
func (g *generator) take(r *reader, e *entry) {
	r.Ver, r.Mark, r.Doomed, r.Tier = e.Ver, e.Mark, e.Doomed, 1
	r.Tag.Mark = e.Tag
}

// look is one load of Valid.
//
//go:norace
func (g *generator) look(n *State, i, j int, at pc) {
	in := &n.Instance[i]
	r := &in.Readers[j]
	var ok bool
	switch g.order()[at-look1] {
	case partLease:
		ok = g.within(in, &r.Mark)
	case partStripe:
		ok = g.passesStripe(in, &r.Mark)
	case partFloor:
		ok = g.passesFloor(in, &r.Mark)
	case partGeneration:
		ok = in.Odd == 0 && g.passesGeneration(&r.Mark) || in.Odd > 0 && !(g.on(RewriteIsOdd) && g.on(OddIsNoGeneration)) && g.passesGeneration(&r.Mark)
	}
	switch {
	case !ok:
		r.restart()
	case at == look4:
		g.returns(n, i, j)
	default:
		r.PC = at + 1
	}
}

// restart lets the caller begin anew, with what it came for.
//
//go:norace
func (r *reader) restart() {
	*r = reader{
		PC: begin, Attempt: r.Attempt, Fresh: r.Fresh,
		Nil: r.Nil, Pending: r.Pending, Bound: r.Bound, Mono: r.Mono,
		Past: past{Soft: r.Past.Soft, Shown: r.Past.Shown},
	}
}

// takeOff begins a flight. A glance is one that nobody joins.
//
//go:norace
func (g *generator) takeOff(i, j int) {
	_, in, r := g.reader(TakeOff, i, j)
	r.Air = 1
	for k := range in.Readers {
		o := &in.Readers[k]
		if k == j || o.PC == idle {
			continue
		}
		o.Fresh = 1
		if o.Air == 1 {
			o.Met, r.Met = 1, 1
		}
	}
	if !g.on(StampBeforePending) {
		r.Asked = in.Queue.Queued
		r.PC = askPending
		return
	}
	if !g.FineStamps {
		r.Stamp = g.stampNow(in)
		r.PC = askPending
		return
	}
	if g.on(StampReadsGenerationFirst) {
		r.Stamp.Gen = g.stampNow(in).Gen
	} else {
		r.Stamp.readFences(in)
	}
	r.PC = stampFences
}

// endStamp is the second half of a stamp.
//
//go:norace
func (g *generator) endStamp(in *instance, r *reader) {
	if g.on(StampReadsGenerationFirst) {
		r.Stamp.readFences(in)
		return
	}
	r.Stamp.Gen = g.stampNow(in).Gen
}

// join waits for the other reader's flight, if that may be joined.
//
//go:norace
func (g *generator) join(i, j int) {
	in := &g.from.Instance[i]
	o := &in.Readers[1-j]
	if !g.Kinds[i][1-j].shares(g.Kinds[i][j]) || o.Air == 0 || o.Forgot == 1 {
		return
	}
	_, _, r := g.reader(Join, i, j)
	r.Own = r.Fresh
	r.PC = waiting
}

// acceptByLease is the first part of what a caller does that joined a flight.
//
//go:norace
func (g *generator) acceptByLease(i, j int) {
	n, in, r := g.reader(Accept, i, j)
	switch {
	case r.Own == 1 && g.exhausted(r):
		g.returns(n, i, j)
	case !g.joinerTakes(in, r):
		r.again()
	case !g.on(JoinLeaseBeforeFences) && !g.fresh(in, r):
		r.again()
	case g.on(JoinLeaseBeforeFences) && !g.vouched(in, r):
		r.again()
	default:
		r.PC = landed
	}
}

// acceptByFences is the second part.
//
//go:norace
func (g *generator) acceptByFences(i, j int) {
	n, in, r := g.reader(Accept, i, j)
	switch {
	case g.on(JoinLeaseBeforeFences) && !g.fresh(in, r):
		r.again()
	case !g.on(JoinLeaseBeforeFences) && !g.vouched(in, r):
		r.again()
	default:
		g.returns(n, i, j)
	}
}

// vouched reports whether the bound has not passed since the flight began, or
// a probe has confirmed meanwhile that everything was heard.
//
//go:norace
func (g *generator) vouched(in *instance, r *reader) bool {
	leased := g.confirmed(in) && (r.Mark.AsOf > 0 && r.Mark.Detached == 0 || !g.Lagging || !g.on(UnsharedLoadsAgeForJoiners))
	return r.Own == 1 || !g.on(JoinNeedsLease) || r.Stamp.T0 <= g.Bound || leased
}

// fresh reports whether nothing was heard since the flight began, or what it
// brings is known to be good nevertheless.
//
//go:norace
func (g *generator) fresh(in *instance, r *reader) bool {
	if r.Local == 1 && r.Own == 0 && g.on(JoinJudgesCopy) {
		return g.valid(in, &r.Mark)
	}
	if r.Ask.Same == 1 && r.Own == 0 && g.on(JoinJudgesUnchanged) {
		return g.valid(in, &r.Ask.Mark)
	}
	return !g.on(JoinChecksFences) || g.passes(in, &r.Stamp) || g.valid(in, &r.Mark)
}

// maxReloads is how often a caller discards what it gets. (The code has 3; one
// is enough to see what happens then.)
const maxReloads = 1

// exhausted reports whether a caller takes what its own flight brought though
// something was heard meanwhile.
//
//go:norace
func (g *generator) exhausted(r *reader) bool {
	former := r.Tier == 1 && r.Local == 0 && r.Mark.Gen == 0
	return r.Attempt >= maxReloads && !(former && g.on(FormerIsReadAgain))
}

// again discards what the flight brought.
//
//go:norace
func (r *reader) again() {
	r.Attempt = min(r.Attempt+1, maxReloads)
	r.restart()
}
