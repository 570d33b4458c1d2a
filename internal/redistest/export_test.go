package redistest

// LeftOut returns how many tests Require has skipped.
func LeftOut() int64 { return leftOut.Load() }

// Forget takes n of them back.
func Forget(n int64) { leftOut.Add(-n) }
