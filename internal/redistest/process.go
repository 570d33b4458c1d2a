package redistest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// startTimeout bounds one start. It takes about 10 ms on an idle machine;
	// the rest is for machines that run many test binaries at once.
	startTimeout = 20 * time.Second
	// stopTimeout is how long an orderly stop may take before it is forced.
	stopTimeout = 5 * time.Second
)

var errPortTaken = errors.New("the port is taken")

// process is one run of redis-server.
type process struct {
	os   *os.Process
	log  *serverLog
	done chan struct{} // closed when the process has ended and is reaped
}

// launch runs redis-server on the port and returns when it accepts
// connections. The log line is what is waited for, not a connection: a
// connection would also succeed to whoever else had taken the port.
func launch(path, dir string, port int, log *serverLog, args []string) (*process, error) {
	var config []string // its path comes first
	if len(args) > 0 && !strings.HasPrefix(args[0], "--") {
		config, args = args[:1], args[1:]
	}
	cmd := exec.Command(path, slices.Concat(config, []string{
		"--bind", "127.0.0.1",
		"--port", strconv.Itoa(port),
		"--daemonize", "no",
		"--dir", dir,
		"--logfile", "",
		"--save", "",
		"--appendonly", "no",
	}, args)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = dieWithParent()
	// A grandchild that holds the log open must not keep Wait from returning.
	cmd.WaitDelay = time.Second

	ready := log.expect()
	p := &process{log: log, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(cmd, started)
	if err := <-started; err != nil {
		return nil, err
	}
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case <-ready:
	case <-p.done:
		if log.contains("Address already in use") {
			return nil, errPortTaken
		}
		return nil, errors.New("redis-server ended at once")
	case <-timer.C:
		p.kill()
		return nil, fmt.Errorf("redis-server was not ready after %v", startTimeout)
	}
	if err := ping(net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// run starts the command and waits for its end, all on one thread. The thread
// is kept because the child is killed when the thread that started it ends
// (see dieWithParent), and a thread ends early when some goroutine that had
// locked itself to it returns without unlocking.
func (p *process) run(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	err := cmd.Start()
	if err == nil {
		p.os = cmd.Process
	}
	started <- err
	if err == nil {
		_ = cmd.Wait() // how it ended is in the log
	}
}

// kill ends the process at once, also one that is frozen, and waits for that.
func (p *process) kill() {
	_ = p.os.Kill()
	<-p.done
}

// stop asks the process to end, and forces it if it does not.
func (p *process) stop() {
	_ = thaw(p.os)
	_ = interrupt(p.os)
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.kill()
	}
}

// ping returns nil once the server answers PING. A server with a password
// answers with an error, and that is an answer.
func ping(addr string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(deadline)
	}
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	var b [1]byte
	if _, err := c.Read(b[:]); err != nil {
		return fmt.Errorf("no answer to PING: %w", err)
	}
	return nil
}

// serverLog keeps what the servers of one port wrote, and notices when one is
// ready. The end of a long log is kept.
type serverLog struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	from  int // where the present run begins in buf
	ready chan struct{}
}

const serverLogMax = 1 << 20

// readyLines are what a server and a Sentinel say when they listen.
var readyLines = [][]byte{[]byte("Ready to accept connections"), []byte("Sentinel ID is")}

// expect returns a channel that is closed when the server that is about to
// start says that it is ready.
func (l *serverLog) expect() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.from = l.buf.Len()
	l.ready = make(chan struct{})
	return l.ready
}

func (l *serverLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if over := l.buf.Len() + len(b) - serverLogMax; over > 0 {
		l.from = max(0, l.from-len(l.buf.Next(over)))
	}
	l.buf.Write(b)
	for _, line := range readyLines {
		if l.ready != nil && bytes.Contains(l.buf.Bytes()[l.from:], line) {
			close(l.ready)
			l.ready = nil
		}
	}
	return len(b), nil
}

func (l *serverLog) contains(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.buf.Bytes()[l.from:], []byte(s))
}

func (l *serverLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(l.buf.String())
}
