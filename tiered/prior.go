package tiered

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l1"
	"github.com/doppio-cache/doppio/l2"
)

// errStillSo is what a loadFunc returns if the origin still has what it had. It
// stays inside: a load function that knows nothing of a prior value cannot say it.
var errStillSo = errors.New("doppio: still so")

// prior is a value with a validator, that a load may ask the origin about.
//
// It is one that was not invalidated: only its life is over, or is to be begun
// anew. Of a value that was, nobody asks whether it is still so. A validator may
// be weak, a modification time in seconds say: a value is read, the origin is
// changed twice within one second, the second change is followed by a Delete, and
// the origin says "not modified" of what was read between the two.
//
// For the same reason a value in Redis is renewed only where it is, see
// [l2.Store.Revalidate], and never stored again from a copy: a Delete may have come
// between the look at the value and the lease, without this instance knowing. If
// the value is gone by then, what there is now is loaded.
//
// And "unchanged" makes the value no newer than it was: nothing is known of its tags'
// invalidations, or of its own unless Redis renews it, beyond what was known when it was
// found.
type prior struct {
	value     any
	validator Validator
	token     l2.Token // under which Redis has it; zero: it has not
	mark      fence.Mark
	tags      []fence.Mark
	encoded   int   // length of its encoding
	heard     int64 // up to when all that could have invalidated it was heard; set by vouched

	found *l2.Value // from which the value and the tags are yet to be made; nil: they are
}

// consider takes note of a value that Redis has and that will not do as an answer.
func (f *flight) consider(reply *l2.Reply) {
	f.prior = nil
	v := &reply.Value
	if !f.call.asks || reply.Status != l2.Hit || v.Kind != l2.Live || v.Validator == "" || v.Schema != f.schema || v.Codec != f.codec {
		return
	}
	if f.isFormer(v) {
		return
	}
	found := *v
	f.prior = &prior{
		validator: Validator(v.Validator), token: v.Token, mark: f.readMark(reply.Seq),
		encoded: f.values.encoded(v.Payload), found: &found,
	}
}

// isFormer reports whether a value is from before a failover, of its own partition or
// of one of its tags': then it may have been invalidated, and for that reason has but a
// short life, see [flight.vouchedUntil]. To give it another one would be to vouch for
// it. (Of its own partition's failover another instance may know before this one does:
// Redis looks once more, see revalidate.lua.)
func (f *flight) isFormer(v *l2.Value) bool { return f.vouchedUntil(v) < math.MaxInt64 }

// copiedValidator is the validator that a copy of a value in Redis has in L1, or on its
// way to a load ahead of time; none if the value is from before a failover. Where Redis
// cannot be asked, the origin is asked about the copy ([flight.priorHere]), whose mark is
// of the present generation and says nothing of that: "unchanged" would let it outlive
// the grace. As in [flight.vouchedUntil], whoever has marks of that generation finds the
// epoch.
func (f *flight) copiedValidator(v *l2.Value) Validator {
	if v.Validator == "" || f.isFormer(v) {
		return ""
	}
	return Validator(strings.Clone(v.Validator)) // it is part of a reply
}

// priorOf is the value of a copy in L1; nil if it has no validator.
func priorOf(e *l1.Entry) *prior {
	if e == nil || e.Validator == "" || e.Negative {
		return nil
	}
	return &prior{value: e.Value, validator: Validator(e.Validator), token: e.Token, mark: e.Mark, tags: e.Tags, encoded: int(e.Cost)}
}

// prior is the value that L2 has answered with; nil if nobody is to be asked about it.
func (out *outcome) prior() *prior {
	if out.ahead.validator == "" {
		return nil
	}
	return &prior{
		value: out.value, validator: out.ahead.validator, token: out.ahead.token,
		mark: out.mark, tags: out.tags, encoded: out.ahead.encoded,
	}
}

// priorIn is the value that Redis has and that the load may ask about; nil if there
// is none.
func (f *flight) priorIn(ctx context.Context) *prior {
	p := f.prior
	if p == nil || !f.call.asks || p.token == (l2.Token{}) {
		return nil
	}
	if p.found != nil {
		var ok bool
		if p.tags, ok = f.judgeTags(ctx, p.found.Tags); !ok || f.isFormer(p.found) {
			return nil
		}
		var err error
		if p.value, err = f.values.decode(p.found.Payload); err != nil {
			f.counters.undecodable.Add(1)
			return nil
		}
		p.found = nil
	}
	return f.vouched(p)
}

