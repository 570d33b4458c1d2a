//go:build !linux

package fleet

import "syscall"

// dieWithParent: elsewhere an instance ends when its socket does, or at the
// latest when it is no longer stopped.
func dieWithParent() *syscall.SysProcAttr { return nil }
