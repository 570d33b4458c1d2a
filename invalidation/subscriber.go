package invalidation

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Pace of the subscription's watchdog.
const (
	maxPing    = time.Second
	minSilence = 250 * time.Millisecond // unless the bound is shorter
	minConnect = 2 * time.Second
)

// Waits between attempts to subscribe.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = time.Second
	// stable is how long a subscription must have lasted to be no failure.
	stable = time.Second
	// Beyond maxSessions sessions that hang (the client has no time-outs, and
	// its connections are dead without knowing it) new ones are rare.
	maxSessions = 4
	rarely      = 10 * time.Second
)

var errSilent = errors.New("silent")

// subscriber keeps one subscription alive. It is the watchdog: go-redis does
// not notice a connection that is dead without having been closed, and both
// its Receive and its Ping can hang in a dial while they hold the lock that
// its Close needs. So the calls are made by goroutines of a [session] that
// nobody waits for, and a session that is silent for too long is abandoned.
type subscriber struct {
	b       *Backplane
	channel string

	every   time.Duration // between pings
	silence time.Duration // without a pong or message for this long, a session is given up
	connect time.Duration // the same, while it has no subscription yet

	current  atomic.Pointer[session]
	running  atomic.Int64          // sessions that have not ended, abandoned ones included
	recycles chan string           // ask for a new session, and why
	lostAt   atomic.Int64          // since when there is no subscription; on the fences' clock
	problem  atomic.Pointer[error] // why the last one ended
}

func (s *subscriber) init(b *Backplane) {
	bound := b.fences.Bound()
	s.b = b
	s.channel = b.layout.Channel()
	s.every = min(bound/8, maxPing)
	s.silence = max(bound/2, min(bound, minSilence))
	s.connect = max(s.silence, minConnect)
	s.recycles = make(chan string, 1)
	s.lostAt.Store(b.fences.Now())
}

// since is when the present subscription was confirmed, and whether there is
// one.
func (s *subscriber) since() (at int64, ok bool) {
	n := s.current.Load()
	if n == nil {
		return 0, false
	}
	at = n.since.Load()
	return at, at != unknown
}

// recycle asks for a new session in place of the present one.
func (s *subscriber) recycle(why string) {
	select {
	case s.recycles <- why:
	default:
	}
}

// loop opens one session after the other until ctx ends.
func (s *subscriber) loop(ctx context.Context) {
	for failures := 1; ; failures++ {
		n := s.open(ctx)
		s.current.Store(n)
		why := s.watch(ctx, n)
		lived := s.abandon(n)
		if ctx.Err() != nil {
			return
		}
		s.b.counters.recycles.Add(1)
		s.problem.Store(&why)
		s.b.log.Debug("subscription given up", "reason", why)
		s.b.ProbeNow()
		if lived >= stable {
			failures = 1
		}
		wait := backoff(failures, firstRetry, lastRetry)
		if s.running.Load() > maxSessions {
			wait = jitter(rarely)
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// watch returns when the session is to be given up, and why.
func (s *subscriber) watch(ctx context.Context, n *session) (why error) {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	// A single look is not enough: after a pause of this process the clock
	// has moved on, while what was received meanwhile still waits to be read.
	for strikes := 0; strikes < 2; {
		select {
		case <-ctx.Done():
			return ErrClosed
		case <-n.ended:
			return n.why
		case why := <-s.recycles:
			return errors.New(why)
		case <-tick.C:
		}
		limit := s.connect
		if n.since.Load() != unknown {
			limit = s.silence
			n.ping()
		}
		if s.b.fences.Now()-n.heard.Load() > int64(limit) {
			strikes++
		} else {
			strikes = 0
		}
	}
	return errSilent
}

// abandon ends a session without waiting for it, and returns how long it had
// lasted as a subscription.
func (s *subscriber) abandon(n *session) (lived time.Duration) {
	if at := n.since.Load(); at != unknown {
		lived = time.Duration(s.b.fences.Now() - at)
	}
	s.current.Store(nil) // whatever it may still receive, it counts as no subscription
	n.unsubscribed()
	n.cancel()
	s.b.calls.run(func() { _ = n.ps.Close() }) // unblocks Receive; nothing is left to lose
	return lived
}

// hear applies one message.
func (b *Backplane) hear(data []byte) {
	m, err := Decode(data)
	if err == nil && m.Partition >= len(b.epochs) {
		err = ErrMalformed
	}
	if err != nil {
		// Something was invalidated. The probe will find out: the sequence that
		// the message had is missing here.
		b.counters.undecodable.Add(1)
		b.ProbeNow()
		logged := &b.counters.loggedMalformed
		if errors.Is(err, ErrVersion) {
			logged = &b.counters.loggedVersion
		}
		if logged.CompareAndSwap(false, true) {
			b.log.Warn("an invalidation message cannot be read; this is logged once and counted in Stats",
				"channel", b.subscriber.channel, "bytes", len(data), "error", err)
		}
		return
	}
	gap := b.fences.Heard(m.Partition, m.Seq, m.Hashes)
	b.count(&m, gap)
	if b.opts.OnMessage != nil {
		b.opts.OnMessage(m)
	}
}

func (b *Backplane) count(m *Message, gap bool) {
	c := &b.counters
	c.received.Add(1)
	if m.Origin == b.opts.Origin {
		c.own.Add(1)
	}
	if gap {
		c.gaps.Add(1)
	}
	if len(m.Hashes) == 0 {
		c.flushes.announced.Add(1)
	}
	if now, ok := b.ServerNow(); ok {
		c.lag.Observe(time.Duration(max(now-m.Time, 0)) * time.Microsecond)
	}
}
