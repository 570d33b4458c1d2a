package linear_test

import (
	"fmt"
	"strings"

	"github.com/anishathalye/porcupine"
)

// content is what a key has.
type content uint8

const (
	nothing content = iota // it is in no tier
	present                // a value
	absent                 // the knowledge that the origin has no such thing
)

// register is the state of a key. Each version has two ranks: that of its
// predecessor's removal and, above it, that of its own appearance. So a version
// that is cleared and then stored is two writes of which neither can undo the
// other when they are tried in the wrong order.
type register struct {
	rank    int
	content content
}

func cleared(version int) int { return 2 * version }
func stored(version int) int  { return 2*version + 1 }

// write is the input of an operation that changes the register.
type write struct {
	rank    int
	content content
	how     string
}

// read is the input of one that does not.
type read struct{ how string }

// answer is the output of a read. Its rank counts for a value only.
type answer struct {
	rank    int
	content content
	ahead   bool   // may be newer than what the tiers have: the origin was asked
	source  string // where it came from, for the picture
	silent  bool   // says nothing: the key was in no tier, or could not be read
}

// model is the sequential specification: a register that knows the order of its
// writes, so that an old one which takes effect late changes nothing.
func model(initial register) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return initial },
		Step: func(s, input, output any) (bool, any) {
			reg := s.(register)
			switch in := input.(type) {
			case write:
				if in.rank > reg.rank {
					reg = register{in.rank, in.content}
				}
				return true, reg
			default:
				return explains(reg, output.(answer)), reg
			}
		},
		DescribeOperation: func(input, output any) string {
			if w, ok := input.(write); ok {
				return fmt.Sprintf("%s → %s", w.how, describe(register{w.rank, w.content}))
			}
			return fmt.Sprintf("%s: %s", input.(read).how, output)
		},
		DescribeState: func(s any) string { return describe(s.(register)) },
	}
}

// explains reports whether a read may get this answer from the register.
func explains(reg register, a answer) bool {
	switch {
	case a.silent:
		return true
	case a.content != present:
		return a.ahead || a.content == reg.content
	case a.ahead:
		return a.rank >= reg.rank
	default:
		return reg.content == present && a.rank == reg.rank
	}
}

func describe(r register) string {
	switch r.content {
	case present:
		return fmt.Sprintf("v%d", r.rank/2)
	case absent:
		return fmt.Sprintf("v%d: no such thing", r.rank/2)
	default:
		return "nothing"
	}
}

func (a answer) String() string {
	if a.silent {
		return "?"
	}
	s := describe(register{a.rank, a.content})
	return strings.TrimSpace(s + " " + a.source)
}
