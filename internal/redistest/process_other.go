//go:build !linux

package redistest

import (
	"net"
	"syscall"
)

// dieWithParent: only Linux can tie a child's life to ours. Elsewhere a test
// binary that is killed leaves its servers behind.
func dieWithParent() *syscall.SysProcAttr { return nil }

// reservePort finds a port that is free now. Another process may take it
// before redis-server does; the start is then tried again on another one.
func reservePort() (port int, release func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, nil, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, func() {}, nil
}
