package l1

import (
	"runtime"
	"sync/atomic"
)

// guard lets Close wait until no call is inside Ristretto, whose Close closes
// channels that Get, Set and Wait send on, and lets nobody in afterwards.
type guard struct {
	closed atomic.Bool
	cells  []guardCell
}

// guardCell counts the calls inside that entered by this cell. It has two
// cache lines for itself because processors fetch lines in pairs.
type guardCell struct {
	inside atomic.Int64
	_      [120]byte
}

func newGuard() guard { return guard{cells: make([]guardCell, cellCount())} }

// enter returns the cell to leave by, or nil if the guard is closed.
//
// The count is raised before closed is looked at, and close sets closed before
// it looks at the counts. So either this call sees closed and turns back, or
// close sees this call and waits for it. With the two steps here the other way
// round: enter finds the guard open, close closes it and finds nobody inside,
// enter goes in, and Ristretto sends on a channel that is being closed.
//
// The look before that is so that calls which come after close do not keep it
// waiting by going in and turning back.
func (g *guard) enter() *guardCell {
	if g.closed.Load() {
		return nil
	}
	cell := &g.cells[cellIndex(len(g.cells))]
	cell.inside.Add(1)
	if g.closed.Load() {
		cell.leave()
		return nil
	}
	return cell
}

// leave ends what enter began. It must be the cell that enter returned: by now
// the goroutine's stack may have moved, and cellIndex with it.
func (cell *guardCell) leave() { cell.inside.Add(-1) }

// close lets nobody in any more and returns when all have left. Calls inside
// never block for longer than Ristretto takes to work off its queue.
func (g *guard) close() {
	g.closed.Store(true)
	for i := range g.cells {
		for g.cells[i].inside.Load() != 0 {
			runtime.Gosched()
		}
	}
}