// priorHere is the value of the copy in L1, for a load without a lease.
//
// Who reads past L1 was promised what Redis has, or the origin: the copy may be one
// that another instance has invalidated just now, of which the origin says that it is
// unchanged all the same.
//
// Nor is anybody asked about a copy that was outlived, see [region.outlived].
func (f *flight) priorHere() *prior {
	if !f.call.asks || !f.usesL1() || f.kind.bypasses() {
		return nil
	}
	e, _ := f.node.l1.Find(f.l1, f.key.Hash, f.key.Name)
	p := priorOf(e)
	if p == nil || p.mark.T0 < f.unasked.of(f.key.Hash) {
		return nil
	}
	p.token = l2.Token{} // what is loaded without a lease renews nothing
	return f.vouched(p)
}

// vouched returns a value if nothing says that it was invalidated, and if it would
// have the tags that it has now, which go on with it.
func (f *flight) vouched(p *prior) *prior {
	now, ok := f.node.fences.Valid(&p.mark)
	if !ok || !f.node.fences.ValidTags(p.tags, now) {
		return nil
	}
	same := slices.EqualFunc(f.tagNames(f.key.Name, f.call, p.value, false), p.tags, func(name string, m fence.Mark) bool {
		return keyspace.HashTag(name) == m.Hash
	})
	if !same {
		return nil
	}
	p.heard = min(now, f.heardOf(&p.mark))
	for i := range p.tags {
		p.heard = min(p.heard, f.heardOf(&p.tags[i]))
	}
	return p
}

// heardOf is up to when invalidations of what the mark is about were heard.
func (f *flight) heardOf(m *fence.Mark) int64 {
	lease, _ := f.node.fences.Lease(f.node.fences.Partition(m.Hash))
	return max(lease, m.T0)
}

// unchanged is prepared for a load that was told that the value is what it was.
func (f *flight) unchanged(p *prior, tagged tagged) loaded {
	f.counters.unchanged.Add(1)
	l := loaded{
		value: p.value, encoded: p.encoded, was: p,
		validator: Validator(strings.Clone(string(p.validator))), // it may be part of a reply
		life:      f.life(f.key.Name, p.value, f.call), tagged: tagged,
	}
	l.label(f.region, f.key.Name, f.call)
	l.tags = p.tags
	return l
}

// aged is the mark of what was loaded. Unchanged, it is no newer than it was: otherwise
// an origin that says so would let an instance that is cut off serve a value for ever,
// each time as one of just now. Nor does it include what was counted since. Redis may
// have answered at a sequence that includes an invalidation which was not heard here,
// and with something else than this value (see [flight.aside]): it does not vouch for it.
func (l *loaded) aged(mark fence.Mark) fence.Mark {
	if l.was != nil && mark.Generation != 0 {
		mark.T0 = min(mark.T0, l.was.heard)
		mark.AsOf = min(mark.AsOf, l.was.mark.AsOf)
	}
	return mark
}

// replaceHere puts a value that Redis has renewed in the place of what L1 has, which may
// be an older one and must not be served stale any more, as one whose life is over and
// that is not served stale either: the next read of Redis brings it. Otherwise nothing
// but the bar could do that, see [region.outlived], which what Redis has would not
// pass: it was renewed before the bar was raised.
func (f *flight) replaceHere(l *loaded, mark fence.Mark, since int64, token l2.Token) {
	if f.stale.period <= 0 || !f.usesL1() || mark.Generation == 0 || f.node.conflicted() {
		return
	}
	size := f.values.size(l.value, l.encoded)
	if e, _ := f.node.l1.Find(f.l1, f.key.Hash, f.key.Name); e == nil || size > f.maxL1Bytes {
		return
	}
	f.node.l1.Put(&l1.Entry{
		Region: f.l1, Key: f.key.Name, Value: l.value, Mark: mark, Tags: l.tags,
		Expires: since, Cost: size, Token: token, Validator: string(l.validator),
	})
}

// ofNothing is an [ErrUnchanged] where there was nothing to be unchanged: the load has
// failed. It must not be one to a load that this one was part of, and that would pass
// it on: its own value would then count as unchanged.
type ofNothing struct{ err error }

func (e *ofNothing) Error() string {
	return "doppio: there was no value to be unchanged: " + e.err.Error()
}

func (e *ofNothing) Is(target error) bool {
	return target != ErrUnchanged && errors.Is(e.err, target)
}

func (e *ofNothing) As(target any) bool { return errors.As(e.err, target) }

// checked returns a validator if it can be stored. Without one the value is a value
// like any other.
func (f *flight) checked(v Validator) Validator {
	if len(v) <= MaxValidatorBytes {
		return Validator(strings.Clone(string(v))) // it may be part of something large
	}
	f.warnOnce("a validator is too long and is not kept", "key", f.key.Name,
		"error", fmt.Errorf("it has %d bytes, at most %d are allowed", len(v), MaxValidatorBytes))
	return ""
}

// keepFor is how long a value stays in Redis beyond its life.
func (r *region) keepFor(v Validator) time.Duration {
	if v != "" {
		return r.revalidate
	}
	return r.stale.period
}
