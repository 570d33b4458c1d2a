package invalidation_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/invalidation"
)

// retrier is an Invalidator of which tests see the calls and choose the answers.
type retrier struct {
	mu     sync.Mutex
	calls  []call
	answer func(call) (uint64, error)
}

type call struct {
	partition int
	keys      []keyspace.Key
	regions   []string
}

func (r *retrier) take(c call) (uint64, error) {
	r.mu.Lock()
	r.calls = append(r.calls, c)
	answer := r.answer
	r.mu.Unlock()
	return answer(c)
}

func (r *retrier) Invalidate(_ context.Context, p int, keys []keyspace.Key) (uint64, error) {
	return r.take(call{p, slices.Clone(keys), nil})
}

func (r *retrier) InvalidatePartition(_ context.Context, p int, regions []string) (uint64, error) {
	return r.take(call{p, nil, regions})
}

func (r *retrier) answers(f func(call) (uint64, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *retrier) made() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

func receive(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("waited %v in vain for %s", patience, what)
	}
}

func refuse(call) (uint64, error) { return 0, errors.New("not now") }

// withRetrier starts a node on a miniredis whose retries go to r.
func withRetrier(t *testing.T, r *retrier, changes ...func(*invalidation.Options)) *node {
	t.Helper()
	return started(t, redistest.Mini(t).Client(t), slow, options(func(o *invalidation.Options) {
		o.Retrier = r
		for _, change := range changes {
			change(o)
		}
	}))
}

func TestAnInvalidationThatFailedIsSentUntilRedisConfirms(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		p := b.Proxy(t)
		n := started(t, redistest.NewClient(t, p.Addr()))
		other := started(t, b.Client(t))
		k := n.key(1, 0)
		mine, theirs := n.copyOf(k), other.copyOf(k)
		p.Refuse(true)
		n.eventually("the outage", func() bool { return n.Stats().ProbesFailed > 0 })

		n.Enqueue([]keyspace.Key{k, k})
		if n.valid(mine) || !n.Pending(k.Hash) || n.Pending(n.key(1, 1).Hash) {
			t.Errorf("copy valid: %v, pending: %v, another key pending: %v", n.valid(mine), n.Pending(k.Hash), n.Pending(n.key(1, 1).Hash))
		}
		n.eventually("a failed attempt", func() bool { return n.Stats().RetriesFailed > 0 })
		if s := n.Stats(); s.Pending != 1 || s.Retries != 0 || !other.valid(theirs) {
			t.Errorf("stats: %+v, the other's copy valid: %v", s, other.valid(theirs))
		}
		p.Refuse(false)
		other.eventually("the invalidation", func() bool { return !other.valid(theirs) })
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := n.Drain(ctx); err != nil {
			t.Error(err)
		}
		if s := n.Stats(); n.Pending(k.Hash) || s.Pending != 0 || s.Retries != 1 {
			t.Errorf("pending: %v, stats: %+v", n.Pending(k.Hash), s)
		}
	})
}

