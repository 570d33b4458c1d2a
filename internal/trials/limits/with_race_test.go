//go:build race

package limits_test

// distinctKeys is how many keys TestMillionKeysAllocInBounds reads: the race
// detector makes each of them ten times as slow.
const distinctKeys = 60_000
