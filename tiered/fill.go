package tiered

import (
	"context"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l2"
)

// offer is a value on its way into L2.
type offer struct {
	loaded
	lease l2.Lease
	fill  l2.Fill
	since int64
	out   *outcome
}

// offer makes one of what was loaded under a lease; false: it is not to be
// stored.
func (f *flight) offer(l loaded, lease l2.Lease) (o offer, ok bool) {
	o = offer{loaded: l, lease: lease, out: f.brought(l)}
	if l.life <= 0 || l.unstored != nil {
		return o, false
	}
	if f.node.backplane.Pending(f.key.Hash) {
		// An invalidation began after the load and could not reach Redis, so
		// the lease is still there: the fill would succeed with an old value.
		f.counters.fillsRejected.Add(1)
		return o, false
	}
	o.since = f.node.fences.Now()
	if !f.node.storable(l.tags) {
		f.keepAlone(o.out, l, f.stamp.At(lease.Seq), o.since)
		return o, false
	}
	o.fill = fillOf(f.region, l)
	o.fill.Tags = l.tagged.stamps(f.node.fences)
	o.fill.Announce = f.kind.forces()
	return o, true
}

// took keeps in L1 what Redis has taken, or may have, and reports whether the
// lease has come to its end.
func (f *flight) took(o *offer, res l2.Filled, err error) (filled bool) {
	out, l, lease, since := o.out, o.loaded, o.lease, o.since
	switch {
	case err != nil && f.replacesAhead():
		return false
	case err != nil:
		f.counters.unstored.Add(1)
		// It may have been stored or not. The copy is as of the lease's grant,
		// but with Redis out of reach it lives like any that is made alone.
		out.mark = l.aged(f.stamp.At(lease.Seq).Detach())
		l.life = f.bounded(l.life, out.mark, since)
	case !res.Accepted:
		// No lease of ours any more, and as a rule no older value either: what took the
		// one has taken the other. But the lease may have run out, and who has forced the
		// load was promised that the older value goes.
		f.replaced = !f.kind.forces()
		f.counters.fillsRejected.Add(1)
		return true
	default:
		filled, f.replaced = true, true
		out.mark, out.was = f.stamp.At(res.Seq), nil
		l.life = min(l.life, lifeOf(res))
		out.told.end = since + int64(l.life)
	}
	if l.was != nil && len(l.tags) > 0 {
		// Redis keeps the stamps of its tags, and what they leave of its life is for the
		// next read to judge. L1 is only told that this was the answer.
		l.life = 0
		if filled {
			f.replaceHere(&l, out.mark, since, lease.Token)
		}
	}
	kept := f.copyOf(&l, out.mark, since)
	kept.token = lease.Token
	out.expires = f.keep(f.key, kept)
	return filled
}

// lifeOf is how long a value lives in Redis that it has taken. As a rule it is what
// was asked for. A fill that runs twice is answered for what the first run stored,
// whose life may have been ended since.
func lifeOf(res l2.Filled) lifetime { return time.Duration(res.SoftEnd-res.Created) * time.Microsecond }

// keepAlone keeps in L1, for the bound at most, what must not get into L2 because
// of its tags.
func (f *flight) keepAlone(out *outcome, l loaded, mark fence.Mark, since int64) {
	f.counters.fillsRejected.Add(1)
	if f.replacesAhead() {
		return
	}
	out.mark = l.aged(mark.Detach())
	l.life = f.bounded(l.life, out.mark, since)
	out.expires = f.keep(f.key, f.copyOf(&l, out.mark, since))
}

// bounded is how much of a life a copy has that was made without Redis: the bound at
// most, which counts from what the mark knows. since is when the copy is put.
func (f *flight) bounded(life lifetime, mark fence.Mark, since int64) lifetime {
	return min(life, f.node.fences.Bound()-time.Duration(since-mark.T0))
}

// replacesAhead reports whether the flight loads ahead of time what Redis has. What
// it brings is in no tier unless Redis has taken it. Kept in L1 for the bound it
// would be served; then what Redis still has would be, whose life is not over. And
// nobody waits for the flight, so that nobody misses anything.
func (f *flight) replacesAhead() bool { return f.ahead && f.usesL2() }

func fillOf(r *region, l loaded) l2.Fill {
	f := l2.Fill{Kind: l2.Live, Codec: r.codec, Schema: r.schema, Payload: l.payload, Life: l.life, Keep: r.keepFor(l.validator), Idle: r.sliding.idle(), Validator: string(l.validator)}
	if l.absent {
		f.Kind, f.Keep, f.Idle = l2.Negative, 0, 0
	}
	return f
}

// storeL2 stores what was loaded, or lets what is there live on.
func (f *flight) storeL2(ctx context.Context, o *offer) (l2.Filled, error) {
	if o.was == nil {
		return f.fillL2(ctx, f.key, o.lease, o.fill)
	}
	ctx, watched := f.watch(ctx, OpL2Fill, f.key.Name)
	res, err := f.node.l2.Revalidate(ctx, o.lease, l2.Revalidation{
		Token: o.was.token, Life: o.fill.Life, Keep: o.fill.Keep, Idle: o.fill.Idle,
		// Copies of others touch the value under the token that it had.
		Announce: o.fill.Announce || f.sliding.period > 0,
	})
	watched.end(err)
	return res, err
}

func (r *region) fillL2(ctx context.Context, k keyspace.Key, lease l2.Lease, fill l2.Fill) (l2.Filled, error) {
	ctx, watched := r.watch(ctx, OpL2Fill, k.Name)
	res, err := r.node.l2.Fill(ctx, lease, fill)
	watched.end(err)
	return res, err
}
