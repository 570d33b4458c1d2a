package invalidation_test

import (
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/invalidation"
)

func TestAnInvalidationWhoseMessageIsLostIsFoundByTheProbe(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		n := started(t, b.Client(t))
		m, o := n.copyOf(n.key(1, 0)), n.copyOf(n.key(2, 0))
		seq := n.lose(1)
		n.eventually("the floor", func() bool { return !n.valid(m) })
		n.confirmed()
		if !n.valid(o) {
			t.Error("a copy in another partition is void too")
		}
		if last := n.fences.Last(1); last != seq {
			t.Errorf("the highest sequence is %d, want %d", last, seq)
		}
		if s := n.Stats(); s.Flushes.Lost != 1 || s.Gaps != 0 {
			t.Errorf("stats: %+v", s)
		}
	})
}

func TestNothingIsVoidedWhileNothingIsMissing(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		n := started(t, b.Client(t))
		kept := n.copyOf(n.key(0, 0))
		for i := range 20 {
			n.invalidate(n.key(i%4, 1+i))
			n.confirmed()
		}
		if s := n.Stats(); s.Flushes != (invalidation.Flushes{}) || s.Gaps != 0 || s.Recycles != 0 {
			t.Errorf("stats: %+v", s)
		}
		if !n.valid(kept) {
			t.Error("a copy that nothing concerns is void")
		}
	})
}

func TestALostSequenceComesBackLargerAndVoidsEverything(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		n := started(t, b.Client(t))
		m := n.copyOf(n.key(1, 0))
		before := n.fences.Last(1)
		b.FlushAll(t)
		n.eventually("the restart", func() bool { return n.Stats().Flushes.Restarted == 4 })
		n.confirmed()
		if n.valid(m) {
			t.Error("a copy from before the loss is valid")
		}
		if last := n.fences.Last(1); last <= before {
			t.Errorf("the sequence went from %d to %d", before, last)
		}
		fresh := n.copyOf(n.key(1, 0))
		n.confirmed()
		if !n.valid(fresh) {
			t.Error("a copy from after the loss is void")
		}
	})
}

func TestWhoCreatesASequenceGrantsNoLeaseInThatRound(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		client := b.Client(t)
		g := &gate{passes: make(chan struct{}, 100)}
		client.AddHook(g)
		n := start(t, client, slow)
		pass := func() { g.passes <- struct{}{} }
		pass() // creates the sequences
		n.eventually("the first answer", func() bool { return n.Stats().Probes == 1 })
		if _, ok := n.fences.Lease(0); ok {
			t.Fatal("the first probe, which created the sequence, granted a lease")
		}
		pass()
		n.confirmed0(t)
		lease, _ := n.fences.Lease(0)

		b.FlushAll(t)
		rounds := n.Stats().Probes
		n.ProbeNow()
		pass()
		n.eventually("the answer", func() bool { return n.Stats().Probes > rounds })
		if at, _ := n.fences.Lease(0); n.Stats().Flushes.Restarted == 0 || at != lease {
			t.Errorf("restarted %d times, lease at %d, was at %d", n.Stats().Flushes.Restarted, at, lease)
		}
		for range 10 {
			pass()
		}
		n.eventually("a lease", func() bool { at, _ := n.fences.Lease(0); return at > lease })
	})
}

// confirmed0 waits until partition 0 has a lease at all.
func (n *node) confirmed0(t *testing.T) {
	t.Helper()
	n.eventually("a first lease", func() bool { _, ok := n.fences.Lease(0); return ok })
}

func TestASequenceThatGoesBackVoidsItsPartition(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		n := started(t, b.Client(t))
		m, o := n.copyOf(n.key(1, 0)), n.copyOf(n.key(2, 0))
		lower := n.fences.Last(1) - 10
		n.set(t, 1, lower)
		n.eventually("the rewind", func() bool { return n.Stats().Flushes.Rewound == 1 })
		n.confirmed()
		if n.valid(m) || !n.valid(o) {
			t.Errorf("valid: %v in the partition that went back, %v in another one", n.valid(m), n.valid(o))
		}
		// From here on the lower numbers count.
		k := n.key(1, 0)
		fresh := n.copyOf(k)
		if !n.valid(fresh) || n.fences.Last(1) != lower {
			t.Errorf("valid: %v, last is %d, want %d", n.valid(fresh), n.fences.Last(1), lower)
		}
		n.invalidate(k)
		n.eventually("a message with a low number", func() bool { return !n.valid(fresh) })
	})
}

