package model

// How an instance hears of the tag's partition, and what happens to that.

// tagging adds the steps of an instance that are about the tag's partition.
//
//go:norace
func (g *generator) tagging(i int) {
	if !g.Tagged {
		return
	}
	g.untagging(i)
	g.retryingTag(i)
	g.widening(i)
	if g.Probes[i] {
		g.probingTag(i)
	}
	if !g.Deaf && g.reads(i) {
		g.hearingTag(i)
	}
}

// probingTag is probing for the tag's partition. One round probes all partitions;
// here each has rounds of its own, which can do all that a common one can.
//
//go:norace
func (g *generator) probingTag(i int) {
	from := &g.from.Instance[i].Tag
	switch from.Probe.PC {
	case idle:
		p := &g.next(StartTagProbe, i, 0).Instance[i].Tag.Probe
		p.PC, p.Before = probeSent, from.Last
	case probeSent:
		n := g.next(RunTagProbe, i, 0)
		t, p := &n.Tag, &n.Instance[i].Tag.Probe
		if t.Seq == 0 {
			t.create()
			p.Created = 1
		}
		switch t.ERun {
		case t.Run:
		case 0:
			t.ERun, t.EAge = t.Run, 0
			t.EId++
		default:
			t.create()
			t.ERun, t.ESeq, t.EAge = t.Run, t.Seq, 0
			t.EId++
		}
		p.Seq, p.Run, p.ESeq, p.EId, p.PC = t.Seq, t.Run, t.ESeq, t.EId, probeDone
	case probeDone:
		g.takeTagAnswer(i)
	case probeSettle:
		v := &g.next(SettleTag, i, 0).Instance[i].Tag
		if v.Last < v.Probe.Seq {
			raise(&v.Floor, v.Probe.Seq)
			raise(&v.Last, v.Probe.Seq)
		}
		v.grant()
	default:
	}
}

//go:norace
func (g *generator) takeTagAnswer(i int) {
	in := &g.next(TakeTagAnswer, i, 0).Instance[i]
	v := &in.Tag
	p := &v.Probe
	replaced, lost := in.newTagPrimary(p)
	switch {
	case p.Created == 1, lost:
		in.rewindTag(p.Seq)
		*p = tagProber{}
	case replaced:
		in.rewindTag(p.Seq)
		p.Before = min(p.Before, p.Seq) // the next step goes on from there
	case p.Seq < p.Before:
		in.rewindTag(p.Seq)
		v.grant()
	case v.Last >= p.Seq:
		v.grant()
	default:
		p.PC = probeSettle
	}
}

// newTagPrimary is newPrimary for the tag's partition. (Nothing is replayed: that
// would only mend sooner what a failover has lost.)
//
//go:norace
func (in *instance) newTagPrimary(p *tagProber) (replaced, lost bool) {
	v := &in.Tag
	replaced = p.Run != v.Run
	lost = p.ESeq == 0 && (v.Epoch != 0 || v.EId != p.EId)
	if v.Epoch != p.ESeq {
		in.newTagGeneration()
	}
	v.Run, v.Epoch, v.EId = p.Run, p.ESeq, p.EId
	return replaced, lost
}

// grant renews the lease and ends the round.
//
//go:norace
func (v *tagView) grant() {
	v.Lease = min(v.Lease, v.Probe.T0)
	v.Rewound &= v.Probe.Former
	v.Probe = tagProber{}
}

