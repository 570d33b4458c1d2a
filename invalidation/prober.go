package invalidation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxSpacing keeps an instance from being slow to become ready, or to notice
// what it was woken for, where the bound is long.
const maxSpacing = 50 * time.Millisecond

// maxRetry keeps an instance that could not be confirmed from staying so for long
// after it could be, where the bound is long. Nothing else may tell it: a
// subscription that has come back does not say that probes get through.
const maxRetry = time.Second

// prober makes certain that everything was heard. All its fields but those
// that say so belong to its loop.
type prober struct {
	b       *Backplane
	every   time.Duration // between probes; less a little jitter
	spacing time.Duration // between probes at least, however often one is asked for
	timeout time.Duration // of one round
	wake    chan struct{} // safe for concurrent use

	split   bool // one script per partition, though the client is a single server's
	parts   []probed
	waiting atomic.Int64 // partitions that have never been confirmed under a live subscription; safe for concurrent use

	losses   int    // rounds that found messages lost, since the last good one
	received uint64 // messages when one was last lost

	problem atomic.Pointer[error] // of the last round, nil if it went well; safe for concurrent use
	fault   atomic.Pointer[fault] // the last that has become known; safe for concurrent use
	good    atomic.Int64          // when the last round that went well began; safe for concurrent use
}

// probed is what the prober remembers of a partition.
type probed struct {
	runID     string // of the primary that answered last; "" for none
	confirmed bool   // a lease has been granted at least once
	ready     bool   // the same, under a live subscription
	failing   bool   // the last round did not reach it
}

func (p *prober) init(b *Backplane) {
	bound := b.fences.Bound()
	n := b.layout.Partitions()
	p.b = b
	p.every = bound / 4
	p.spacing = min(bound/32, maxSpacing)
	// An answer that takes longer than the bound confirms nothing: the lease
	// that it grants has ended already.
	p.timeout = min(b.opts.Timeout, bound)
	p.wake = make(chan struct{}, 1)
	p.parts = make([]probed, n)
	p.waiting.Store(int64(n))
	p.good.Store(unknown)
}

// soon asks for a probe. It is safe for concurrent use and never blocks.
func (p *prober) soon() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *prober) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	started, due := time.Time{}, time.Now()
	free := true // a round that made progress may be followed by another at once, but only one
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
			if soon := started.Add(p.spacing); soon.Before(due) {
				due = soon
				timer.Reset(time.Until(due))
			}
			continue
		case <-timer.C:
		}
		started = time.Now()
		again := p.round(ctx)
		every := p.every
		if p.problem.Load() != nil {
			every = min(every, maxRetry)
		}
		next := every - every/10 + jitter(every/10)
		switch {
		case again && free:
			next = 0
		case again:
			next = p.spacing
		}
		free = !again
		due = started.Add(next)
		timer.Reset(time.Until(due))
	}
}

// command is one run of the probe's script.
type command struct {
	scope      string
	partitions []int
}

// target is a server and what it is asked. The commands are pipelined.
type target struct {
	name     string
	commands []command
}

// outcome is what became of a command.
type outcome struct {
	command
	answer answer
	err    error
}

var (
	errLate = errors.New("no answer in time")
	errBusy = errors.New("earlier probes still wait for their answers")
)

