package wire

import "golang.org/x/sys/unix"

// Now is the time on the machine's monotonic clock, in ns since some moment at
// boot: the same in all processes, never set, and running on while a process
// is stopped. Go's own readings of that clock (time.Now, by which the library
// judges ages) cannot be compared between processes.
func Now() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // fails only for a clock that does not exist
	return t.Nano()
}
