package model

// add queues an invalidation of the key.
//
//go:norace
func (q *queue) add() {
	if q.Queued == 1 && q.PC != idle {
		q.Readded = 1
	}
	q.Queued = 1
}

// retrying adds the steps of an instance's retry queue.
//
//go:norace
func (g *generator) retrying(i int) {
	from := &g.from.Instance[i]
	switch from.Queue.PC {
	case idle:
		if from.Queue.Queued == 1 && !g.cutOff(i) {
			in := &g.next(Retry, i, 0).Instance[i]
			in.Queue.PC, in.Queue.Since = retrySent, in.position()
		}
	case retrySent:
		if !g.cutOff(i) {
			n := g.next(RunRetry, i, 0)
			q := &n.Instance[i].Queue
			q.Seq = g.runQueued(n, q)
			q.PC = retryDone
		}
		if g.from.Left.Timeouts > 0 {
			n := g.next(GiveUpRetry, i, 0)
			n.Left.Timeouts--
			n.late(from.Queue.late())
			q := &n.Instance[i].Queue
			q.PC, q.Since, q.Readded = idle, position{}, 0
		}
	case retryDone, retryLeave:
		if !g.locked(from) {
			g.finishRetry(i, from.Queue.PC == retryDone)
		}
	default:
	}
}

// finishRetry raises the stripe and takes the key out of the queue, in two
// steps.
//
//go:norace
func (g *generator) finishRetry(i int, first bool) {
	n := g.next(RaiseRetried, i, 0)
	in := &n.Instance[i]
	q := &in.Queue
	if first == g.on(RetryRaisesBeforeLeaving) {
		g.retried(in)
	} else {
		g.out[len(g.out)-1].Action.Kind = LeaveQueue
		if q.Readded == 0 || !g.on(ReaddedStays) {
			q.Queued, q.Whole = 0, 0
		}
	}
	q.PC = retryLeave
	if !first {
		in.Acked = b2u(g.Replicated && !g.Forgetful)
		n.sentAgain(i)
		q.PC, q.Seq, q.Since, q.Readded, q.Former = idle, 0, position{}, 0, 0
	}
}

// failDelete is another caller on the instance, whose Delete never reaches
// Redis: it commits and queues, then voids and returns.
//
//go:norace
func (g *generator) failDelete(i int) {
	from := &g.from.Instance[i]
	if from.Queue.Ver == 0 && g.from.Left.Failing > 0 && g.reads(i) && !(g.Serial && g.from.anyoneWrites()) {
		n := g.next(FailDelete, i, 0)
		n.Left.Failing--
		n.Origin++
		q := &n.Instance[i].Queue
		q.add()
		q.Ver = n.Origin
	}
	if from.Queue.Ver != 0 && !g.locked(from) {
		n := g.next(VoidOwn, i, 0)
		in := &n.Instance[i]
		in.void()
		g.forget(in)
		n.Acks[in.Queue.Ver-1].Queue = uint8(i + 1) //nolint:gosec // fewer than maxInstances
		in.Queue.Ver = 0
	}
}
