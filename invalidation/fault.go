package invalidation

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// fault is why a question to Redis has had no answer. As a rule nobody waits for it
// any more when it comes: go-redis dials five times before it says that the
// connection was refused, and a round has ended by then, knowing no more than that
// there was no answer in time.
type fault struct {
	err error
	t0  int64 // on the fences' clock, before the question was sent
}

// blame takes note of why a question that was sent at t0 has had no answer. It is
// called by the goroutines that ask. What a server has said by itself comes in time,
// and is no fault of the way to it.
func (p *prober) blame(t0 int64, err error) {
	var reply redis.Error
	if err == nil || errors.As(err, &reply) || p.b.ctx.Err() != nil {
		return
	}
	f := &fault{err: err, t0: t0}
	for {
		was := p.fault.Load()
		if was != nil && was.t0 > t0 {
			return
		}
		if p.fault.CompareAndSwap(was, f) {
			break
		}
	}
	p.b.stateMayHaveChanged()
}

// cause is what keeps the prober from its answers; nil: nothing. Where the last round
// knows only that they were late, it is told what has become known since the last one
// that went well.
func (p *prober) cause() error {
	problem := p.problem.Load()
	if problem == nil {
		return nil
	}
	f := p.fault.Load()
	if f == nil || f.t0 <= p.good.Load() || !errors.Is(*problem, errLate) && !errors.Is(*problem, errBusy) {
		return *problem
	}
	return &explained{*problem, f.err}
}

// explained is a problem together with what has become known of it since.
type explained struct{ problem, why error }

func (e *explained) Error() string {
	return e.problem.Error() + "; an attempt ended with: " + e.why.Error()
}
func (e *explained) Unwrap() []error { return []error{e.problem, e.why} }

// explains reports whether an error says more than that there was no answer.
func explains(err error) bool {
	if err == nil {
		return false
	}
	_, known := errors.AsType[*explained](err)
	return known || !errors.Is(err, errLate) && !errors.Is(err, errBusy)
}

// address is where the client looks for Redis, for people.
func (b *Backplane) address() string {
	switch c := b.opts.Client.(type) {
	case *redis.Client:
		return c.Options().Addr
	case *redis.ClusterClient:
		if addrs := c.Options().Addrs; len(addrs) > 0 {
			return strings.Join(addrs, ", ")
		}
	}
	return "Redis"
}

// at says whose error it is, if the error does not.
func at(address string, err error) error {
	if err == nil || strings.Contains(err.Error(), address) {
		return err
	}
	return fmt.Errorf("%s: %w", address, err)
}

// problems are errors, each once: of many partitions it is the same as a rule.
type problems []error

func (p *problems) add(err error) {
	if err == nil {
		return
	}
	for _, known := range *p {
		if known.Error() == err.Error() {
			return
		}
	}
	*p = append(*p, err)
}

func (p problems) Error() string {
	texts := make([]string, len(p))
	for i, err := range p {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (p problems) Unwrap() []error { return p }

// waitError is that of a wait that has ended in vain.
type waitError struct {
	what  string
	end   error // why there was no more waiting
	cause error // what it waited for; nil: not known
}

func (e *waitError) Error() string { return e.what + ": " + e.end.Error() }

// Unwrap returns both, so that callers can tell a deadline and a dial error.
func (e *waitError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.end}
	}
	return []error{e.end, e.cause}
}

// cause is why what waits has not been sent: the errors of the last attempts, and what
// the prober knows of the way to Redis; nil: nobody has tried yet.
func (q *queue) cause() error {
	var all problems
	q.mu.RLock()
	for i := range q.parts {
		all.add(q.parts[i].err) // of those that still wait: a confirmation takes it away
	}
	q.mu.RUnlock()
	all.add(q.b.prober.cause())
	if len(all) == 0 {
		return nil
	}
	return all
}
