package tiered

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
type prior struct {
	value     any
	validator Validator
	token     l2.Token // under which Redis has it; zero: it has not
	mark      fence.Mark
	tags      []fence.Mark
	encoded   int // length of its encoding

	found *l2.Value // from which the value and the tags are yet to be made; nil: they are
}

// consider takes note of a value that Redis has and that will not do as an answer.
// now is the time on the fences' clock.
func (f *flight) consider(reply *l2.Reply, now int64) {
	f.prior = nil
	v := &reply.Value
	if reply.Status != l2.Hit || v.Kind != l2.Live || v.Validator == "" || v.Schema != f.schema || v.Codec != f.codec {
		return
	}
	if !f.vouchedAt(v, now) {
		return
	}
	found := *v
	f.prior = &prior{
		validator: Validator(v.Validator), token: v.Token, mark: f.readMark(reply.Seq),
		encoded: f.values.encoded(v.Payload), found: &found,
	}
}

// vouchedAt reports whether a value counts as one that was not invalidated at a time
// on the fences' clock.
func (f *flight) vouchedAt(v *l2.Value, now int64) bool {
	server, known := f.node.backplane.ServerAt(now)
	return known && server < f.vouchedUntil(v)
}

// priorOf is the value of a copy in L1; nil if it has no validator.
func priorOf(e *l1.Entry) *prior {
	if e == nil || e.Validator == "" || e.Negative {
		return nil
	}
	return &prior{value: e.Value, validator: Validator(e.Validator), token: e.Token, mark: e.Mark, tags: e.Tags, encoded: int(e.Cost)}
}

// prior is the value that L2 has answered with.
func (out *outcome) prior() *prior {
	if out.validator == "" {
		return nil
	}
	return &prior{
		value: out.value, validator: out.validator, token: out.ahead.token,
		mark: out.mark, tags: out.tags, encoded: out.ahead.encoded,
	}
}

// priorIn is the value that Redis has and that the load may ask about; nil if there
// is none.
func (f *flight) priorIn(ctx context.Context) *prior {
	p := f.prior
	if p == nil || p.token == (l2.Token{}) {
		return nil
	}
	if p.found != nil {
		var ok bool
		if p.tags, ok = f.judgeTags(ctx, p.found.Tags); !ok || !f.vouchedAt(p.found, f.node.fences.Now()) {
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
func (f *flight) priorHere() *prior {
	if !f.usesL1() {
		return nil
	}
	e, _ := f.node.l1.Find(f.l1, f.key.Hash, f.key.Name)
	p := priorOf(e)
	if p == nil {
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
	return p
}

// unchanged is prepared for a load that was told that the value is what it was.
func (f *flight) unchanged(p *prior, tagged tagged) loaded {
	f.counters.unchanged.Add(1)
	l := loaded{
		value: p.value, validator: p.validator, encoded: p.encoded, renews: p.token,
		life: f.life(f.key.Name, p.value, f.call), tagged: tagged,
	}
	l.label(f.region, f.key.Name, f.call)
	return l
}

// checked returns a validator if it can be stored. Without one the value is a value
// like any other.
func (f *flight) checked(v Validator) Validator {
	if len(v) <= MaxValidatorBytes {
		return v
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
