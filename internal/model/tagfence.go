package model

// The fences of an instance for the tag, as package fence has them.

// tagWithin is the part of the judgement that is about time.
//
//go:norace
func (g *generator) tagWithin(v *tagView, m *tagMark) bool {
	return v.Lease <= g.Bound || m.T0 <= g.Bound || !g.on(CopyNeedsTagLease)
}

// tagPasses is TagsPass: nothing was heard that voids the mark.
//
//go:norace
func (g *generator) tagPasses(v *tagView, m *tagMark) bool {
	switch {
	case !g.Tagged:
		return true
	case m.AsOf == 0,
		m.Gen == 0 && g.on(TagGenerationVoids),
		(m.Void == 0 || m.AsOf < v.Stripe) && g.on(TagStripeVoids),
		m.AsOf < v.Floor && g.on(TagFloorVoids):
		return false
	default:
		return true
	}
}

// tagValid is ValidTags in one step. (That the lease is loaded before the fences,
// and the generation last, is as in Valid, which the scenarios with FineReads are
// about.)
//
//go:norace
func (g *generator) tagValid(v *tagView, m *tagMark) bool {
	return !g.Tagged || g.tagWithin(v, m) && g.tagPasses(v, m)
}

// snapshot is what the partition has counted for certain.
//
//go:norace
func (v *tagView) snapshot() tagMark {
	return tagMark{Gen: 1, Void: 1, AsOf: max(v.Last, v.Floor, v.Stripe)}
}

// stamp is taken before Redis is asked for the tag.
//
//go:norace
func (v *tagView) stamp() tagMark { return tagMark{Gen: 1, Void: 1} }

// knownTag is TagMarkAt: the mark of a value with a stamp, if the instance knows
// by itself that the tag was not invalidated since.
//
//go:norace
func (g *generator) knownTag(v *tagView, stamp uint8) (m tagMark, ok bool) {
	switch {
	case v.Lease > g.Bound && g.on(KnownTagNeedsLease),
		v.Rewound == 1 && g.on(KnownTagIsConfirmed),
		stamp > v.Last && g.on(KnownTagWasHeard),
		stamp < v.Stripe && g.on(KnownTagPassesStripe),
		stamp < v.Floor && g.on(KnownTagPassesFloor):
		return m, false
	}
	m = tagMark{Gen: 1, Void: 1, AsOf: stamp}
	if g.on(KnownTagIsAsOldAsLease) {
		m.T0 = v.Lease
	}
	return m, true
}

// storable reports whether what was loaded may be filled into Redis.
//
//go:norace
func (g *generator) storable(v *tagView, m *tagMark) bool {
	switch {
	case !g.Tagged:
		return true
	case m.AsOf == 0,
		m.Gen == 0 && g.on(StoreNeedsTagGeneration),
		v.Lease > g.Bound && g.on(StoreNeedsTagLease),
		g.pendingTag(v) && g.on(PendingTagIsNotStored):
		return false
	default:
		return true
	}
}

// voidTag counts a voiding of the tag's stripe.
//
//go:norace
func (in *instance) voidTag() { in.eachTagMark(func(m *tagMark) { m.Void = 0 }) }

// newTagGeneration makes everything be of an earlier generation.
//
//go:norace
func (in *instance) newTagGeneration() {
	in.eachTagMark(func(m *tagMark) { m.Gen = 0 })
	in.Tag.Since.Gen, in.Tag.Queue.Since.Gen = 0, 0
	in.Tag.Wide.Since.Gen, in.Tag.Sweep.Since.Gen = 0, 0
}

// rewindTag starts the partition over at a sequence, under a new generation.
//
//go:norace
func (in *instance) rewindTag(seq uint8) {
	v := &in.Tag
	in.newTagGeneration()
	v.Stripe, v.Floor, v.Last = 0, seq, seq
	v.Rewound, v.Probe.Former = 1, 1
}

// invalidatedTag is Invalidated: an own invalidation that was sent at a position,
// and confirmed with a number.
//
//go:norace
func (g *generator) invalidatedTag(in *instance, seq uint8, since position) {
	if since.Gen == 0 && g.on(NumbersNeedGeneration) {
		g.unnumbered(in)
		in.voidTag()
		return
	}
	if seq <= since.Last && g.on(OldNumberRestarts) {
		in.rewindTag(seq)
	}
	raise(&in.Tag.Stripe, seq)
}

//go:norace
func (v *tagView) position() position { return position{Gen: 1, Last: v.Last} }
