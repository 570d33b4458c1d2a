//go:build !race

package l1_test

// raceEnabled says whether the race detector is on.
const raceEnabled = false
