package model

// Invalidations of the tag: a script, a writer, and what is queued.

// runInvalidateTag runs the script of InvalidateTags and returns its number.
//
//go:norace
func (g *generator) runInvalidateTag(s *State) uint8 {
	t := &s.Tag
	if g.on(TagInvalidationCounts) {
		g.advanceTag(t)
	}
	if g.on(TagInvalidationIsWritten) {
		t.Tag = t.Seq
	}
	t.Messages.Tag |= 1 << t.Seq
	return t.Seq
}

//go:norace
func (g *generator) advanceTag(t *tagRedis) {
	if t.Seq == 0 {
		t.create()
		return
	}
	t.Seq++
	t.Top = max(t.Top, t.Seq)
}

//go:norace
func (t *tagRedis) create() {
	t.Top++
	t.Seq = t.Top
}

// runTags runs the script that asks for the tag.
//
//go:norace
func (g *generator) runTags(s *State) (seq, tag uint8) {
	t := &s.Tag
	lost := t.Seq == 0
	if lost {
		t.create()
	}
	if t.Tag != 0 && !(lost && g.on(TagGoesWithSequence)) {
		return t.Seq, max(t.Tag, t.All)
	}
	if g.on(MissingTagIsWritten) {
		t.Tag = t.Seq
	}
	if g.on(MissingTagIsInvalidated) {
		return t.Seq, t.Seq
	}
	return t.Seq, t.All
}

// commitTagged is how a writer goes on that has committed, if it does not delete
// or set a key.
//
//go:norace
func (g *generator) commitTagged(in *instance, op Op) {
	w := &in.Writer
	switch op {
	case InvalidateTags:
		w.PC, w.Since = untagSent, position{}
		in.Tag.Since = in.Tag.position()
	case Clear:
		w.PC = clearSent
	default:
	}
}

// untagging adds the steps of a writer that invalidates the tag.
//
//go:norace
func (g *generator) untagging(i int) {
	switch g.from.Instance[i].Writer.PC {
	case untagSent:
		n, w := g.writer(RunUntag, i)
		w.Seq = g.runInvalidateTag(n)
		w.PC = untagDone
		g.giveUpUntag(i, true)
		if g.from.Left.Repeats > 0 {
			n := g.next(Repeat, i, 0)
			n.Left.Repeats--
			n.late(call{Kind: callUntag})
		}
	case untagDone:
		n, w := g.writer(RaiseTag, i)
		in := &n.Instance[i]
		if g.on(UntagRaisesStripe) {
			g.invalidatedTag(in, w.Seq, in.Tag.Since)
		}
		in.Tag.Since = position{}
		n.Tag.Acks |= 1 << w.Ver
		g.acknowledge(n, i)
		g.giveUpUntag(i, false)
	case untagUnknown:
		g.enqueueTag(i)
		if g.from.Left.Tag.Overflows > 0 && g.from.Instance[i].Writer.Queue == 0 {
			g.overflow(i)
		}
	default:
	}
}

// giveUpUntag is a call whose outcome nobody learns; it may be still to come.
//
//go:norace
func (g *generator) giveUpUntag(i int, sent bool) {
	if g.from.Left.Timeouts == 0 {
		return
	}
	n, w := g.writer(GiveUpDelete, i)
	n.Left.Timeouts--
	if sent {
		n.late(call{Kind: callUntag})
	}
	w.Seq, w.PC = 0, untagUnknown
	n.Instance[i].Tag.Since = position{}
}

// enqueueTag takes over an invalidation of unknown outcome: it is queued, then it
// voids, as for a key.
//
//go:norace
func (g *generator) enqueueTag(i int) {
	n, w := g.writer(Enqueue, i)
	in := &n.Instance[i]
	first, full := w.Queue == 0, w.Queue == 2
	w.Queue = 1
	if first == g.on(QueueBeforeVoid) {
		if g.on(UnknownIsQueued) {
			in.Tag.Queue.add()
		}
	} else if g.on(UnknownVoids) {
		in.voidTag()
		if full && g.on(FullQueueVoids) {
			in.newTagGeneration()
		}
		g.out[len(g.out)-1].Action.Kind = VoidOwn
	}
	if !first {
		n.Acks[w.Ver-1].Queue = uint8(i + 1) //nolint:gosec // fewer than maxInstances
		w.done()
	}
}

// retryingTag adds the steps of the retry queue, as far as it concerns the tag.
//
//go:norace
func (g *generator) retryingTag(i int) {
	switch from := &g.from.Instance[i].Tag.Queue; from.PC {
	case idle:
		if from.Queued == 1 && !g.from.Instance[i].Tag.sending() {
			v := &g.next(Retry, i, 0).Instance[i].Tag
			v.Queue.PC, v.Queue.Since = retrySent, v.position()
		}
	case retrySent:
		n := g.next(RunRetry, i, 0)
		q := &n.Instance[i].Tag.Queue
		q.Seq = g.runInvalidateTag(n)
		q.PC = retryDone
		if g.from.Left.Timeouts > 0 {
			n := g.next(GiveUpRetry, i, 0)
			n.Left.Timeouts--
			n.late(call{Kind: callUntag})
			q := &n.Instance[i].Tag.Queue
			q.PC, q.Since, q.Readded = idle, position{}, 0
		}
	case retryDone, retryLeave:
		g.finishTagRetry(i, from.PC == retryDone)
	default:
	}
}

// finishTagRetry raises the stripe and takes the tag out of the queue, in two
// steps.
//
//go:norace
func (g *generator) finishTagRetry(i int, first bool) {
	n := g.next(RaiseRetried, i, 0)
	in := &n.Instance[i]
	q := &in.Tag.Queue
	if first == g.on(RetryRaisesBeforeLeaving) {
		g.invalidatedTag(in, q.Seq, q.Since)
	} else {
		g.out[len(g.out)-1].Action.Kind = LeaveQueue
		if q.Readded == 0 || !g.on(ReaddedStays) {
			q.Queued = 0
		}
	}
	q.PC = retryLeave
	if !first {
		q.PC, q.Seq, q.Since, q.Readded = idle, 0, position{}, 0
	}
}

// upheld reports whether a value in Redis that is older than a version counts
// there as a good one, though that version was confirmed: of a tag it is the
// question to Redis that must tell.
//
//go:norace
func (g *generator) upheld(s *State, ver int) bool {
	r := &s.Redis
	switch {
	case g.below(r):
		return false
	case s.Tag.Acks>>ver&1 == 0:
		return true
	}
	asked := *s
	seq, tag := g.runTags(&asked)
	return tag <= r.VTag && seq >= r.VTag
}
