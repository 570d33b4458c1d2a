package l2

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// call is one call of the store's API. It may send several commands, one after
// the other or at once; the timeout is for all of them.
type call struct {
	store *Store
	ctx   context.Context //nolint:containedctx // a call lives as long as its context
	timer *time.Timer
	spent bool // the timer has fired and its channel is empty
}

// begin starts the clock of a call. The caller must end it.
func (s *Store) begin(ctx context.Context) (call, error) {
	if s.isClosed() {
		return call{}, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return call{}, left(err)
	}
	t := s.timers.Get().(*time.Timer)
	t.Reset(s.opts.Timeout)
	return call{store: s, ctx: ctx, timer: t}, nil
}

func (c *call) end() {
	c.timer.Stop()
	c.store.timers.Put(c.timer)
}

// left is the error of a call whose context has ended.
func left(err error) error { return fmt.Errorf("l2: the call's context ended: %w", err) }

// do sends one command and waits for its outcome. late, if any, is called with
// the command when its answer comes after the call has returned.
func (c *call) do(l *lane, cmd redis.Cmder, late func(redis.Cmder)) error {
	r, err := c.send(l, cmd, late)
	if err != nil {
		return err
	}
	return c.wait(l, r)
}

// send puts one command on its way, if the server may be asked.
func (c *call) send(l *lane, cmd redis.Cmder, late func(redis.Cmder)) (*request, error) {
	if err := l.breaker.refuses(); err != nil {
		c.store.counts.refused.Add(1)
		return nil, err
	}
	r := c.store.request(cmd, late)
	if err := l.send(r); err != nil {
		return nil, err
	}
	return r, nil
}

func (s *Store) request(cmd redis.Cmder, late func(redis.Cmder)) *request {
	r := s.requests.Get().(*request)
	r.cmd, r.late = cmd, late
	r.settled.Store(underWay)
	return r
}

// recycle gives back a request that was answered and is held by nobody else.
func (s *Store) recycle(r *request) {
	r.cmd, r.late = nil, nil
	s.requests.Put(r)
}

// wait returns the outcome of a request: of its command, or that nobody waits
// for that any more.
func (c *call) wait(l *lane, r *request) error {
	s := c.store
	if c.spent {
		return c.giveUp(l, r)
	}
	select {
	case <-r.done:
	case <-c.timer.C:
		c.spent = true
		return c.giveUp(l, r)
	case <-c.ctx.Done():
		if r.settled.CompareAndSwap(underWay, abandoned) {
			return left(c.ctx.Err())
		}
		<-r.done
	case <-s.ctx.Done():
		if r.settled.CompareAndSwap(underWay, abandoned) {
			return ErrClosed
		}
		<-r.done
	}
	return c.outcome(r)
}

// giveUp is wait without waiting.
func (c *call) giveUp(l *lane, r *request) error {
	if !r.settled.CompareAndSwap(underWay, timedOut) {
		<-r.done
		return c.outcome(r)
	}
	c.store.counts.timeouts.Add(1)
	l.breaker.report(errTimeout)
	l.sweep()
	return unavailable(errTimeout)
}

func (c *call) outcome(r *request) error {
	err := r.cmd.Err()
	c.store.recycle(r)
	switch {
	case err == nil:
		return nil
	case c.store.isClosed():
		return ErrClosed
	case !isNoScript(err):
		c.store.counts.failures.Add(1)
	}
	return unavailable(err)
}

// run runs a script and returns its answer. Redis may have forgotten the script
// at any time; then it is sent in full, to the server that lacks it.
func (c *call) run(l *lane, sc *script, args []any, late func(redis.Cmder)) ([]string, error) {
	cmd := redis.NewStringSliceCmd(c.ctx, args...)
	err := c.do(l, cmd, late)
	if isNoScript(err) {
		c.store.counts.scripts.Add(1)
		cmd = redis.NewStringSliceCmd(c.ctx, sc.inFull(args)...)
		err = c.do(l, cmd, late)
	}
	if err != nil {
		return nil, err
	}
	return cmd.Val(), nil
}

// job is one script among several that run at once.
type job struct {
	lane   *lane
	script *script
	args   []any
	late   func(redis.Cmder)

	got []string
	err error
	cmd *redis.StringSliceCmd
	req *request
}

// runAll runs scripts at once: those of one lane in one round trip, and once
// more those that their server did not know.
func (c *call) runAll(jobs []job) {
	c.round(jobs, func(j *job) []any { return j.args }, func(*job) bool { return true })
	for i := range jobs {
		if isNoScript(jobs[i].err) {
			c.round(jobs, func(j *job) []any { return j.script.inFull(j.args) }, func(j *job) bool { return isNoScript(j.err) })
			return
		}
	}
}

// round sends those of the jobs that it concerns and waits for all of them.
func (c *call) round(jobs []job, args func(*job) []any, concerns func(*job) bool) {
	waiting := make(map[*lane][]*request, 1)
	for i := range jobs {
		j := &jobs[i]
		if !concerns(j) {
			continue
		}
		if j.err != nil {
			c.store.counts.scripts.Add(1)
		}
		if j.err = j.lane.breaker.refuses(); j.err != nil {
			c.store.counts.refused.Add(1)
			continue
		}
		j.cmd = redis.NewStringSliceCmd(c.ctx, args(j)...)
		j.req = c.store.request(j.cmd, j.late)
		waiting[j.lane] = append(waiting[j.lane], j.req)
	}
	failed := make(map[*lane]error)
	for l, reqs := range waiting {
		if err := l.send(reqs...); err != nil {
			failed[l] = err
		}
	}
	for i := range jobs {
		j := &jobs[i]
		if j.req == nil {
			continue
		}
		if j.err = failed[j.lane]; j.err == nil {
			j.err = c.wait(j.lane, j.req)
		}
		if j.req = nil; j.err == nil {
			j.got = j.cmd.Val()
		}
	}
}
