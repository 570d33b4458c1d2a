package linear_test

import (
	"testing"

	"github.com/anishathalye/porcupine"
)

// step is an operation of a history that was written by hand.
type step struct {
	begin, end int64
	op         any
	saw        answer
}

func stores(begin, end int64, version int) step {
	return step{begin: begin, end: end, op: write{stored(version), present, "write"}}
}

func clears(begin, end int64, version int) step {
	return step{begin: begin, end: end, op: write{cleared(version), nothing, "clear"}}
}

func removes(begin, end int64, version int) step {
	return step{begin: begin, end: end, op: write{stored(version), absent, "remove"}}
}

func sees(begin, end int64, version int) step {
	return step{begin: begin, end: end, op: read{"read"}, saw: answer{rank: stored(version), content: present}}
}

func loads(begin, end int64, version int) step {
	s := sees(begin, end, version)
	s.saw.ahead = true
	return s
}

func misses(begin, end int64, c content) step {
	return step{begin: begin, end: end, op: read{"read"}, saw: answer{content: c}}
}

// The checker tells histories that break the promises from those that keep
// them. It would prove nothing otherwise.
func TestCheckerCanFail(t *testing.T) {
	const never = openEnd
	first := register{stored(1), present}
	tests := []struct {
		name  string
		steps []step
		want  porcupine.CheckResult
	}{
		{"a read sees the write before it", []step{stores(1, 2, 2), sees(3, 4, 2)}, porcupine.Ok},
		{"a read sees what was before the write", []step{stores(1, 2, 2), sees(3, 4, 1)}, porcupine.Illegal},
		{"a read beside a write sees either", []step{stores(1, 10, 2), sees(2, 3, 1), sees(4, 5, 2)}, porcupine.Ok},
		{"the version goes back beside a write", []step{stores(1, 10, 2), sees(2, 3, 2), sees(4, 5, 1)}, porcupine.Illegal},
		{"two reads at once disagree", []step{stores(1, 10, 2), sees(2, 5, 2), sees(3, 6, 1)}, porcupine.Ok},
		{"a read sees what nobody wrote", []step{stores(1, 2, 2), sees(3, 4, 3)}, porcupine.Illegal},
		{"a read sees what is written later", []step{sees(1, 2, 2), stores(3, 4, 2)}, porcupine.Illegal},

		{"a write that failed takes effect late", []step{stores(1, never, 2), sees(3, 4, 1), sees(5, 6, 2)}, porcupine.Ok},
		{"a write that failed takes effect never", []step{stores(1, never, 2), sees(3, 4, 1)}, porcupine.Ok},
		{"a write that failed is taken back", []step{stores(1, never, 2), sees(3, 4, 2), sees(5, 6, 1)}, porcupine.Illegal},
		{"a write that failed overtakes the next", []step{stores(1, never, 2), stores(3, 4, 3), sees(5, 6, 2)}, porcupine.Illegal},
		{"a write that failed was seen before it began", []step{sees(1, 2, 2), stores(3, never, 2)}, porcupine.Illegal},

		{"a removal is seen", []step{removes(1, 2, 2), misses(3, 4, absent)}, porcupine.Ok},
		{"a removed value is seen", []step{removes(1, 2, 2), sees(3, 4, 1)}, porcupine.Illegal},
		{"an absence outlives the next value", []step{removes(1, 2, 2), stores(3, 4, 3), misses(5, 6, absent)}, porcupine.Illegal},

		{"a cleared key is empty", []step{clears(1, 2, 2), misses(3, 4, nothing)}, porcupine.Ok},
		{"a stored value is not there", []step{stores(1, 2, 2), misses(3, 4, nothing)}, porcupine.Illegal},
		{"a Set in two steps is empty in between", []step{clears(1, 8, 2), stores(1, 8, 2), misses(2, 3, nothing), sees(4, 5, 2)}, porcupine.Ok},
		{"a Set in two steps is empty afterwards", []step{clears(1, 8, 2), stores(1, 8, 2), sees(2, 3, 2), misses(4, 5, nothing)}, porcupine.Illegal},

		{"the origin is ahead of the tiers", []step{stores(1, 10, 2), loads(2, 3, 2), sees(4, 5, 1)}, porcupine.Ok},
		{"the origin is behind the tiers", []step{stores(1, 2, 2), loads(3, 4, 1)}, porcupine.Illegal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var h history
			h.clock.Store(100)
			for i, s := range tt.steps {
				h.note(i, s.op, s.saw, s.begin, s.end)
			}
			if got := h.verdict(first); got != tt.want {
				t.Errorf("the checker says %s, want %s", got, tt.want)
			}
		})
	}
}
