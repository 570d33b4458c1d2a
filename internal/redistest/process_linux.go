package redistest

import (
	"fmt"
	"os"
	"syscall"
)

// dieWithParent makes the kernel kill the child when the thread that started
// it ends, which covers every end of the test binary, SIGKILL included. The
// thread, not the process, is what counts, so the caller must keep the thread:
// see [process.run].
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// reservePort takes a free loopback port and keeps it until release, without
// listening on it. On Linux a bound socket that does not listen makes the
// kernel hand the port to nobody who asks for any, neither for listening nor
// as the source of an outgoing connection, yet lets whoever names it (here
// redis-server) listen on it, as both sides set SO_REUSEADDR. So a killed
// server's port is still its own when it comes back.
func reservePort() (port int, release func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, os.NewSyscallError("socket", err)
	}
	fail := func(call string, err error) (int, func(), error) {
		_ = syscall.Close(fd)
		return 0, nil, os.NewSyscallError(call, err)
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return fail("setsockopt", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return fail("bind", err)
	}
	addr, err := syscall.Getsockname(fd)
	if err != nil {
		return fail("getsockname", err)
	}
	in4, ok := addr.(*syscall.SockaddrInet4)
	if !ok {
		return fail("getsockname", fmt.Errorf("unexpected address %T", addr))
	}
	return in4.Port, func() { _ = syscall.Close(fd) }, nil
}
