package tiered

import (
	"context"
	"fmt"
	"runtime/debug"
)

// manyLoad is a caller's load function for several keys, on boxed values.
type manyLoad func(ctx context.Context, keys []string) (manyLoaded, error)

// manyLoaded is what it returns.
type manyLoaded struct {
	value func(key string) (v any, ok bool)
	size  int
}

// boxedMany boxes what a load function returns.
func boxedMany[V any](load func(context.Context, []string) (map[string]V, error)) manyLoad {
	return func(ctx context.Context, keys []string) (manyLoaded, error) {
		values, err := load(ctx, keys)
		return manyLoaded{size: len(values), value: func(key string) (any, bool) {
			if v, ok := values[key]; ok {
				return v, true
			}
			return nil, false
		}}, loadError(err)
	}
}

// loadFor runs the load function for riders, as callLoad of a flight does for
// one key: in a goroutine of its own, for LoadTimeout at most. It counts as a
// load of each key.
func (c *convoy) loadFor(ctx context.Context, riders []*rider) []loaded {
	c.counters.loads.Add(uint64(len(riders)))
	op := Operation{Kind: OpLoad, Key: c.keyOf(riders), Keys: len(riders)}
	for _, r := range riders {
		if r.next.do == loadHolding {
			op.Leased++
		}
	}
	ctx, watched := c.begins(ctx, op)
	ctx, cancel := context.WithTimeoutCause(ctx, c.loadTimeout, ErrLoadTimeout)
	defer cancel()
	defer context.AfterFunc(c.node.ctx, cancel)()
	// The calls of all riders are one, and so is the moment at which their loads
	// begin.
	tagged := c.snapshot(riders[0].call)
	// A load that was given up goes on while the riders do: it looks at nothing of
	// theirs that changes.
	encode := make([]bool, len(riders))
	for i, r := range riders {
		encode[i] = r.encodes(r.next.do)
	}
	ch := make(chan []loaded, 1)
	go func() {
		var ls []loaded
		returned := false
		defer func() {
			if !returned {
				ls = panicked(riders, recover())
			}
			ch <- ls
		}()
		ls = c.prepare(ctx, riders, encode, tagged)
		returned = true
	}()
	var ls []loaded
	select {
	case ls = <-ch:
	case <-ctx.Done():
		select {
		case ls = <-ch: // it was just in time
		default:
			ls = make([]loaded, len(riders))
			for i := range ls {
				ls[i] = loaded{err: ctx.Err(), encoded: -1}
			}
		}
	}
	var failed error
	ended := ctx.Err() != nil
	for i := range ls {
		l := &ls[i]
		if !l.failed() {
			continue
		}
		if ended {
			l.err = riders[i].ended(ctx, l.err)
		}
		failed = l.err
		c.counters.loadErrors.Add(1)
	}
	watched.end(failed)
	return ls
}

// prepare loads, and works out what storing the values takes.
func (c *convoy) prepare(ctx context.Context, riders []*rider, encode []bool, tagged tagged) []loaded {
	keys := make([]string, len(riders))
	for i, r := range riders {
		keys[i] = r.key.Name
	}
	got, err := c.load(ctx, keys)
	ls := make([]loaded, len(riders))
	found := 0
	for i, r := range riders {
		// By the key of the flight: keys is the caller's by now.
		v, ok := got.value(r.key.Name)
		if ok {
			found++
			ls[i] = r.ready(v, nil, encode[i], tagged)
		} else {
			ls[i] = r.ready(nil, leftOut(r.key.Name, err), encode[i], tagged)
		}
	}
	c.checkSuperfluous(len(keys), got.size-found)
	return ls
}

// checkSuperfluous says, once, that a load has returned values that it was not asked
// for. They cannot be kept: no lease was taken for them, so that an invalidation
// that comes meanwhile would go unnoticed.
func (r *region) checkSuperfluous(asked, superfluous int) {
	if superfluous > 0 {
		r.warnOnce("a load returned values for keys that it was not asked for; they are ignored", "asked", asked, "superfluous", superfluous)
	}
}

// ready is prepared, where a panic concerns this key alone.
func (r *rider) ready(v any, err error, encode bool, tagged tagged) (l loaded) {
	defer func() {
		if p := recover(); p != nil {
			l = loaded{err: r.panicked(p), encoded: -1}
		}
	}()
	return r.prepared(v, err, encode, tagged)
}

// loadOver takes in how the load of the rider's key has ended. A panic in
// Config.ErrorTTLFor concerns this key alone.
func (r *rider) loadOver(l *loaded) {
	defer func() {
		if p := recover(); p != nil {
			*l = loaded{err: r.panicked(p), encoded: -1}
		}
	}()
	r.loadEnded(l)
	r.concluded(l)
}

// panicked is what a load brings that has panicked, or called runtime.Goexit.
func panicked(riders []*rider, p any) []loaded {
	raised := raisedBy(p)
	ls := make([]loaded, len(riders))
	for i, r := range riders {
		ls[i] = loaded{err: raised.of(r.flight), encoded: -1}
	}
	return ls
}

// raised is a panic, or a runtime.Goexit, on its way from the goroutine of a
// load for several keys to those who wait for one of them.
type raised struct {
	value any
	stack []byte // nil after Goexit
}

// Error is for flights alone, which make a LoadPanicError of it.
func (p *raised) Error() string { return fmt.Sprint("a load for several keys panicked: ", p.value) }

func raisedBy(p any) *raised {
	if p == nil {
		return &raised{}
	}
	return &raised{value: p, stack: debug.Stack()}
}

func (p *raised) of(f *flight) *LoadPanicError { return p.named(f.name, f.key.Name) }

func (p *raised) named(region, key string) *LoadPanicError {
	return &LoadPanicError{Region: region, Key: key, Value: p.value, Goexit: p.stack == nil, Stack: p.stack}
}
