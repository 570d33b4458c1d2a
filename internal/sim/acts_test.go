package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// errWrite is a write of a Mutate that fails.
var errWrite = errors.New("sim: the write has failed, or perhaps not")

// actMore is act for a region that has more than two tiers.
func (w *world) actMore(n *node, r *rand.Rand, key string, what float64, h how, info, absent bool) {
	p, t := w.plan, w.plan.settings.of(key)
	region, _ := split(key)
	which, others := r.Float64(), r.IntN(3)
	h.tagged = t.tags && r.IntN(3) == 0
	h.asks = t.asks != never && r.IntN(4) > 0
	both := w.of(region)
	switch {
	case what < p.writes:
		w.writeMore(n, r, key, both, which, others, absent)
	case t.many && which < 0.4:
		op := []string{"getmany", "loadmany", "loadmany"}[others]
		h.batch = true
		w.many(n, op, both, h)
	case t.many && which < 0.6:
		w.get(n, "bound", key, info, how{})
	case which < 0.65:
		w.get(n, "get", key, info, how{})
	case which < 0.70:
		w.get(n, "bypass", key, info, h)
	case which < 0.75, h.asks && which < 0.85:
		w.get(n, "force", key, info, h)
	case which < 0.77:
		w.refresh(n, both, h)
	default:
		w.get(n, "load", key, info, h)
	}
}

// writeMore is a write there.
func (w *world) writeMore(n *node, r *rand.Rand, key string, both []string, which float64, others int, absent bool) {
	t := w.plan.settings.of(key)
	switch {
	case t.asks != never && t.stale > 0 && others == 1 && which < 0.5:
		w.invalidate(n, "expire", key, w.oracle.current(key)) // of what is unchanged
	case t.asks != never && t.stale > 0 && others == 1:
		w.write(n, "expire", key, false)
	case t.asks != never && others > 0:
		w.write(n, "", key, absent) // or else there is seldom anything to ask about
	case t.mutates && which < 0.6:
		w.mutate(n, both[:1+r.IntN(2)], w.plan.loadTime(r), absent, r.IntN(6) == 0)
	case t.tags && which < 0.3:
		w.invalidateTag(n, key, absent)
	case t.tags && which < 0.4:
		w.clear(n, both)
	case t.stale > 0 && which < 0.5:
		w.write(n, "expire", key, false)
	case t.many && which < 0.5:
		w.deleteMany(n, both, r.IntN(2) == 0)
	case t.many && !t.mutates && which < 0.7:
		w.setMany(n, both)
	case which < 0.85 || t.mutates && which < 0.95:
		w.write(n, "delete", key, absent)
	case which < 0.95:
		w.write(n, "set", key, false)
		w.get(n, "get", key, true, how{})
	default:
		w.write(n, "", key, absent)
	}
}

// loadBound is the load function of a region's Loading, on a node.
func (w *world) loadBound(n *node, region string) func(context.Context, []string) (map[string]string, error) {
	return w.loadMany(n, region, func() (h how) {
		w.plan.draw("bound "+n.name, func(r *rand.Rand) {
			h = how{takes: w.plan.loadTime(r), early: r.IntN(2) == 0, fails: r.IntN(20) == 0, batch: true}
		})
		return h
	})
}

// loadMany is a load function for several keys of a region. What the origin has
// not, it leaves out.
func (w *world) loadMany(n *node, region string, h func() how) func(context.Context, []string) (map[string]string, error) {
	return func(ctx context.Context, names []string) (map[string]string, error) {
		keys := make([]string, len(names))
		for i, name := range names {
			keys[i] = region + ":" + name
		}
		found, errs := w.loadKeys(ctx, n, keys, h())
		values, failed := make(map[string]string), make(map[string]error)
		for i, name := range names {
			if v, ok := found[keys[i]]; ok {
				values[name] = v
			} else if err := errs[keys[i]]; !errors.Is(err, errNoSuch) {
				failed[name] = err
			}
		}
		if len(failed) > 0 {
			return values, &tiered.BatchError{Errs: failed}
		}
		return values, nil
	}
}