// An equal number cannot be told from no change; see the tests of epochs for
// what happens when another primary answers with it.
func TestASequenceThatIsSetToItselfChangesNothing(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		n := started(t, b.Client(t))
		m := n.copyOf(n.key(1, 0))
		n.set(t, 1, n.fences.Last(1))
		n.confirmed()
		if !n.valid(m) || n.Stats().Flushes != (invalidation.Flushes{}) {
			t.Errorf("valid: %v, flushes: %+v", n.valid(m), n.Stats().Flushes)
		}
	})
}

func (n *node) set(t *testing.T, p int, seq uint64) {
	t.Helper()
	if err := n.redis.Set(t.Context(), n.layout.Sequence(p), seq, 0).Err(); err != nil {
		t.Fatal(err)
	}
}

// outages are states of a server in which its answers, if there are any, must
// not be believed.
var outages = map[string]struct {
	begin, end func(t *testing.T, s *redistest.Server)
	refuses    bool // writes, with an error that says so
}{
	"killed": {
		func(_ *testing.T, s *redistest.Server) { s.Kill() },
		func(_ *testing.T, s *redistest.Server) { s.Restart() },
		false,
	},
	"paused": {
		func(_ *testing.T, s *redistest.Server) { s.Pause() },
		func(_ *testing.T, s *redistest.Server) { s.Resume() },
		false,
	},
	"a replica of nobody": {
		func(t *testing.T, s *redistest.Server) { do(t, s, "REPLICAOF", "127.0.0.1", "1") },
		func(t *testing.T, s *redistest.Server) { do(t, s, "REPLICAOF", "NO", "ONE") },
		true,
	},
	"without the replicas that it needs": {
		func(t *testing.T, s *redistest.Server) { do(t, s, "CONFIG", "SET", "min-replicas-to-write", "1") },
		func(t *testing.T, s *redistest.Server) { do(t, s, "CONFIG", "SET", "min-replicas-to-write", "0") },
		true,
	},
}

func do(t *testing.T, s *redistest.Server, args ...any) {
	t.Helper()
	c := s.Client(t)
	if err := c.Do(t.Context(), args...).Err(); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	_ = c.Close()
}

func TestNoLeaseIsGrantedByAServerThatTakesNoWrites(t *testing.T) {
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			var refusals atomic.Int64
			n := started(t, s.Client(t), options(func(o *invalidation.Options) {
				o.OnRefused = func(_ int, err error) {
					if redis.HasErrorPrefix(err, "READONLY") || redis.HasErrorPrefix(err, "NOREPLICAS") {
						refusals.Add(1)
					}
				}
			}))
			m := n.copyOf(n.key(0, 0))
			n.confirmed()
			outage.begin(t, s)
			n.eventually("the leases to end", n.dead)
			if n.valid(m) {
				t.Error("a copy is valid without a lease")
			}
			n.eventually("a report", func() bool { return n.reported() == invalidation.CauseUnconfirmed })
			for p := range n.fences.Partitions() {
				if at, _ := n.fences.Lease(p); n.fences.Now()-at <= int64(n.fences.Bound()) {
					t.Errorf("partition %d has a lease of %v ago", p, time.Duration(n.fences.Now()-at))
				}
			}
			if s := n.Stats(); s.ProbesFailed == 0 || s.LeaseAge <= n.fences.Bound() {
				t.Errorf("stats: %+v", s)
			}
			if told := refusals.Load() > 0; told != outage.refuses {
				t.Errorf("told of a refusal: %v, want %v", told, outage.refuses)
			}
			outage.end(t, s)
			n.confirmed()
			n.eventually("a report of its end", func() bool { return n.reported() == invalidation.CauseNone })
		})
	}
}

// reported is the cause of the last report.
func (n *node) reported() invalidation.Cause {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.states) == 0 {
		return "no report"
	}
	return n.states[len(n.states)-1].Cause
}

func TestAProbeNeverWaitsLongerThanItsTimeout(t *testing.T) {
	s := redistest.Start(t)
	patient := func(o *redis.Options) {
		o.ReadTimeout, o.WriteTimeout, o.ContextTimeoutEnabled = -1, -1, false
	}
	n := started(t, s.Client(t, patient))
	s.Pause()
	failed := n.Stats().ProbesFailed
	n.eventually("several rounds to give up", func() bool { return n.Stats().ProbesFailed > failed+3 })
	s.Resume()
	n.confirmed()
}

