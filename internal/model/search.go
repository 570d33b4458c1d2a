package model

import (
	"hash/maphash"
	"time"
)

// Options limit a search.
type Options struct {
	Rules     Rules
	MaxStates int                     // give up after so many; 0: never
	Progress  func(states, depth int) // called now and then; may be nil
}

// Result is what a search found.
type Result struct {
	States   int // different ones
	Steps    int // between them
	Depth    int // of the shortest way to the farthest state
	Took     time.Duration
	Complete bool     // all states were looked at, or something is broken
	Broken   Property // Holds if nothing is
	Trace    Trace    // a shortest way to what is broken
}

// node is how a state was first reached: by which of the steps from which
// other.
type node struct {
	parent uint32
	choice uint16
}

// fingerprint stands for a state that was seen: 128 bits, so that two of a
// billion states have the same with a probability of one in 10^20.
type fingerprint [2]uint64

type search struct {
	g     *generator
	seeds [2]maphash.Seed
	seen  map[fingerprint]struct{}
	nodes []node
	stack []reached
	next  []block
	free  []block // to be used again: states are large, and fresh memory is dear
}

// reached is a state whose steps were not looked at yet.
type reached struct {
	state State
	node  uint32
}

// block is a part of a level.
type block []reached

const blockSize = 1 << 10

// later puts a state into the next level.
//
//go:norace
func (s *search) later(r reached) {
	last := len(s.next) - 1
	if last < 0 || len(s.next[last]) == blockSize {
		if n := len(s.free); n > 0 {
			s.next, s.free = append(s.next, s.free[n-1]), s.free[:n-1]
		} else {
			s.next = append(s.next, make(block, 0, blockSize))
		}
		last++
	}
	s.next[last] = append(s.next[last], r)
}

// Check explores all states of a scenario, breadth first.
//
//go:norace
func (sc *Scenario) Check(o Options) Result {
	start := time.Now()
	s := &search{
		g:     &generator{Scenario: sc, rules: o.Rules},
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		seen:  make(map[fingerprint]struct{}),
	}
	r := s.run(o)
	r.States = len(s.seen)
	r.Took = time.Since(start)
	return r
}

//go:norace
func (s *search) run(o Options) (r Result) {
	first := s.g.initial()
	s.visit(&first)
	s.nodes = append(s.nodes, node{})
	s.later(reached{state: first})
	for r.Depth = 0; len(s.next) > 0; r.Depth++ {
		level := s.next
		s.next = nil
		for _, b := range level {
			for k := range b {
				if s.expand(&b[k], &r) {
					return r
				}
				if o.MaxStates > 0 && len(s.seen) > o.MaxStates {
					return r
				}
			}
			s.free = append(s.free, b[:0])
			if o.Progress != nil {
				o.Progress(len(s.seen), r.Depth)
			}
		}
	}
	r.Depth--
	r.Complete = true
	return r
}

// expand looks at the steps from a state, and reports whether one breaks
// something. States in which somebody hurries are left at once.
//
//go:norace
func (s *search) expand(from *reached, r *Result) (broken bool) {
	stack := s.stack[:0]
	stack = append(stack, *from)
	for len(stack) > 0 {
		w := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		steps := s.g.successors(&w.state)
		for c := range steps {
			st := &steps[c]
			r.Steps++
			at := node{w.node, uint16(c)} //nolint:gosec // a state has some dozens of steps
			if st.Broken != Holds {
				r.Broken, r.Complete = st.Broken, true
				r.Trace = s.trace(at)
				return true
			}
			hurried := s.g.hurried(&st.State)
			if !hurried && !s.visit(&st.State) {
				continue
			}
			s.nodes = append(s.nodes, at)
			to := reached{st.State, uint32(len(s.nodes) - 1)} //nolint:gosec // bounded by memory
			if hurried {
				stack = append(stack, to)
			} else {
				s.later(to)
			}
		}
	}
	s.stack = stack
	return false
}

// visit reports whether a state is new.
//
//go:norace
func (s *search) visit(st *State) bool {
	f := fingerprint{maphash.Comparable(s.seeds[0], *st), maphash.Comparable(s.seeds[1], *st)}
	if _, known := s.seen[f]; known {
		return false
	}
	s.seen[f] = struct{}{}
	return true
}

// trace goes the way to a state again.
//
//go:norace
func (s *search) trace(at node) Trace {
	choices := []uint16{at.choice}
	for k := at.parent; k != 0; k = s.nodes[k].parent {
		choices = append(choices, s.nodes[k].choice)
	}
	st := s.g.initial()
	t := Trace{scenario: s.g.Scenario, steps: []step{{State: st}}}
	for k := len(choices) - 1; k >= 0; k-- {
		next := s.g.successors(&st)[choices[k]]
		t.steps = append(t.steps, next)
		st = next.State
	}
	return t
}
