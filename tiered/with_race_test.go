//go:build race

package tiered_test

// raceEnabled: the race detector allocates on its own account.
const raceEnabled = true
