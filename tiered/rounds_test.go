package tiered

import (
	"fmt"
	"testing"
)

// Rounds are of at most so many keys, and of so many bytes unless one value alone
// has more; together they are all keys, in order.
func TestRounds(t *testing.T) {
	sizes := func(bytes ...int) func(int) int { return func(i int) int { return bytes[i%len(bytes)] } }
	tests := []struct {
		name string
		n    int
		size func(int) int
		want string
	}{
		{"none", 0, nil, "[]"},
		{"one", 1, nil, "[1]"},
		{"just one round", roundKeys, nil, "[1024]"},
		{"one more", roundKeys + 1, nil, "[1024 1]"},
		{"several", 3*roundKeys - 1, sizes(10), "[1024 1024 1023]"},
		{"large values", 5, sizes(roundBytes / 2), "[2 2 1]"},
		{"values that are too large", 3, sizes(roundBytes + 1), "[1 1 1]"},
		{"a value that is too large among others", 4, sizes(1, 1, roundBytes+1, 1), "[2 1 1]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			next, rounds := 0, []int{}
			inRounds(tt.n, roundKeys, tt.size, func(from, to int) {
				if from != next {
					t.Errorf("a round begins at %d, want %d", from, next)
				}
				next = to
				rounds = append(rounds, to-from)
			})
			if got := fmt.Sprint(rounds); got != tt.want || next != tt.n {
				t.Errorf("rounds of %s keys up to %d, want %s", got, next, tt.want)
			}
		})
	}
}
