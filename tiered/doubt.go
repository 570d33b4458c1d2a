package tiered

import (
	"context"
	"errors"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
)

// Why what Redis holds is not used though it answers.
var (
	errUnconfirmed = errors.New("doppio: Redis answers reads, but has confirmed nothing within MaxStaleness")
	errBehind      = errors.New("doppio: Redis knows less than this instance: another primary, or one that has lost something")
)

// doubtPause is how long a flight waits before it looks again whether a probe
// has come back.
const doubtPause = 2 * time.Millisecond

// readMark is the mark of a copy that was only read. That it was read just now
// does not make it good for the bound from now on: a primary that was cut off and
// replaced answers reads as ever, and nothing but its refusal of a probe, which
// writes, gives it away. So such a copy is as old as the last probe.
func (f *flight) readMark(seq uint64) fence.Mark {
	mark := f.stamp.At(seq)
	if lease, _ := f.node.fences.Lease(f.node.fences.Partition(f.key.Hash)); lease < mark.T0 {
		mark.T0 = lease
	}
	return mark
}

// doubt returns an error if a copy that was read from Redis may be older than an
// invalidation of more than the bound ago, or than one that this instance knows.
//
// The server that has answered may be a primary that was replaced: an instance
// that is left alone with it, or whose client still has connections to it, reads
// there for as long as they last. What it holds counts for as long as any other
// copy: until a probe has found no primary for longer than the bound, or has
// found another one, whose numbers are higher than all that the former one has
// counted.
//
// Where something was heard meanwhile, what was read is only read again, and after
// some times it is taken, because it is as fresh as the caller can ask for. That
// must not happen to what the old primary has: a key is invalidated again and
// again, a connection is still to the old primary, and each read there is found
// wanting because of what was heard of the new one in the meantime.
//
// The last probe is also too long ago where this process stood still for a while.
// Then the next one is under way, and is waited for: all that is in Redis would
// otherwise be loaded again, by an instance that is short of time as it is.
func (f *flight) doubt(ctx context.Context, mark *fence.Mark) error {
	n := f.node
	deadline := f.untilProbed()
	for {
		now, ok := n.fences.Valid(mark)
		live := n.fences.Live(n.fences.Partition(f.key.Hash))
		switch {
		case ok:
			return nil
		case live && !n.fences.Passes(&f.stamp) && !n.fences.Behind(&f.stamp, mark):
			return nil // something was heard meanwhile: acceptable has it read again
		case live:
			n.backplane.ProbeNow()
			f.counters.doubted.Add(1)
			return errBehind
		case now > deadline || !n.l2.Up():
			f.counters.doubted.Add(1)
			return errUnconfirmed
		}
		n.backplane.ProbeNow()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !n.pause(doubtPause) {
			return ErrClosed
		}
	}
}

// untilProbed is until when the flight waits for a probe that is under way.
func (f *flight) untilProbed() int64 {
	if f.patience != 0 {
		return f.patience // shared with others: they do not wait one after the other
	}
	return f.node.fences.Now() + int64(f.node.opts.L2Timeout)
}