// A reader that stamps first and asks Pending second must never be left with a
// good stamp and a no.
func TestAReaderSeesAKeyPendingOrItsStampVoid(t *testing.T) {
	r := &retrier{answer: refuse}
	n := withRetrier(t, r)
	type reading struct {
		stamp   fence.Stamp
		pending bool
	}
	for i := range 300 {
		k := keyspace.Of("region", strings.Repeat("x", i))
		begin, stop := make(chan struct{}), make(chan struct{})
		var readings []reading
		var wg sync.WaitGroup
		wg.Go(func() {
			close(begin)
			for len(readings) < 1_000_000 {
				s := n.fences.Stamp(k.Hash)
				readings = append(readings, reading{s, n.Pending(k.Hash)})
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		<-begin
		n.Enqueue([]keyspace.Key{k})
		close(stop)
		wg.Wait()
		for _, r := range readings {
			if m := r.stamp.Mark(); !r.pending && n.valid(&m) {
				t.Fatal("a reader that was told of no pending invalidation has a valid stamp")
			}
		}
	}
}

// The second time stands for a write that came after the first invalidation
// was carried out.
func TestAKeyThatIsQueuedAgainDuringAnAttemptStays(t *testing.T) {
	inside, proceed := make(chan struct{}), make(chan struct{})
	r := &retrier{answer: func(call) (uint64, error) {
		inside <- struct{}{}
		<-proceed
		return 7, nil
	}}
	n := withRetrier(t, r, func(o *invalidation.Options) { o.Timeout = patience })
	k := n.key(1, 0)
	n.Enqueue([]keyspace.Key{k})
	receive(t, inside, "the first attempt")
	n.Enqueue([]keyspace.Key{k})
	proceed <- struct{}{}
	receive(t, inside, "the second attempt")
	if !n.Pending(k.Hash) {
		t.Error("the first attempt has taken the key out of the queue")
	}
	proceed <- struct{}{}
	n.eventually("the second confirmation", func() bool { return !n.Pending(k.Hash) })
	if got := len(r.made()); got != 2 {
		t.Errorf("%d attempts", got)
	}
}

func TestWaitingKeysAreSentOldestFirstInBatches(t *testing.T) {
	r := &retrier{answer: refuse}
	n := withRetrier(t, r)
	var keys []keyspace.Key
	for i := range 600 {
		keys = append(keys, n.key(2, i))
	}
	n.Enqueue(keys[:300])
	n.Enqueue(keys[200:])
	n.eventually("a refusal", func() bool { return n.Stats().RetriesFailed > 0 })
	r.mu.Lock()
	r.calls = nil
	r.answer = func(call) (uint64, error) { return 9, nil }
	r.mu.Unlock()
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	var sent []keyspace.Key
	for _, c := range r.made() {
		if len(c.keys) > 256 || c.partition != 2 {
			t.Errorf("a batch of %d keys for partition %d", len(c.keys), c.partition)
		}
		sent = append(sent, c.keys...)
	}
	if !slices.Equal(sent, keys) {
		t.Errorf("%d keys were sent, or not in order; want %d", len(sent), len(keys))
	}
}

func TestAQueueThatIsFullVoidsInsteadOfForgetting(t *testing.T) {
	r := &retrier{answer: refuse}
	n := withRetrier(t, r, func(o *invalidation.Options) { o.QueueLimit = 3 })
	bystander, other := n.copyOf(n.key(1, 99)), n.copyOf(n.key(2, 99))
	keep := n.key(2, 0)
	n.Enqueue([]keyspace.Key{n.key(1, 0), n.key(1, 1), keep})
	more := keyspace.Of("elsewhere", "k")
	for i := 0; n.layout.Partition(more.Hash) != 1; i++ {
		more = keyspace.Of("elsewhere", strings.Repeat("k", i))
	}
	if n.Stats().Overflows != 0 || !n.valid(bystander) {
		t.Fatal("a queue that is just full has overflown")
	}
	n.Enqueue([]keyspace.Key{more})

	if s := n.Stats(); s.Overflows != 1 || s.Flushes.Overflow != 1 || s.Pending != 1 || s.PendingPartitions != 1 {
		t.Errorf("stats: %+v", s)
	}
	if n.valid(bystander) || !n.valid(other) {
		t.Errorf("valid: %v in the partition that overflowed, %v in another", n.valid(bystander), n.valid(other))
	}
	if !n.Pending(n.key(1, 77).Hash) || n.Pending(n.key(2, 77).Hash) || !n.Pending(keep.Hash) {
		t.Error("pending must be: all of the partition that overflowed, and the key that waits in another")
	}
	r.answers(func(call) (uint64, error) { return 1 << 52, nil })
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(r.made(), func(c call) bool {
		return c.partition == 1 && slices.Equal(c.regions, []string{"elsewhere", "region"})
	}) {
		t.Errorf("no attempt for the regions of all keys: %+v", r.made())
	}
	if m := n.fences.Stamp(n.key(1, 77).Hash); m.Floor != 1<<52 {
		t.Errorf("the floor is %d, want the sequence of the invalidation", m.Floor)
	}
	if n.Pending(n.key(1, 77).Hash) || n.Stats().PendingPartitions != 0 {
		t.Error("the partition still waits")
	}
}

func TestAWholePartitionIsSentAgainForARegionThatJoinedLate(t *testing.T) {
	inside, proceed := make(chan struct{}), make(chan struct{})
	r := &retrier{answer: func(call) (uint64, error) {
		inside <- struct{}{}
		<-proceed
		return 7, nil
	}}
	n := withRetrier(t, r, func(o *invalidation.Options) { o.Timeout, o.QueueLimit = patience, 1 })
	n.Enqueue([]keyspace.Key{n.key(1, 0), n.key(1, 1)})
	receive(t, inside, "the first attempt")
	k := n.key(1, 2)
	n.Enqueue([]keyspace.Key{k})
	proceed <- struct{}{}
	receive(t, inside, "the second attempt")
	if !n.Pending(k.Hash) {
		t.Error("the first attempt has covered a key that came during it")
	}
	proceed <- struct{}{}
	n.eventually("the second confirmation", func() bool { return !n.Pending(k.Hash) })
}

func TestDrainSaysWhatIsLeft(t *testing.T) {
	r := &retrier{answer: refuse}
	n := withRetrier(t, r)
	if err := n.Drain(t.Context()); err != nil {
		t.Errorf("an empty queue: %v", err)
	}
	n.Enqueue([]keyspace.Key{n.key(0, 0), n.key(1, 0), n.key(2, 0)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Drain(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "3 keys and 0 whole partitions") {
		t.Errorf("got %v", err)
	}
	_ = n.Close()
	if err := n.Drain(t.Context()); !errors.Is(err, invalidation.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if !strings.Contains(n.logs.String(), "keys=3") {
		t.Error("Close has not logged what it dropped")
	}
}

// Why something was not sent once is not why something else is not sent now.
func TestDrainSaysWhyForWhatIsLeft(t *testing.T) {
	errGone := errors.New("gone since")
	errNow := errors.New("what is wrong now")
	r := &retrier{answer: func(call) (uint64, error) { return 0, errGone }}
	n := withRetrier(t, r)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	first, second := n.key(0, 0), n.key(1, 0)
	n.Enqueue([]keyspace.Key{first})
	n.eventually("the error", func() bool { return errors.Is(n.Drain(ended), errGone) })
	r.answers(func(c call) (uint64, error) {
		if c.partition == 1 {
			return 0, errNow
		}
		return 1 << 40, nil
	})
	n.eventually("the confirmation", func() bool { return !n.Pending(first.Hash) })
	n.Enqueue([]keyspace.Key{second})
	n.eventually("the other error", func() bool { return errors.Is(n.Drain(ended), errNow) })
	n.Enqueue([]keyspace.Key{first})
	if err := n.Drain(ended); errors.Is(err, errGone) {
		t.Errorf("Drain: %v", err)
	}
	r.answers(func(call) (uint64, error) { return 1 << 41, nil })
	n.eventually("all confirmations", func() bool { return !n.Pending(first.Hash) && !n.Pending(second.Hash) })
	release := make(chan struct{})
	defer close(release)
	r.answers(func(call) (uint64, error) { <-release; return 1 << 42, nil })
	n.Enqueue([]keyspace.Key{second})
	if err := n.Drain(ended); errors.Is(err, errGone) || errors.Is(err, errNow) {
		t.Errorf("Drain: %v", err)
	}
}

func TestAConfirmationWithoutASequenceIsNone(t *testing.T) {
	r := &retrier{answer: func(call) (uint64, error) { return 0, nil }}
	n := withRetrier(t, r)
	k := n.key(0, 0)
	n.Enqueue([]keyspace.Key{k})
	n.eventually("an attempt", func() bool { return n.Stats().RetriesFailed > 0 })
	if !n.Pending(k.Hash) {
		t.Error("the key has left the queue, and no fence was raised")
	}
}

func TestAcknowledgedInvalidationsAreSentAgainToAnotherPrimary(t *testing.T) {
	s := persistent(t)
	client := s.Client(t)
	r := new(retrier)
	n := started(t, client, options(func(o *invalidation.Options) {
		i := &invalidator{client: client, layout: o.Layout}
		r.answer = func(c call) (uint64, error) { return i.Invalidate(context.Background(), c.partition, c.keys) }
		o.Retrier = r
	}))
	k := n.key(1, 0)
	n.confirmed()
	n.Acknowledged(1, []keyspace.Key{k})
	n.AcknowledgedPartition(2, []string{"region"})
	n.confirmed()
	if got := n.Stats(); got.Replayed != 0 || got.Pending != 0 {
		t.Fatalf("stats: %+v", got)
	}
	s.Stop()
	s.Restart()
	n.confirmed()
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := n.Stats(); got.Replayed != 2 {
		t.Errorf("stats: %+v", got)
	}
	succeeded := r.made()
	if !slices.ContainsFunc(succeeded, func(c call) bool { return c.partition == 1 && slices.Equal(c.keys, []keyspace.Key{k}) }) ||
		!slices.ContainsFunc(succeeded, func(c call) bool { return c.partition == 2 && slices.Equal(c.regions, []string{"region"}) }) {
		t.Errorf("sent %+v", succeeded)
	}
	// Those are acknowledged again, by the new primary: they may be missing on the next one.
	s.Stop()
	s.Restart()
	n.confirmed()
	if got := n.Stats(); got.Replayed != 4 {
		t.Errorf("stats after another change: %+v", got)
	}
}

// What is too much to remember key by key is remembered by region.
func TestTooManyAcknowledgedInvalidationsBecomeTheWholePartition(t *testing.T) {
	s := persistent(t)
	r := &retrier{answer: func(call) (uint64, error) { return 1, nil }}
	n := started(t, s.Client(t), options(func(o *invalidation.Options) { o.Retrier, o.QueueLimit = r, 4 }))
	var keys []keyspace.Key
	for i := range 100 {
		keys = append(keys, n.key(1, i))
	}
	n.Acknowledged(1, keys[:50])
	n.Acknowledged(1, keys[50:])
	s.Stop()
	s.Restart()
	n.confirmed()
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := r.made(); len(c) != 1 || c[0].partition != 1 || !slices.Equal(c[0].regions, []string{"region"}) {
		t.Errorf("sent %+v", c)
	}
}

func BenchmarkPending(b *testing.B) {
	layout, err := keyspace.New("bench", 32)
	if err != nil {
		b.Fatal(err)
	}
	client := redistest.NewClient(b, "127.0.0.1:1")
	n, err := invalidation.Start(invalidation.Options{
		Client: client, Layout: layout, Fences: fence.New(32, 1<<40, 1<<20), Retrier: &retrier{answer: refuse},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer n.Close()
	b.Run("nothing", func(b *testing.B) {
		for b.Loop() {
			n.Pending(42)
		}
	})
	n.Enqueue([]keyspace.Key{keyspace.Of("region", "a")})
	b.Run("something", func(b *testing.B) {
		for b.Loop() {
			n.Pending(42)
		}
	})
}
