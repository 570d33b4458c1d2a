//go:build !race

package codec

// raceEnabled says whether the race detector is on.
const raceEnabled = false