func TestAPartitionThatWasNeverProbedHasNoEpoch(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		client := b.Client(t)
		g := &gate{passes: make(chan struct{})}
		client.AddHook(g)
		n := start(t, client)
		n.eventually("a round without an answer", func() bool { return n.Stats().ProbesFailed > 0 })
		if _, _, ok := n.Epoch(0); ok {
			t.Error("there is an epoch before the first answer")
		}
		close(g.passes)
		n.confirmed()
		if seq, at, ok := n.Epoch(0); seq != 0 || at != 0 || !ok {
			t.Errorf("the first epoch is %d, %d, %v; want 0, 0, true", seq, at, ok)
		}
	})
}

// persistent makes a server keep its data over a restart, so that the restart
// looks like a failover: the same data, another run id.
func persistent(t *testing.T) *redistest.Server {
	t.Helper()
	return redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
}

func TestAnotherPrimaryBeginsAnEpoch(t *testing.T) {
	s := persistent(t)
	n, other := started(t, s.Client(t)), started(t, s.Client(t))
	m, o := n.copyOf(n.key(1, 0)), other.copyOf(other.key(1, 0))
	before := n.fences.Last(1)
	began, _ := n.ServerNow()

	s.Stop()
	s.Restart()
	n.confirmed()
	other.confirmed()

	seq, at, ok := n.Epoch(1)
	if !ok || seq <= before || at > int64(seq) || at < began-time.Minute.Microseconds() {
		t.Errorf("epoch %d at %d (%v); the sequence was %d, Redis's clock about %d", seq, at, ok, before, began)
	}
	if seq2, at2, _ := other.Epoch(1); seq2 != seq || at2 != at {
		t.Errorf("the other instance has epoch %d at %d, want %d at %d", seq2, at2, seq, at)
	}
	if n.valid(m) || other.valid(o) {
		t.Error("a copy from before the change is valid")
	}
	if got := n.Stats().Flushes; got.Failover != 4 || got.Lost != 0 {
		t.Errorf("flushes: %+v", got)
	}
	n.confirmed()
	if again, _, _ := n.Epoch(1); again != seq {
		t.Errorf("the epoch moved from %d to %d without another change", seq, again)
	}
	late := started(t, s.Client(t))
	if seq2, at2, ok := late.Epoch(1); seq2 != seq || at2 != at || !ok {
		t.Errorf("an instance that came later has epoch %d at %d, %v; want %d at %d", seq2, at2, ok, seq, at)
	}
}

// A read that is under way while the primary changes may be answered by the new
// one with a value whose invalidation only the former one knew, as of a sequence
// that another instance has moved up already. That value ends with the grace of
// the epoch, which the reader does not know yet; its copy must not outlive that.
func TestAReadFromBeforeAnotherPrimaryIsVoidOnceThatIsKnown(t *testing.T) {
	s := persistent(t)
	n := started(t, s.Client(t))
	k := n.key(1, 0)
	stamp := n.fences.Stamp(k.Hash)
	former, _, _ := n.Epoch(1)
	s.Stop()
	s.Restart()
	n.eventually("the change", func() bool { seq, _, _ := n.Epoch(1); return seq != former })
	n.confirmed()

	now := n.copyOf(k)
	m := stamp.At(now.Sequence())
	if n.valid(&m) {
		t.Error("a copy whose read began before the change is valid")
	}
	if !n.valid(now) {
		t.Error("a copy whose read began after it is not")
	}
}

// A replica takes over that has missed an invalidation, and then counts as many
// as the former primary had: its number alone would be taken for a
// confirmation.
func TestAnotherPrimaryWithAnEqualSequenceIsNotTakenForAConfirmation(t *testing.T) {
	former, next := redistest.Start(t, "--repl-diskless-sync-delay", "0"), redistest.Start(t)
	p := redistest.NewProxy(t, former.Addr())
	n := started(t, p.Client(t))
	n.confirmed()
	do(t, next, "REPLICAOF", "127.0.0.1", former.Port())
	replica := next.Client(t)
	n.eventually("the replica to have everything", func() bool {
		return replica.Get(t.Context(), n.layout.Epoch(1)).Val() != "" &&
			replica.Get(t.Context(), n.layout.Sequence(1)).Val() == n.redis.Get(t.Context(), n.layout.Sequence(1)).Val()
	})
	do(t, next, "REPLICAOF", "NO", "ONE")

	k := n.key(1, 0)
	before := n.invalidate(k) // the replica does not know
	n.eventually("the message", func() bool { return n.Stats().Received == 1 })
	m := n.copyOf(k)
	if err := replica.Incr(t.Context(), n.layout.Sequence(1)).Err(); err != nil {
		t.Fatal(err)
	}
	if got := replica.Get(t.Context(), n.layout.Sequence(1)).Val(); got != strconv.FormatUint(before, 10) {
		t.Fatalf("the replica has counted to %s, want %d", got, before)
	}
	p.Target(next.Addr())
	p.Cut()
	n.eventually("the change", func() bool { seq, _, _ := n.Epoch(1); return seq > before })
	n.confirmed()
	if n.valid(m) {
		t.Error("a copy from the former primary is valid")
	}
}