// targets finds out whom to ask for what. On a Cluster that means to know its
// slots, which may need a round trip, hence the wait.
func (p *prober) targets(ctx context.Context) ([]target, error) {
	all := make([]int, len(p.parts))
	for i := range all {
		all[i] = i
	}
	if _, ok := p.b.opts.Client.(*redis.Client); ok && !p.split {
		return []target{{name: p.b.address(), commands: []command{{scopeAll, all}}}}, nil
	}
	commands := []command{{scope: scopeLayout}}
	if p.b.agreed.holds(p.b.fences.Now()) {
		for i := range all {
			commands = append(commands, command{scopePartitions, all[i : i+1]})
		}
	}
	c, ok := p.b.opts.Client.(*redis.ClusterClient)
	if !ok {
		return []target{{name: p.b.address(), commands: commands}}, nil
	}
	type routed struct {
		targets []target
		err     error
	}
	result := make(chan routed, 1)
	t0 := p.b.fences.Now()
	if !p.b.calls.start("route", func() {
		targets, err := p.route(ctx, c, commands)
		p.blame(t0, err)
		result <- routed{targets, err}
	}) {
		return nil, errBusy
	}
	timer := time.NewTimer(p.timeout)
	defer timer.Stop()
	select {
	case r := <-result:
		return r.targets, r.err
	case <-timer.C:
		return nil, fmt.Errorf("find the Cluster's primaries through %s: %w", p.b.address(), errLate)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// route sorts commands by the primary that they belong to, so that one primary
// that hangs holds up no other's answer.
func (p *prober) route(ctx context.Context, c *redis.ClusterClient, commands []command) ([]target, error) {
	var targets []target
	index := make(map[string]int)
	for _, cmd := range commands {
		master, err := c.MasterForKey(ctx, p.keys(cmd)[0])
		if err != nil {
			return nil, fmt.Errorf("find the Cluster's primaries: %w", err)
		}
		name := master.Options().Addr
		i, ok := index[name]
		if !ok {
			i = len(targets)
			index[name] = i
			targets = append(targets, target{name: name})
		}
		targets[i].commands = append(targets[i].commands, cmd)
	}
	return targets, nil
}

// reroute lets a Cluster's client find out again who has what. By itself it
// does so when a node tells it that it is the wrong one. A node that is dead, or
// that was taken out of the Cluster and does not know, never does, and then the
// client goes on asking it for as long as its ClusterStateReloadInterval, a
// minute by default. This does not wait for the outcome.
func (b *Backplane) reroute() {
	if c, ok := b.opts.Client.(*redis.ClusterClient); ok {
		c.ReloadState(b.ctx)
	}
}

func (p *prober) keys(c command) []string {
	keys := make([]string, 0, 2+2*len(c.partitions))
	if c.scope != scopePartitions {
		keys = append(keys, p.b.agreed.key, p.b.agreed.record)
	}
	for _, i := range c.partitions {
		keys = append(keys, p.b.layout.Sequence(i), p.b.layout.Epoch(i))
	}
	return keys
}

// question is a command made ready to be sent: the goroutines that ask do not
// touch what belongs to the loop.
type question struct {
	command
	keys []string
	args []any
}

func (p *prober) questions(t target) []question {
	qs := make([]question, len(t.commands))
	for i, c := range t.commands {
		var known, era string
		if len(c.partitions) > 0 {
			known = p.parts[c.partitions[0]].runID
		}
		if c.scope == scopePartitions {
			era = p.b.agreed.era
		}
		ttl := p.b.agreed.ttl.Milliseconds()
		qs[i] = question{c, p.keys(c), []any{c.scope, p.b.agreed.ours, ttl, era, known}}
	}
	return qs
}

// ask sends the questions in one pipeline and reads the answers. It uses the
// user's client as it is, also for a single primary of a Cluster: the client's
// hooks may do anything to a command, and the probe must read the very keys
// that invalidations write. (Neither a copy with time-outs nor the client of a
// Cluster's node has those hooks.)
func ask(ctx context.Context, client redis.UniversalClient, qs []question) []outcome {
	cmds := make([]*redis.Cmd, len(qs))
	if len(qs) == 1 {
		cmds[0] = probeScript.Run(ctx, client, qs[0].keys, qs[0].args...)
	} else {
		_, _ = client.Pipelined(ctx, func(pipe redis.Pipeliner) error { // each command has its own error
			for i, q := range qs {
				cmds[i] = probeScript.EvalSha(ctx, pipe, q.keys, q.args...)
			}
			return nil
		})
	}
	out := make([]outcome, len(qs))
	for i, q := range qs {
		if unknownScript(cmds[i].Err()) {
			cmds[i] = probeScript.Run(ctx, client, q.keys, q.args...)
		}
		out[i].command = q.command
		v, err := cmds[i].Slice()
		if err == nil {
			out[i].answer, err = parseAnswer(v, len(q.partitions))
		}
		out[i].err = err
	}
	return out
}

func unknownScript(err error) bool {
	return errors.Is(err, redis.ErrNoScript) || redis.HasErrorPrefix(err, "NOSCRIPT")
}

// manySlots reports whether the error means that a script may not touch
// several partitions at once: a Cluster behind a single address.
func manySlots(err error) bool {
	return err != nil && strings.Contains(err.Error(), "CROSSSLOT")
}
