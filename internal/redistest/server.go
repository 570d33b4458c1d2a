package redistest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Server is a redis-server process on a loopback port. Its methods are safe
// for concurrent use and may be called from any goroutine while the test runs;
// a problem is reported as an error of the test, and the server is down then.
type Server struct {
	report  func(format string, args ...any)
	path    string
	dir     string
	args    []string
	port    int
	release func() // gives the port back
	log     *serverLog

	mu      sync.Mutex
	proc    *process // nil: down
	stopped bool     // for good
}

// Start runs a redis-server for the test and returns when it answers. args are
// further arguments of redis-server ("--maxmemory", "10mb"), of which the first
// may be the path of a configuration file; they win over the defaults, which are: loopback only, no persistence, a temporary directory.
// The server is stopped in tb.Cleanup, and its log is printed if the test
// failed. Without a redis-server on the machine see [Require].
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	Require(tb)
	s, err := newServer(tb.TempDir(), args)
	if err != nil {
		tb.Fatalf("redistest: %v", err)
	}
	s.report = tb.Errorf
	tb.Cleanup(func() {
		s.close()
		if tb.Failed() {
			tb.Logf("log of redis-server at %s:\n%s", s.Addr(), s.log)
		}
	})
	return s
}

// startAttempts bounds the search for a free port.
const startAttempts = 10

func newServer(dir string, args []string) (*Server, error) {
	path, err := executable()
	if err != nil {
		return nil, err
	}
	for range startAttempts {
		port, release, err := reservePort()
		if err != nil {
			return nil, fmt.Errorf("no port for redis-server: %w", err)
		}
		log := new(serverLog)
		p, err := launch(path, dir, port, log, args)
		switch {
		case err == nil:
			return &Server{path: path, dir: dir, args: args, port: port, release: release, log: log, proc: p}, nil
		case errors.Is(err, errPortTaken):
			release()
		default:
			release()
			return nil, fmt.Errorf("%w; its log:\n%s", err, log)
		}
	}
	return nil, fmt.Errorf("found no free port for redis-server in %d attempts", startAttempts)
}

// Addr returns the server's "host:port". It stays the same over [Server.Restart].
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Port returns the server's TCP port.
func (s *Server) Port() int { return s.port }

// Log returns what the server has written to its log, over all restarts.
func (s *Server) Log() string { return s.log.String() }

// Client returns a client of the server, closed in tb.Cleanup. See [NewClient]
// for its settings.
func (s *Server) Client(tb testing.TB, opts ...func(*redis.Options)) *redis.Client {
	return NewClient(tb, s.Addr(), opts...)
}

// Kill ends the server as a crash does (SIGKILL) and returns when it is gone.
// A server that is down stays down.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end((*process).kill)
}

// Restart brings the server up on the same port with an empty data set and a
// new run id, and returns when it answers. A running one is killed first. The
// data set is not empty if the arguments of [Start] asked for persistence.
func (s *Server) Restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end((*process).kill)
	if s.stopped {
		s.report("redistest: Restart of the redis-server at %s after its test", s.Addr())
		return
	}
	// Where the port could not be reserved somebody may hold it for a moment.
	var err error
	for range startAttempts {
		if s.proc, err = launch(s.path, s.dir, s.port, s.log, s.args); !errors.Is(err, errPortTaken) {
			break
		}
	}
	if err != nil {
		s.proc = nil
		s.report("redistest: restart of redis-server at %s: %v", s.Addr(), err)
	}
}

// Pause freezes the server (SIGSTOP): the kernel still accepts connections and
// bytes for it, and nothing is answered, as with a machine that hangs.
func (s *Server) Pause() { s.signal("pause", freeze) }

// Resume lets a paused server go on (SIGCONT). It then carries out all that
// arrived meanwhile.
func (s *Server) Resume() { s.signal("resume", thaw) }

// Stop ends the server in an orderly way (SIGTERM). It is idempotent, and
// [Server.Restart] brings the server back until the test ends.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end((*process).stop)
}

// close ends the server for good and gives up its port. It has nothing to save,
// and an orderly stop would take Redis 100 ms.
func (s *Server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end((*process).kill)
	if !s.stopped {
		s.stopped = true
		s.release()
	}
}

// end is called with s.mu held.
func (s *Server) end(how func(*process)) {
	if s.proc != nil {
		how(s.proc)
		s.proc = nil
	}
}

func (s *Server) signal(name string, send func(*os.Process) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		s.report("redistest: %s: the redis-server at %s is down", name, s.Addr())
		return
	}
	if err := send(s.proc.os); err != nil {
		s.report("redistest: %s the redis-server at %s: %v", name, s.Addr(), err)
	}
}
