package model

// probing adds the steps of an instance's prober. A probe that fails is one
// that takes for ever, or so long that its answer confirms nothing.
//
//go:norace
func (g *generator) probing(i int) {
	if !g.Probes[i] || g.Vouched {
		return
	}
	from := &g.from.Instance[i]
	switch from.Probe.PC {
	case idle:
		n := g.next(StartProbe, i, 0)
		p := &n.Instance[i].Probe
		p.PC, p.Before = probeSent, from.Last
	case probeSent:
		g.runningProbe(i)
	case probeDone:
		if !g.locked(from) {
			g.takeAnswer(i)
		}
	case probeSettle:
		if !g.locked(from) {
			g.settle(i)
		}
	case probeLease:
		if from.Odd == 0 {
			g.grantStep(i)
		}
	default:
	}
}

//go:norace
func (g *generator) runningProbe(i int) {
	isolated := g.cutOff(i)
	if isolated && g.on(ProbeWrites) {
		return // refused
	}
	n := g.next(RunProbe, i, 0)
	p := &n.Instance[i].Probe
	r := &n.Redis
	if isolated {
		r = &n.Old
	} else {
		p.Created = b2u(g.runProbe(n))
	}
	p.Seq, p.Run, p.ESeq = r.Seq, r.Run, r.ESeq
	p.Epoch = r.EId
	p.PC = probeDone
}

// takeAnswer applies the answer of a probe, as far as nothing has to be waited
// for.
//
//go:norace
func (g *generator) takeAnswer(i int) {
	n := g.next(TakeAnswer, i, 0)
	in := &n.Instance[i]
	p := &in.Probe
	if !g.on(ProbeNotesTimeFirst) {
		p.T0 = 0
	}
	if !g.on(ProbeNotesLastFirst) {
		p.Before = in.Last
	}
	replaced, lost := g.newPrimary(in, p)
	switch {
	case p.Created == 1 && g.on(RestartVoids), lost:
		g.rewind(in, p.Seq)
		*p = prober{}
	case replaced:
		g.rewind(in, p.Seq)
		p.Before = min(p.Before, p.Seq) // the next step goes on from there
	case p.Seq < p.Before && g.on(RewoundVoids):
		g.rewind(in, p.Seq)
		p.PC = probeLease
		if in.Odd == 0 {
			in.grant()
		}
	case in.Last >= p.Seq:
		in.grant()
	case !g.on(ProbeWaitsForMessages):
		in.grant()
	default:
		p.PC = probeSettle
	}
}

// newPrimary is what a prober does that hears from another primary, before
// anything is confirmed. It reports whether its numbers are not those of the
// former one, and whether Redis has lost the partition.
//
//go:norace
func (g *generator) newPrimary(in *instance, p *prober) (replaced, lost bool) {
	replaced = p.Run != in.Run && g.Runs && g.on(RunRestarts)
	lost = p.ESeq == 0 && (in.Epoch != 0 || in.EId != p.Epoch) && g.on(EpochIsNamed)
	if p.Run != in.Run && in.Acked == 1 && g.Runs {
		if g.on(AcknowledgedIsReplayed) {
			in.Queue.add()
			in.void()
		}
		in.Acked = 0
	}
	if q := &in.Queue; p.Run != in.Run && g.Runs && q.Queued == 1 && q.PC != idle && g.on(LateAcksAreSentAgain) {
		q.Readded = 1 // what is on its way may have been done by the former primary
	}
	in.Run = p.Run
	if in.Epoch != p.ESeq && g.on(EpochVoids) {
		in.newGeneration()
	}
	in.Epoch = p.ESeq
	if g.on(EpochIsNamed) {
		in.EId = p.Epoch
	}
	return replaced, lost
}

// settle ends the wait for messages under way: the floor, then the lease.
//
//go:norace
func (g *generator) settle(i int) {
	n := g.next(Settle, i, 0)
	in := &n.Instance[i]
	p := &in.Probe
	if in.Last >= p.Seq {
		in.grant()
		return
	}
	p.PC = probeLease
	if g.on(FloorBeforeLease) {
		raise(&in.Floor, p.Seq)
		raise(&in.Last, p.Seq)
		return
	}
	in.Lease = min(in.Lease, p.T0)
}

//go:norace
func (g *generator) grantStep(i int) {
	n := g.next(Grant, i, 0)
	in := &n.Instance[i]
	if !g.on(FloorBeforeLease) {
		raise(&in.Floor, in.Probe.Seq)
		raise(&in.Last, in.Probe.Seq)
	}
	in.grant()
}

// grant renews the lease and ends the round.
//
//go:norace
func (in *instance) grant() {
	in.Lease = min(in.Lease, in.Probe.T0)
	in.Barred &= in.Probe.Barred
	in.Probe = prober{}
}

// hearing adds the steps of an instance's subscriber. Any message may come at
// any time.
//
//go:norace
func (g *generator) hearing(i int) {
	from := &g.from.Instance[i]
	switch {
	case from.Hear.PC == hearSecond:
		n := g.next(HearMore, i, 0)
		in := &n.Instance[i]
		h := in.Hear
		in.Hear = hearing{}
		g.hear(in, h, !g.on(StripeBeforeLast))
		return
	case g.locked(from) || g.Deaf || !g.reads(i):
		return
	}
	m := &g.from.Messages
	for s := uint8(1); m.Key>>s|m.Other>>s != 0; s++ {
		for key := range uint8(2) {
			if key == 1 && m.Key>>s&1 == 0 || key == 0 && m.Other>>s&1 == 0 {
				continue
			}
			if s <= from.Last && (key == 0 || s <= from.Stripe) {
				continue // it changes nothing
			}
			n := g.next(Hear, i, 0)
			g.arg(s)
			in := &n.Instance[i]
			h := hearing{PC: hearSecond, Seq: s, Key: key}
			g.hear(in, h, g.on(StripeBeforeLast))
			if g.FineHears {
				in.Hear = h
			} else {
				g.hear(in, h, !g.on(StripeBeforeLast))
			}
		}
	}
}

// hear does half of what a message means.
//
//go:norace
func (g *generator) hear(in *instance, h hearing, stripe bool) {
	if stripe {
		if h.Key == 1 && g.on(MessageRaisesStripe) {
			raise(&in.Stripe, h.Seq)
		}
		return
	}
	if h.Seq > in.Last+1 && g.on(GapRaisesFloor) {
		raise(&in.Floor, h.Seq)
	}
	raise(&in.Last, h.Seq)
}
