package l1

import (
	"math"
	"sync/atomic"
	"time"
)

// Something may be to be done for an entry before its life is over: to load its
// value anew, to keep the value elsewhere from being forgotten. When is in due.
// A hit compares the clock with that alone, which is earlier than all that time
// can mean for the entry, or equal: its end, too.

// touches is into how many parts the time is divided after which an entry is
// forgotten that nobody reads: so often, at most, it is due because it is read.
const touches = 4

// KeepWhileRead makes the entries of the region due when a quarter of d has
// passed, and end when nobody has attended to them for d since: an entry that
// nobody reads ends between d and 1.25 d after it was read for the last time.
// (Negative entries only end.) It must be called before the first Put.
func (r *Region) KeepWhileRead(d time.Duration) { r.idle = int64(d) }

// firstDue is when an entry is due that is put now. One that is lapsed always is: a
// read that began just before it was put would find it alive. One that slides is
// not due before now for its RefreshAt: it would count as unread since then.
func (e *Entry) firstDue(now int64) int64 {
	if e.Lapsed {
		return math.MinInt64
	}
	due := e.Expires
	if e.slides() {
		due = min(due, now+e.Region.idle/touches)
	}
	switch {
	case e.RefreshAt <= 0:
	case e.slides():
		due = min(due, max(e.RefreshAt, now))
	default:
		due = min(due, e.RefreshAt)
	}
	return due
}

func (e *Entry) slides() bool { return e.Region.idle > 0 && !e.Negative }

// alive reports whether an entry that is due may be served. It is apart from the
// hit because it reads a second cache line.
//
// Whoever attends to an entry moves due on. So one that has been due for long was
// not read for that long.
func (e *Entry) alive(now int64) bool {
	return !e.Lapsed && now < e.Expires && (!e.slides() || now < atomic.LoadInt64(&e.due)+e.Region.idle)
}

// Alive reports whether an entry that was found may be served as one whose life
// is not over.
func (e *Entry) Alive(now int64) bool { return now < atomic.LoadInt64(&e.due) || e.alive(now) }

// Unread is when an entry ended, or will end, because nobody has read it for too
// long; false: it ends at Expires.
func (e *Entry) Unread() (at int64, ok bool) {
	if !e.slides() || e.Lapsed {
		return 0, false
	}
	at = atomic.LoadInt64(&e.due) + e.Region.idle
	return at, at < e.Expires
}

// IsDue reports whether something is to be done for the entry. Whoever does it
// calls Attend first.
func (e *Entry) IsDue(now int64) bool { return now >= atomic.LoadInt64(&e.due) }

// Attend moves the time at which the entry is due to next. It reports false if it
// was not due, or another has been quicker: of several who find an entry due at
// once one attends to it.
func (e *Entry) Attend(now, next int64) bool {
	due := atomic.LoadInt64(&e.due)
	return now >= due && atomic.CompareAndSwapInt64(&e.due, due, min(next, e.Expires))
}