// many reads keys of a region by one call; op is getmany or loadmany. It counts as
// a read of each.
func (w *world) many(n *node, op string, keys []string, h how) []*call {
	defer n.enter("read")()
	r, _ := n.real().region(keys[0])
	region, _ := split(keys[0])
	calls, names := w.calls(n, op, keys)
	var opts []tiered.Option
	if h.tagged && op == "loadmany" {
		opts = append(opts, tiered.WithTags(tagCall[len(tagPrefix):]))
	}
	for _, c := range calls {
		w.oracle.begins(c)
	}
	n.waits()
	var values map[string]string
	var err error
	if op == "getmany" {
		values, err = r.GetMany(n.ctx, names)
	} else {
		values, err = r.GetOrLoadMany(n.ctx, names, w.loadMany(n, region, func() how { return h }), opts...)
	}
	var failed *tiered.BatchError
	if err != nil && !errors.As(err, &failed) {
		w.t.Errorf("%s of %v on %s: %v", op, keys, n.name, err)
	}
	for i, c := range calls {
		text, ok := values[names[i]]
		if failed != nil {
			c.err = failed.Errs[names[i]]
		}
		switch {
		case ok && c.err != nil:
			w.t.Errorf("%s of %s on %s: a value and an error: %v", op, c.key, n.name, c.err)
		case !ok && c.err == nil && op == "getmany":
			c.err = tiered.ErrNotFound
		case !ok && c.err == nil:
			c.err = tiered.ErrAbsent
		case op == "getmany": // nothing else can answer it
			c.info, c.source = w.plan.settings.of(c.key).stale == 0, tiered.SourceL2
		}
		w.answer(c, text)
	}
	return calls
}

// calls are one call, as the oracle counts it: one for each key.
func (w *world) calls(n *node, op string, keys []string) (calls []*call, names []string) {
	for _, key := range keys {
		_, name := split(key)
		calls, names = append(calls, &call{op: op, node: n.name, key: key}), append(names, name)
	}
	return calls, names
}

// refresh loads keys anew.
func (w *world) refresh(n *node, keys []string, h how) {
	defer n.enter("read")()
	region, _ := split(keys[0])
	r, _ := n.real().region(keys[0])
	_, names := w.calls(n, "", keys)
	err := r.Refresh(n.ctx, func(ctx context.Context, name string) (string, error) {
		key := region + ":" + name
		return w.load(n, key, how{takes: h.takes, early: h.early, fails: h.fails, asked: true})(ctx, name)
	}, names...)
	if err != nil && !mayFail("load", err) {
		w.t.Errorf("refresh of %v on %s: %v", keys, n.name, err)
	}
}

// deleteMany writes keys and deletes them by one call: of their region, or, with
// any, with keys of the other.
func (w *world) deleteMany(n *node, keys []string, anyRegion bool) {
	if anyRegion {
		keys = []string{w.keys[1], w.keys[2], w.keys[3]}
	}
	free := w.lock(n, keys...)
	if free == nil {
		return
	}
	defer free()
	defer n.enter("delete")()
	var refs []tiered.Ref
	versions := make([]uint64, len(keys))
	t := n.real()
	for i, key := range keys {
		region, name := split(key)
		versions[i] = w.oracle.commit(key, false)
		refs = append(refs, t.node.Ref(region, name))
	}
	calls, names := w.calls(n, "delete", keys)
	for _, c := range calls {
		w.oracle.begins(c)
	}
	var err error
	if anyRegion {
		err = t.node.Delete(n.ctx, refs...)
	} else {
		r, _ := t.region(keys[0])
		err = r.Delete(n.ctx, names...)
	}
	w.judgeAll(n, calls, versions, err)
}

