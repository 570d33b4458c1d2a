//go:build !race

package limits_test

const distinctKeys = 1_000_000
