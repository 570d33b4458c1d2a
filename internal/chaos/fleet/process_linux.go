package fleet

import "syscall"

// dieWithParent has the kernel kill the child, stopped or not, when the thread
// that started it ends.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
