package model

// keepCopy puts what the flight brings into L1, which may have no room for it.
//
//go:norace
func (g *generator) keepCopy(i, j int) {
	_, in, r := g.reader(Keep, i, j)
	e := entry{Ver: r.Ver, Doomed: r.Doomed, Tok: r.Kept, Mark: r.Mark, Tag: r.Tag.Mark}
	if g.markedTag(&e) && g.supersedes(&e, &in.Entry) {
		in.Entry = e
	}
	r.PC = land
	if g.from.Left.Drops > 0 && !g.locked(&g.from.Instance[i]) {
		n, in, r := g.reader(KeepNot, i, j)
		n.Left.Drops--
		if g.on(UnkeptReadsRaise) {
			g.answered(in, &r.Mark)
		}
		g.outlived(n, i, &r.Mark)
		r.PC = land
	}
}

// land ends the flight. All who waited for it get what it brings; its leader
// accepts it in the same step, since to hesitate makes no difference to it.
//
//go:norace
func (g *generator) land(i, j int) {
	n, in, r := g.reader(Land, i, j)
	g.supersede(n, i, j)
	if r.Met == 1 && g.on(MetFlightsRaise) {
		g.answered(in, &r.Mark)
	}
	if o := &in.Readers[1-j]; o.PC == waiting {
		o.Ver, o.Tier, o.Doomed, o.Mark, o.Stamp, o.Local = r.Ver, r.Tier, r.Doomed, r.Mark, r.Stamp, r.Local
		o.Tag, o.Ask = r.Tag, r.Ask
		o.PC = joined
	}
	switch {
	case r.Past.Left == 1:
		r.clear()
	case !g.leaderTakes(in, r):
		r.again()
	case !g.on(LeaderChecksFences), g.exhausted(r), g.passes(in, &r.Stamp), g.valid(in, &r.Mark):
		g.returns(n, i, j)
	default:
		r.again()
	}
}
