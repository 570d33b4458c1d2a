package l2

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

type silent struct{}

func (silent) Announce(int, []uint64) (head, mid, tail []byte) { return nil, nil, nil }

// idleStore is a store of which nothing is asked.
func idleStore(t *testing.T) *Store {
	t.Helper()
	layout, err := keyspace.New("shop", 4)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { c.Close() })
	s, err := New(Options{Client: c, Layout: layout, Announcer: silent{}, Logger: slog.New(slog.DiscardHandler), Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStuckBatchIsReportedOnce(t *testing.T) {
	tests := map[string]struct {
		settled  uint64 // how, before it is found stuck
		failures uint32
	}{
		"its caller is waiting":            {underWay, 1},
		"its caller has left":              {abandoned, 1},
		"its caller has waited to the end": {expired, 0}, // and was reported then
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := idleStore(t)
			l := s.primary[0].urgent
			l.breaker.probed(nil)
			r := s.requests.Get().(*request)
			r.renew(0)
			r.settle(tt.settled)
			l.running = []*batch{{requests: []*request{r}, began: -time.Minute}}
			l.expire(s.now())
			if got := l.breaker.machine.Counts().ConsecutiveFailures; got != tt.failures {
				t.Errorf("%d failures reported, want %d", got, tt.failures)
			}
			if l.stuck != 1 || len(l.running) != 0 {
				t.Errorf("%d stuck, %d running", l.stuck, len(l.running))
			}
		})
	}
}

func TestWatchLeavesAloneWhatHasBegunANewLife(t *testing.T) {
	s := idleStore(t)
	r := s.requests.Get().(*request)
	r.renew(time.Second)
	old := r.word.Load()
	r.settle(answered)
	r.renew(time.Hour)
	if r.word.CompareAndSwap(old, old|expired) {
		t.Error("a look at the old life settles the new one")
	}
	if r.expire(time.Minute) {
		t.Error("expired before its time")
	}
	if !r.expire(time.Hour) || r.expire(time.Hour) {
		t.Error("expires once, at its time")
	}
}

// The watch may look at a request at any moment of its new life, the first
// included.
func TestWatchLeavesAloneWhatIsBeginningANewLife(t *testing.T) {
	r := &request{done: make(chan struct{}, 1)}
	r.settle(answered)
	var stop atomic.Bool
	var watch sync.WaitGroup
	watch.Go(func() {
		for !stop.Load() {
			r.expire(time.Minute)
		}
	})
	for range 200_000 {
		r.deadline.Store(0) // of the last life; it is over
		r.renew(time.Hour)
		if !r.settle(answered) {
			t.Error("expired as it began")
			break
		}
	}
	stop.Store(true)
	watch.Wait()
}
