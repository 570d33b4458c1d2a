package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/load"
)

// Progress writes a line for each second of a run. It is for one goroutine.
type Progress struct {
	w     io.Writer
	style Style
	last  load.Tick // at the beginning of the line
}

// NewProgress returns a Progress for targets with these names.
func NewProgress(w io.Writer, style Style, names ...string) *Progress {
	p := &Progress{w: w, style: style}
	p.last.Targets = make([]load.Moment, len(names))
	head := strings.Repeat(" ", 6)
	for _, name := range names {
		head += "   " + right(name, targetWidth)
	}
	fmt.Fprintln(w, style.paint(bold, head))
	head = right("time", 6)
	for range names {
		head += "   " + right("req/s", 6) + right("L1 hits", 9) + right("too old", 9)
	}
	fmt.Fprintln(w, style.paint(faint, head+"   network to Redis"))
	return p
}

// targetWidth is the room for one target.
const targetWidth = 6 + 9 + 9

// Tick takes what has happened. On a terminal it shows it at once, otherwise
// when a second is full.
func (p *Progress) Tick(t load.Tick) {
	full := t.Elapsed/time.Second > p.last.Elapsed/time.Second
	if !full && !p.style.Live {
		return
	}
	second := t.Elapsed/time.Second + 1 // the one that is being filled
	if full {
		second--
	}
	line := p.line(t, int(second))
	if p.style.Live {
		line = "\r" + line
	} else {
		line = strings.TrimRight(line, " ")
	}
	if full {
		line += "\n"
		p.last = t
	}
	fmt.Fprint(p.w, line)
}

// Done ends a line that was not full.
func (p *Progress) Done() {
	if p.style.Live {
		fmt.Fprint(p.w, "\r"+strings.Repeat(" ", width)+"\r")
	}
}

func (p *Progress) line(t load.Tick, second int) string {
	line := right(fmt.Sprintf("%d s", second), 6)
	since := max(t.Elapsed-p.last.Elapsed, time.Millisecond)
	for i, now := range t.Targets {
		before := p.last.Targets[i]
		rate := float64(now.Requests-before.Requests) / since.Seconds()
		hits, misses := now.Counts.L1Hits-before.Counts.L1Hits, now.Counts.L1Misses-before.Counts.L1Misses
		tooOld, t := now.TooOld-before.TooOld, good
		if tooOld > 0 {
			t = bad
		}
		line += "   " + right(count(uint64(rate+0.5)), 6) + right(ratio(hits, misses), 9) + p.style.paint(t, right(count(tooOld), 9))
	}
	fault := faint
	if t.Phase.Fault != load.None {
		fault = amber
	}
	return line + "   " + p.style.paint(fault, left(t.Phase.String(), width-6-len(t.Targets)*(targetWidth+3)-3))
}
