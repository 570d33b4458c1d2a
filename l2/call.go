package l2

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// call is one call of the store's API. It may send several commands, one after
// the other or at once; the timeout is for all of them.
type call struct {
	store    *Store
	ctx      context.Context
	deadline time.Duration // on the store's clock
}

// begin starts the clock of a call.
func (s *Store) begin(ctx context.Context) (call, error) {
	if s.isClosed() {
		return call{}, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return call{}, left(err)
	}
	return call{store: s, ctx: ctx, deadline: s.now() + s.opts.Timeout}, nil
}

// left is the error of a call whose context has ended.
func left(err error) error { return fmt.Errorf("l2: the call's context ended: %w", err) }

// command returns a request for a command.
func (c *call) command(cmd redis.Cmder, late func(redis.Cmder), gate *breaker, route string) *request {
	r := c.store.requests.Get().(*request)
	r.cmd, r.late, r.bytes, r.gate, r.route = cmd, late, 0, gate, route
	for _, arg := range cmd.Args() {
		if b, ok := arg.([]byte); ok {
			r.bytes += len(b)
		}
	}
	r.renew(c.deadline)
	return r
}

// recycle gives back a request that was answered: nobody else holds it.
func (s *Store) recycle(r *request) {
	r.cmd, r.late, r.reading, r.gate, r.route = nil, nil, reading{}, nil, ""
	s.requests.Put(r)
}

// do sends one command, if the server may be asked, and waits for its outcome.
// late, if any, is called with the command when its answer comes after the call
// has returned.
func (c *call) do(l *lane, cmd *redis.StringSliceCmd, late func(redis.Cmder)) error {
	if err := c.admit(l.breaker); err != nil {
		return err
	}
	if l.direct.take(c, l) {
		done, err := l.direct.send(c, l, cmd)
		l.direct.give()
		if done {
			return err
		}
	}
	r := c.command(cmd, late, nil, "")
	if err := l.send(r); err != nil {
		return err
	}
	err := c.wait(r)
	if r.settled() == answered {
		c.store.recycle(r)
	}
	return err
}

// read reads a value, its partition's sequence and its region's clearing, if
// the server may be asked.
func (c *call) read(l *lane, q reading) (reading, error) {
	if err := c.admit(l.breaker); err != nil {
		return q, err
	}
	if l.direct.take(c, l) {
		done, err := l.direct.read(c, l, &q)
		l.direct.give()
		if done {
			return q, err
		}
	}
	r := c.store.requests.Get().(*request)
	r.reading, r.bytes = q, int(l.readers.size.Load())
	r.renew(c.deadline)
	if err := l.send(r); err != nil {
		return q, err
	}
	err := c.wait(r)
	if r.settled() == answered {
		q = r.reading
		c.store.recycle(r)
	}
	return q, err
}

// wait returns the outcome of a request: of its command, or that nobody waits
// for that any more.
func (c *call) wait(r *request) error {
	s := c.store
	s.watch.stir()
	if done := c.ctx.Done(); done == nil {
		<-r.done
	} else {
		select {
		case <-r.done:
		case <-done:
			if r.settle(abandoned) {
				return left(c.ctx.Err())
			}
			<-r.done
		}
	}
	switch r.settled() {
	case expired:
		return unavailable(errTimeout)
	case closed:
		return ErrClosed
	}
	return s.failed(r.outcome())
}

