package tiered

import "sync"

// landings counts the loads of a region that lives in L1 alone as they end. It is
// there for the rule that a value never goes back on one instance, which is the
// lease's to see to where Redis has the values.
//
// A Delete of this instance makes the next caller begin a flight of its own, and
// knows only when Redis has answered that it was counted. Its message may be here
// before, and a load begin in between, which is as good as any; it reads
// version 1 and is slow. After the answer a second load begins beside it, when
// version 2 has been committed, and its caller returns. Then the first one ends,
// and puts version 1 in the place of version 2, of which no number says that it is
// newer. The other way round, the one that ends last brings version 2, and cannot
// tell either.
//
// So only the first one to end, of loads that were under way together, keeps its
// value. The others void what is there, and their own callers load again. (One that
// has failed has brought nothing that was shown to anybody: it does not count, and
// voids nothing.)
type landings struct {
	mu    sync.Mutex
	loads map[uint64]*underWay // by hash of the key
}

// underWay are the loads of a key that are.
type underWay struct {
	loads int
	ended int // with a value, or an absence, since there was none under way
}

// takeOff begins a load. The func that it returns ends it, the first time that it is
// called, and reports whether no other that has brought something has ended since.
func (l *landings) takeOff(hash uint64) (land func(brought bool) (first bool)) {
	if l == nil {
		return func(bool) bool { return true }
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.loads[hash]
	if w == nil {
		w = new(underWay)
		l.loads[hash] = w
	}
	w.loads++
	before := w.ended
	var first, over bool
	return func(brought bool) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		if over {
			return first
		}
		first, over = w.ended == before, true
		if brought {
			w.ended++
		}
		if w.loads--; w.loads == 0 {
			delete(l.loads, hash)
		}
		return first
	}
}
