package l2

import (
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// request is one command on its way. It is settled once: by the goroutine of
// its batch, by the watch when its time is up, by its caller, who leaves, or by
// Close.
type request struct {
	cmd     redis.Cmder           // of a command
	late    func(cmd redis.Cmder) // called if the answer comes when the caller has left
	reading                       // of a read
	bytes   int                   // of the value in it, or expected in its answer
	gate    *breaker              // of its primary; nil: the lane's
	route   string                // on a lane of several primaries: a key of its partition

	// done gets one element when the request is settled by another than its
	// caller.
	done chan struct{}

	// word is how it was settled, in the low bits, and a count of the uses of
	// this request. The watch looks at requests without knowing whether they have
	// been answered and begun a new life meanwhile: it reads the word, then the
	// deadline, and changes the word only if it is still the same.
	word     atomic.Uint64
	deadline atomic.Int64 // on the store's clock
}

// How a request was settled.
const (
	underWay   uint64 = iota
	answered          // the command has its outcome
	expired           // its time was up
	abandoned         // its caller has left
	closed            // the store was closed
	settlement = 7
)

// renew prepares a request for another use. The deadline is first: were it the
// word, the watch, with a batch that it knows from the last use, could expire
// what has just begun:
//
//	renew                        watch
//	stores the new word
//	                             reads the word: under way
//	                             reads the old deadline: over
//	                             changes the word, which is still the same
//	stores the new deadline
//
// As it is, who reads the new word reads the new deadline, and who has read the
// old word can change nothing any more: it is settled, or not the same.
func (r *request) renew(deadline time.Duration) {
	r.deadline.Store(int64(deadline))
	r.word.Store(r.word.Load()&^settlement + settlement + 1)
}

func (r *request) underWay() bool { return r.word.Load()&settlement == underWay }

// settle reports whether it was the first to settle the request.
func (r *request) settle(how uint64) bool {
	w := r.word.Load()
	return w&settlement == underWay && r.word.CompareAndSwap(w, w|how)
}

// settled is how the request was settled.
func (r *request) settled() uint64 { return r.word.Load() & settlement }

// outcome is the error with which a request was answered.
func (r *request) outcome() error {
	if r.cmd != nil {
		return r.cmd.Err()
	}
	return r.err
}

// answer settles the request with its outcome. The caller may use it for
// something else as soon as it has the answer.
func (r *request) answer(b *breaker) {
	err := r.outcome()
	if r.settle(answered) {
		b.report(err)
		r.done <- struct{}{}
		return
	}
	if r.settled() == abandoned {
		// Its caller has reported nothing. Were that left out, a server that is
		// silent would not be noticed by callers who never wait for long.
		b.report(err)
	}
	if r.late != nil {
		r.late(r.cmd)
	}
}

// expire settles the request if its time is up by now.
func (r *request) expire(now time.Duration) bool {
	w := r.word.Load()
	if w&settlement != underWay || time.Duration(r.deadline.Load()) > now {
		return false
	}
	if !r.word.CompareAndSwap(w, w|expired) {
		return false
	}
	r.done <- struct{}{}
	return true
}

func (r *request) close() {
	if r.settle(closed) {
		r.done <- struct{}{}
	}
}