// failed turns the outcome of a command into that of a call.
func (s *Store) failed(err error) error {
	switch {
	case err == nil:
		return nil
	case s.isClosed():
		return ErrClosed
	case !isNoScript(err):
		s.counts.failures.Add(1)
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
	gate   *breaker // of its primary; nil: the lane's
	route  string   // see request
	script *script  // nil: a command
	args   []any
	bytes  int // of values that are expected in the answer
	late   func(redis.Cmder)

	got []string
	err error
	cmd *redis.StringSliceCmd
	req *request
}

// runAll runs scripts at once: those of one lane in one round trip, and once
// more those that their server did not know. Lanes do not wait for each other:
// a server that does not answer must not take from the others the time in which
// they could be sent what they did not know.
func (c *call) runAll(jobs []job) {
	if len(jobs) == 1 && jobs[0].gate == nil {
		j := &jobs[0]
		j.got, j.err = c.run(j.lane, j.script, j.args, j.late)
		return
	}
	byLane := make(map[*lane][]*job, 1)
	for i := range jobs {
		byLane[jobs[i].lane] = append(byLane[jobs[i].lane], &jobs[i])
	}
	var others sync.WaitGroup
	for l, jobs := range byLane {
		if len(byLane) == 1 {
			c.runLane(l, jobs)
			return
		}
		others.Go(func() { c.runLane(l, jobs) })
	}
	others.Wait()
}

// runLane runs scripts of one lane. One that is shared by several masters does not
// wait for one of them either: not for its answers, nor for the first proof that it
// takes writes, which is asked of all primaries at once.
func (c *call) runLane(l *lane, jobs []*job) {
	if l.bulk == nil || l.bulk.single {
		c.round(l, jobs, bare)
		c.resend(l, jobs)
		return
	}
	var proven []*job
	unproven := make(map[*breaker][]*job)
	for _, j := range jobs {
		if j.gate.isUnproven() {
			unproven[j.gate] = append(unproven[j.gate], j)
		} else {
			proven = append(proven, j)
		}
	}
	var others sync.WaitGroup
	for _, jobs := range unproven {
		others.Go(func() { c.runShared(l, jobs) })
	}
	if len(proven) > 0 {
		c.runShared(l, proven)
	}
	others.Wait()
}

// runShared is runLane for jobs that leave together, on a lane of several masters.
func (c *call) runShared(l *lane, jobs []*job) {
	c.dispatch(l, jobs, bare)
	if jobs[0].script == nil {
		c.collect(jobs)
		c.resend(l, jobs)
		return
	}
	byRoute := make(map[string][]*job)
	for _, j := range jobs {
		byRoute[j.route] = append(byRoute[j.route], j)
	}
	var others sync.WaitGroup
	for _, jobs := range byRoute {
		others.Go(func() {
			c.collect(jobs)
			c.resend(l, jobs)
		})
	}
	others.Wait()
}

// resend runs those of the scripts in full that their server did not know.
func (c *call) resend(l *lane, jobs []*job) {
	unknown := slices.DeleteFunc(jobs, known)
	if l.bulk != nil && len(unknown) > 0 {
		// There may be thousands: the first of each kind in full, and those behind
		// it, as a rule on the same connection, find the script there.
		sent := make(map[*script]bool)
		c.round(l, unknown, func(j *job) []any {
			if sent[j.script] {
				return j.args
			}
			sent[j.script] = true
			return j.script.inFull(j.args)
		})
		c.store.counts.scripts.Add(uint64(len(sent)))
		unknown = slices.DeleteFunc(unknown, known)
	}
	if len(unknown) > 0 {
		c.store.counts.scripts.Add(uint64(len(unknown)))
		c.round(l, unknown, func(j *job) []any { return j.script.inFull(j.args) })
	}
}

func bare(j *job) []any { return j.args }

// known reports whether the server knew the script, if there is one.
func known(j *job) bool { return !isNoScript(j.err) }

// round sends jobs of one lane and waits for all of them.
func (c *call) round(l *lane, jobs []*job, args func(*job) []any) {
	c.dispatch(l, jobs, args)
	c.collect(jobs)
}

// dispatch sends jobs of one lane, but for those of a primary that may not be
// asked.
func (c *call) dispatch(l *lane, jobs []*job, args func(*job) []any) {
	reqs := make([]*request, 0, len(jobs))
	var asked *breaker
	var refused error
	for _, j := range jobs {
		j.req = nil
		gate := j.gate
		if gate == nil {
			gate = l.breaker
		}
		if gate != asked {
			asked, refused = gate, c.admit(gate)
		}
		if j.err = refused; refused != nil {
			continue
		}
		j.cmd = redis.NewStringSliceCmd(c.ctx, args(j)...)
		j.req = c.command(j.cmd, j.late, j.gate, j.route)
		j.req.bytes += j.bytes
		reqs = append(reqs, j.req)
	}
	if len(reqs) == 0 {
		return
	}
	err := l.send(reqs...)
	if err == nil {
		return
	}
	for _, j := range jobs {
		if j.req != nil {
			j.err, j.req = err, nil
		}
	}
}

// collect waits for jobs that were sent.
func (c *call) collect(jobs []*job) {
	for _, j := range jobs {
		if j.req == nil {
			continue
		}
		j.err = c.wait(j.req)
		if j.req.settled() == answered {
			c.store.recycle(j.req)
		}
		if j.req = nil; j.err == nil {
			j.got = j.cmd.Val()
		}
	}
}
