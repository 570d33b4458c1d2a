package model

// Invalidations of the whole of the tag's partition: a Clear of another region, whose
// values may have other tags there, and what is sent in place of tags for which the
// retry queue has no room. (That the limit is one of all partitions together, and that
// a partition's tags give way only when one more comes, makes no difference to a
// partition with one tag.)

// wide is the queue's other half: regions of the partition. The empty region stands
// for all tags.
type wide struct {
	Queued  uint8
	Tags    uint8 // the tags are among them
	Readded uint8 // since the attempt began
	PC      pc
	All     uint8 // the attempt is about the tags, too
	Seq     uint8
	Since   position // from before the attempt
	Voids   uint8    // who has queued it has not voided the partition yet
}

// sweep is a Clear of another region, as far as it concerns the tag's partition. It
// commits nothing.
type sweep struct {
	PC    pc
	Seq   uint8
	Since position
}

// add queues the partition.
//
//go:norace
func (w *wide) add(tags bool) {
	if w.Queued == 1 && w.PC != idle {
		w.Readded = 1
	}
	w.Queued = 1
	w.Tags |= b2u(tags)
}

// pending reports whether an invalidation of the tag waits for Redis.
//
//go:norace
func (g *generator) pendingTag(v *tagView) bool {
	return v.Queue.Queued == 1 || v.Wide.Queued == 1 && g.on(WidePends)
}

// sending reports whether something of the partition is being sent: that is one at a
// time.
//
//go:norace
func (v *tagView) sending() bool { return v.Queue.PC != idle || v.Wide.PC != idle }

// overflow queues the partition in place of the tag, for which there is no room.
//
//go:norace
func (g *generator) overflow(i int) {
	n, w := g.writer(Overflow, i)
	n.Left.Tag.Overflows--
	v := &n.Instance[i].Tag
	if g.on(FullQueueWidens) {
		v.Wide.add(true)
	}
	v.Queue.Queued, v.Queue.Readded = 0, b2u(v.Queue.PC != idle) // what is on its way takes nothing out
	w.Queue = 2
	if !g.on(QueueBeforeVoid) {
		g.out = g.out[:len(g.out)-1] // there is a row for that in which there is room
	}
}

// widening adds the steps of what concerns the whole partition.
//
//go:norace
func (g *generator) widening(i int) {
	from := &g.from.Instance[i].Tag
	g.sweeping(i)
	switch w := &from.Wide; w.PC {
	case idle:
		if w.Queued == 1 && !from.sending() {
			v := &g.next(Retry, i, 0).Instance[i].Tag
			v.Wide.PC, v.Wide.All, v.Wide.Since = retrySent, v.Wide.Tags, v.position()
		}
	case retrySent:
		n := g.next(RunRetry, i, 0)
		w := &n.Instance[i].Tag.Wide
		w.Seq, w.PC = g.runInvalidateWhole(&n.Tag, w.All == 1), retryDone
		if g.from.Left.Timeouts > 0 {
			n := g.next(GiveUpRetry, i, 0)
			n.Left.Timeouts--
			n.late(call{Kind: callWhole, Seq: w.All})
			w := &n.Instance[i].Tag.Wide
			w.PC, w.All, w.Since, w.Readded = idle, 0, position{}, 0
		}
	case retryDone, retryLeave:
		g.finishWideRetry(i, w.PC == retryDone)
	default:
	}
}

// runInvalidateWhole runs the script that invalidates regions of a partition.
//
//go:norace
func (g *generator) runInvalidateWhole(t *tagRedis, tags bool) uint8 {
	g.advanceTag(t)
	if tags && g.on(WideTagsAreWritten) {
		t.All = t.Seq
	}
	t.Messages.Whole |= 1 << t.Seq
	return t.Seq
}

// finishWideRetry raises the floor and takes the partition out of the queue, in two
// steps.
//
//go:norace
func (g *generator) finishWideRetry(i int, first bool) {
	n := g.next(RaiseRetried, i, 0)
	in := &n.Instance[i]
	w := &in.Tag.Wide
	if first == g.on(RetryRaisesBeforeLeaving) {
		if g.on(WideRaisesTagFloor) {
			g.invalidatedWhole(in, w.Seq, w.Since)
		}
	} else {
		g.out[len(g.out)-1].Action.Kind = LeaveQueue
		if w.Readded == 0 || !g.on(ReaddedStays) {
			w.Queued, w.Tags = 0, 0
			if !g.on(SingleTagsStay) {
				in.Tag.Queue.Queued = 0
			}
		}
	}
	w.PC = retryLeave
	if !first {
		w.PC, w.All, w.Seq, w.Since, w.Readded = idle, 0, 0, position{}, 0
	}
}

// invalidatedWhole is Invalidated for a whole partition.
//
//go:norace
func (g *generator) invalidatedWhole(in *instance, seq uint8, since position) {
	if since.Gen == 0 && g.on(NumbersNeedGeneration) {
		g.unnumbered(in)
		in.newTagGeneration()
		return
	}
	if seq <= since.Last && g.on(OldNumberRestarts) {
		in.rewindTag(seq)
	}
	raise(&in.Tag.Floor, seq)
}

// unnumbered takes note that something was invalidated of which the fences get no
// number. Until a probe that is sent after this confirms the partition, nothing is
// known of a tag in Redis but what Redis says.
//
//go:norace
func (g *generator) unnumbered(in *instance) {
	if g.on(UnnumberedHidesTags) {
		in.Tag.Rewound, in.Tag.Probe.Former = 1, 1
	}
}

// sweeping adds the steps of a Clear of another region, and of one that never reaches
// Redis: the partition is queued, then voided.
//
//go:norace
func (g *generator) sweeping(i int) {
	from := &g.from.Instance[i].Tag
	switch from.Sweep.PC {
	case idle:
		if g.from.Left.Tag.Sweeps > 0 {
			n := g.next(Sweep, i, 0)
			n.Left.Tag.Sweeps--
			v := &n.Instance[i].Tag
			v.Sweep.PC, v.Sweep.Since = clearSent, v.position()
		}
	case clearSent:
		n := g.next(RunSweep, i, 0)
		w := &n.Instance[i].Tag.Sweep
		w.Seq, w.PC = g.runInvalidateWhole(&n.Tag, false), clearDone
	case clearDone:
		in := &g.next(EndSweep, i, 0).Instance[i]
		g.invalidatedWhole(in, in.Tag.Sweep.Seq, in.Tag.Sweep.Since)
		in.Tag.Sweep = sweep{}
	default:
	}
	if g.from.Left.Tag.Failing > 0 && from.Wide.Voids == 0 {
		n := g.next(FailSweep, i, 0)
		n.Left.Tag.Failing--
		w := &n.Instance[i].Tag.Wide
		w.add(false)
		w.Voids = 1
	}
	if from.Wide.Voids == 1 {
		in := &g.next(VoidTags, i, 0).Instance[i]
		in.Tag.Wide.Voids = 0
		in.newTagGeneration()
	}
}
