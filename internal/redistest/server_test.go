package redistest_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
)

func runID(t *testing.T, c *redis.Client) string {
	t.Helper()
	info, err := c.InfoMap(ctx, "server").Result()
	must(t, err)
	return info["Server"]["run_id"]
}

func TestStartTakesArguments(t *testing.T) {
	s := redistest.Start(t, "--maxmemory", "10mb")
	got := s.Client(t).ConfigGet(ctx, "*").Val()
	for key, want := range map[string]string{
		"maxmemory": "10485760", "save": "", "appendonly": "no", "bind": "127.0.0.1",
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
}

func TestRestartIsEmptyAndAnotherRun(t *testing.T) {
	for name, end := range map[string]func(*redistest.Server){
		"running": func(*redistest.Server) {},
		"killed":  (*redistest.Server).Kill,
		"stopped": (*redistest.Server).Stop,
		"paused":  (*redistest.Server).Pause,
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			c := s.Client(t, func(o *redis.Options) { o.MaxRetries = 3 })
			must(t, c.Set(ctx, "k", "v", 0).Err())
			addr, run := s.Addr(), runID(t, c)
			end(s)
			s.Restart()
			c = s.Client(t)
			if n := c.DBSize(ctx).Val(); n != 0 {
				t.Errorf("%d keys", n)
			}
			if s.Addr() != addr {
				t.Errorf("moved from %s to %s", addr, s.Addr())
			}
			if now := runID(t, c); now == run {
				t.Error("the same run id")
			}
		})
	}
}

func TestKillAndStopEndIt(t *testing.T) {
	for name, end := range map[string]func(*redistest.Server){
		"kill": (*redistest.Server).Kill, "stop": (*redistest.Server).Stop,
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			end(s)
			end(s)
			if c, err := net.Dial("tcp", s.Addr()); err == nil {
				c.Close()
				t.Error("somebody listens")
			}
		})
	}
}

func TestPauseAndResume(t *testing.T) {
	s := redistest.Start(t)
	c := s.Client(t, short)
	must(t, c.Ping(ctx).Err())
	s.Pause()
	wantTimeout(t, c.Set(ctx, "k", "v", 0).Err())
	s.Resume()
	// It takes up what came while it was paused.
	eventually(t, "the command is executed", func() bool { return s.Client(t).Get(ctx, "k").Val() == "v" })
}

func TestManyAtOnce(t *testing.T) {
	redistest.Require(t)
	var wg sync.WaitGroup
	addrs := make(chan string, 8)
	for range cap(addrs) {
		wg.Go(func() {
			s := redistest.Start(t)
			s.Kill()
			s.Restart()
			addrs <- s.Addr()
		})
	}
	wg.Wait()
	close(addrs)
	seen := map[string]bool{}
	for a := range addrs {
		seen[a] = true
	}
	if len(seen) != cap(addrs) {
		t.Errorf("%d different addresses", len(seen))
	}
}

func TestLogIsKept(t *testing.T) {
	s := redistest.Start(t)
	s.Restart()
	if n := strings.Count(s.Log(), "Ready to accept connections"); n != 2 {
		t.Errorf("%d starts in\n%s", n, s.Log())
	}
}

// record is a testing.TB that notes how it was ended.
type record struct {
	testing.TB
	fatal, skip string
}

func (r *record) Helper()           {}
func (r *record) Fatal(args ...any) { r.fatal = args[0].(string); runtime.Goexit() }
func (r *record) Skip(args ...any)  { r.skip = args[0].(string); runtime.Goexit() }

func TestRequire(t *testing.T) {
	for _, tc := range []struct {
		name, server, ci, require string
		fatal, skip               string
	}{
		{"there", os.Args[0], "true", "1", "", ""},
		{"missing on a laptop", "no-such-server", "", "", "", "left out"},
		{"missing, said not to matter", "no-such-server", "false", "0", "", "left out"},
		{"missing in CI", "no-such-server", "true", "", "install it", ""},
		{"missing though required", "no-such-server", "", "1", "install it", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("DOPPIO_REDIS_SERVER", tc.server)
			t.Setenv("CI", tc.ci)
			t.Setenv("DOPPIO_REQUIRE_REDIS", tc.require)
			before := redistest.LeftOut()
			r := &record{TB: t}
			done := make(chan struct{})
			go func() { defer close(done); redistest.Require(r) }()
			<-done
			if r.fatal == "" != (tc.fatal == "") || !strings.Contains(r.fatal, tc.fatal) {
				t.Errorf("fatal: %q", r.fatal)
			}
			if r.skip == "" != (tc.skip == "") || !strings.Contains(r.skip, tc.skip) {
				t.Errorf("skip: %q", r.skip)
			}
			counted := redistest.LeftOut() - before
			if (counted == 1) != (tc.skip != "") {
				t.Errorf("%d counted as left out", counted)
			}
			redistest.Forget(counted)
		})
	}
}

func TestMainSaysHowManyWereLeftOut(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^(TestLogIsKept|TestPauseAndResume)$")
	cmd.Env = append(os.Environ(), "DOPPIO_REDIS_SERVER=no-such-server", "CI=", "DOPPIO_REQUIRE_REDIS=")
	out, err := cmd.CombinedOutput()
	if want := "left out for want of a redis-server: 2 "; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%v, %q not in:\n%s", err, want, out)
	}
	cmd = exec.Command(os.Args[0], "-test.run=^TestCommandMatchers$")
	if out, _ := cmd.CombinedOutput(); strings.Contains(string(out), "left out") {
		t.Errorf("nothing was left out:\n%s", out)
	}
}

func TestMainFindsLeaks(t *testing.T) {
	if os.Getenv("REDISTEST_CHILD") != "" {
		go func() { select {} }()
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestMainFindsLeaks$")
	cmd.Env = append(os.Environ(), "REDISTEST_CHILD=1")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "TestMainFindsLeaks") {
		t.Errorf("%v, output:\n%s", err, out)
	}
}

// TestServerDiesWithTheTestBinary kills a test binary, this one run again, that
// has a server.
func TestServerDiesWithTheTestBinary(t *testing.T) {
	if os.Getenv("REDISTEST_CHILD") != "" {
		s := redistest.Start(t)
		fmt.Println("addr " + s.Addr()) // to the parent, which reads it
		select {}
	}
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can do that")
	}
	redistest.Require(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithTheTestBinary$")
	cmd.Env = append(os.Environ(), "REDISTEST_CHILD=1", "TMPDIR="+t.TempDir()) // it cannot tidy up
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var addr string
	for sc := bufio.NewScanner(out); addr == "" && sc.Scan(); {
		addr, _ = strings.CutPrefix(sc.Text(), "addr ")
	}
	c, err := net.DialTimeout("tcp", addr, time.Second)
	must(t, err)
	c.Close()
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	eventually(t, "the server is gone", func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
}