// judgeAll is judge for a call about several keys: those that are not pending have
// been confirmed.
func (w *world) judgeAll(n *node, calls []*call, versions []uint64, err error) {
	var pending *tiered.PendingError
	partial := errors.As(err, &pending) && !errors.Is(err, tiered.ErrClosed) && pending.Region == "" && !errors.Is(err, errWrite)
	queued := make(map[string]bool)
	if partial {
		for _, ref := range pending.Refs {
			queued[ref.String()] = true
		}
	}
	for i, c := range calls {
		if c.err = err; partial && !queued[c.key] {
			c.err = nil
		}
		w.judge(n, c, versions[i])
	}
}

// setMany writes keys and stores them by one call.
func (w *world) setMany(n *node, keys []string) {
	free := w.lock(n, keys...)
	if free == nil {
		return
	}
	defer free()
	defer n.enter("set")()
	calls, names := w.calls(n, "set", keys)
	values := make(map[string]string)
	versions := make([]uint64, len(keys))
	for i, c := range calls {
		versions[i] = w.oracle.commit(c.key, false)
		c.value = w.oracle.setBegins(n.name, c.key, versions[i])
		values[names[i]] = c.value.String()
		w.oracle.begins(c)
	}
	r, _ := n.real().region(keys[0])
	err := r.SetMany(n.ctx, values)
	var failed *tiered.BatchError
	if err != nil && !errors.As(err, &failed) {
		w.t.Errorf("SetMany of %v on %s: %v", keys, n.name, err)
	}
	for i, c := range calls {
		if failed != nil {
			c.err = failed.Errs[names[i]]
		}
		w.judge(n, c, versions[i])
	}
}

// invalidateTag writes a key and invalidates the tag that its value had.
func (w *world) invalidateTag(n *node, key string, absent bool) {
	tag := tagOf(w.oracle.current(key))
	w.write(n, "", key, absent)
	if absent {
		tag = tagCall
	}
	w.invalidateTags(n, tag)
}

// invalidateTags invalidates tags.
func (w *world) invalidateTags(n *node, tags ...string) *call {
	defer n.enter("delete")()
	c := &call{op: "tags", node: n.name, key: tags[0]}
	w.oracle.begins(c)
	names := make([]string, len(tags))
	for i, tag := range tags {
		names[i] = tag[len(tagPrefix):]
	}
	c.err = n.real().node.InvalidateTags(n.ctx, names...)
	w.judge(n, c, 0)
	return c
}

// clear writes all keys of a region and clears it.
func (w *world) clear(n *node, keys []string) {
	free := w.lock(n, keys...)
	if free == nil {
		return
	}
	defer free()
	defer n.enter("delete")()
	calls, _ := w.calls(n, "clear", keys)
	versions := make([]uint64, len(keys))
	for i, c := range calls {
		versions[i] = w.oracle.commit(c.key, false)
		w.oracle.begins(c)
	}
	r, _ := n.real().region(keys[0])
	w.judgeAll(n, calls, versions, r.Clear(n.ctx))
}

// mutate writes keys by a Mutate. The commit is somewhere in the time that the
// write takes, and the write may say that it has failed.
func (w *world) mutate(n *node, keys []string, takes time.Duration, absent, fails bool) {
	// Two Mutates of a key may be under way at once; a Set must not be beside one,
	// because nothing would order the two.
	defer n.enter("mutate")()
	calls, names := w.calls(n, "mutate", keys)
	for _, c := range calls {
		w.oracle.begins(c)
	}
	versions := make([]uint64, len(keys)) // 0: nothing was written, and nothing is promised
	r, _ := n.real().region(keys[0])
	err := r.Mutate(n.ctx, names, func(ctx context.Context) error {
		if !pass(ctx, takes/2) {
			return errWrite // and nothing was written
		}
		for i, c := range calls {
			versions[i], c.from = w.oracle.committed(c.key, absent)
		}
		if !pass(ctx, takes/2) || fails {
			return errWrite
		}
		return nil
	})
	w.judgeAll(n, calls, versions, err)
}

// pass lets time pass; it reports false if ctx ends before.
func pass(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