// hearingTag adds the messages that can come.
//
//go:norace
func (g *generator) hearingTag(i int) {
	m, from := &g.from.Tag.Messages, &g.from.Instance[i].Tag
	for s := uint8(1); m.Tag>>s|m.Other>>s|m.Whole>>s != 0; s++ {
		if m.Whole>>s&1 == 1 && (s > from.Last || s > from.Floor) {
			v := &g.next(HearTag, i, 0).Instance[i].Tag
			g.arg(s)
			raise(&v.Floor, s)
			raise(&v.Last, s)
		}
		for tag := range uint8(2) {
			switch {
			case tag == 1 && m.Tag>>s&1 == 0, tag == 0 && m.Other>>s&1 == 0, s <= from.Last && (tag == 0 || s <= from.Stripe):
				continue
			}
			v := &g.next(HearTag, i, 0).Instance[i].Tag
			g.arg(s)
			if tag == 1 {
				raise(&v.Stripe, s)
			}
			if s > v.Last+1 {
				raise(&v.Floor, s)
			}
			raise(&v.Last, s)
		}
	}
}

// tagFaults adds what nobody does.
//
//go:norace
func (g *generator) tagFaults() {
	from, left := &g.from.Tag, &g.from.Left.Tag
	g.failTagOver()
	if from.Seq == 0 {
		return
	}
	if left.Others > 0 {
		n := g.next(CountTag, 0, 0)
		n.Left.Tag.Others--
		g.advanceTag(&n.Tag)
		n.Tag.Messages.Other |= 1 << n.Tag.Seq
	}
	if left.Evictions > 0 && from.Tag != 0 {
		n := g.next(EvictTag, 0, 0)
		n.Left.Tag.Evictions--
		n.Tag.Tag = 0
	}
	if left.Losses > 0 {
		n := g.next(LoseTagSequence, 0, 0)
		n.Left.Tag.Losses--
		n.Tag.Seq = 0
	}
	if left.Flushes > 0 {
		n := g.next(FlushTag, 0, 0)
		n.Left.Tag.Flushes--
		n.Tag.lose(0)
	}
	if left.Rewinds > 0 && g.tagHeard() {
		n := g.next(RewindTag, 0, 0)
		n.Left.Tag.Rewinds--
		n.Tag.lose(1)
	}
}

// lose is what happens to the partition when its master loses everything, and
// goes on with a sequence; 0: with none.
//
//go:norace
func (t *tagRedis) lose(seq uint8) {
	t.tagPrimary = tagPrimary{Seq: seq, EId: t.EId}
}

// failTagOver is what happens to the primary of the tag's partition.
//
//go:norace
func (g *generator) failTagOver() {
	from := &g.from.Tag
	if g.from.Left.Tag.Failovers == 0 {
		return
	}
	if from.Replica != from.tagPrimary {
		n := g.next(ReplicateTag, 0, 0)
		n.Tag.Replica = from.tagPrimary
	}
	n := g.next(FailTagOver, 0, 0)
	n.Left.Tag.Failovers--
	n.Tag.tagPrimary, n.Tag.Replica = from.Replica, tagPrimary{}
	n.Tag.Run++
	for k := range n.Acks {
		if n.Acks[k].Who != 0 {
			n.Acks[k].Lossy = 1
		}
	}
	// Reads that are under way were promised what is not there any more.
	n.eachReader(func(r *reader) { r.Nil, r.Bound = 0, 0 })
}

// tagHeard is allHeard for the tag's partition.
//
//go:norace
func (g *generator) tagHeard() bool {
	for i := range g.Instances {
		in := &g.from.Instance[i]
		v, seq := &in.Tag, g.from.Tag.Seq
		if g.reads(i) && (v.Last < seq || in.Writer.PC == untagSent && v.Since.Last < seq || v.Queue.PC == retrySent && v.Queue.Since.Last < seq) {
			return false
		}
	}
	return true
}

// tagHurries reports whether the probe of the tag's partition, or a writer that
// nobody reads beside, is to go on at once.
//
//go:norace
func (g *generator) tagHurries(i int, in *instance) bool {
	return in.Tag.Probe.PC == probeSent && !g.SlowProbes || in.Writer.PC == untagDone && !g.reads(i)
}

//go:norace
func (g *generator) hurryTag(i int) {
	if g.from.Instance[i].Tag.Probe.PC == probeSent {
		g.probingTag(i)
	} else {
		g.untagging(i)
	}
}