// The same where the sequence is ahead of the new primary's clock, as it is when
// the former primary's clock was: then the epoch does not move it beyond what
// the former primary had counted to.
func TestAnotherPrimaryIsNotTakenForTheFormerWhereItsClockIsBehind(t *testing.T) {
	s := persistent(t)
	client := s.Client(t)
	g := &gate{passes: make(chan struct{}, 1000)}
	for range 1000 {
		g.passes <- struct{}{}
	}
	client.AddHook(g)
	n := started(t, client)
	const ahead = 5_000_000_000_000_000 // µs: in more than a hundred years
	n.set(t, 1, ahead)
	n.confirmed()
	n.eventually("the sequence to be heard", func() bool { return n.fences.Last(1) == ahead })
	k := n.key(1, 0)
	first := n.invalidate(n.key(1, 1)) // the new primary will not know
	second := n.invalidate(n.key(1, 2))
	n.eventually("the messages", func() bool { return n.fences.Last(1) == second })
	for len(g.passes) > 0 {
		<-g.passes
	}
	m := n.copyOf(k)

	n.set(t, 1, first-1)
	n.lose(1) // an invalidation of k, on the new primary
	s.Stop()
	s.Restart() // the first probe counts once more
	for range 100 {
		g.passes <- struct{}{}
	}
	n.confirmed()
	if got := n.fences.Last(1); got != second {
		t.Fatalf("the sequence is %d, the test needs that it is as large as before: %d", got, second)
	}
	if n.valid(m) {
		t.Error("a copy from the former primary is valid")
	}
}

// The new primary has the same sequence and no epoch: its number alone would
// be taken for a confirmation.
func TestAnotherPrimaryWithoutAnEpochIsFoundByWhoKnewTheFormer(t *testing.T) {
	s := persistent(t)
	client := s.Client(t)
	g := &gate{passes: make(chan struct{}, 1000)}
	for range 1000 {
		g.passes <- struct{}{}
	}
	client.AddHook(g)
	n := started(t, client)
	m := n.copyOf(n.key(1, 0))
	for len(g.passes) > 0 {
		<-g.passes
	}
	before := n.fences.Last(1)
	do(t, s, "DEL", n.layout.Epoch(1))
	s.Stop()
	s.Restart()
	for range 100 {
		g.passes <- struct{}{}
	}
	n.confirmed()
	if seq, at, ok := n.Epoch(1); seq <= before || at == 0 || !ok {
		t.Errorf("epoch %d at %d, %v; the sequence was %d", seq, at, ok, before)
	}
	if n.valid(m) {
		t.Error("a copy from before the change is valid")
	}
}

func TestAnIllegibleEpochIsDistrusted(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		n := started(t, b.Client(t))
		m := n.copyOf(n.key(1, 0))
		if err := n.redis.Set(t.Context(), n.layout.Epoch(1), "what is this", 0).Err(); err != nil {
			t.Fatal(err)
		}
		n.eventually("a new epoch", func() bool { seq, at, _ := n.Epoch(1); return seq > 0 && at > 0 })
		n.confirmed()
		if n.valid(m) {
			t.Error("a copy from before is valid")
		}
		if e := n.redis.Get(t.Context(), n.layout.Epoch(1)).Val(); strings.Count(e, "|") != 3 {
			t.Errorf("the epoch is still %q", e)
		}
	})
}

func TestTheHeartbeatChangesNothing(t *testing.T) {
	s := redistest.Start(t)
	n := started(t, s.Client(t))
	n.confirmed()
	dirty := func() int {
		for line := range strings.Lines(n.redis.Info(t.Context(), "persistence").Val()) {
			if v, ok := strings.CutPrefix(line, "rdb_changes_since_last_save:"); ok {
				i, err := strconv.Atoi(strings.TrimSpace(v))
				if err != nil {
					t.Fatal(err)
				}
				return i
			}
		}
		t.Fatal("no count of changes")
		return 0
	}
	before := dirty()
	for range 3 {
		n.confirmed()
	}
	if after := dirty(); after != before {
		t.Errorf("probes made %d changes in Redis", after-before)
	}
}
