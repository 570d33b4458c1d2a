package wire_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

const clockEnv = "DOPPIO_CHAOS_CLOCK"

// TestMain can also be a process that tells the time, on both clocks, whenever
// it reads a byte.
func TestMain(m *testing.M) {
	if os.Getenv(clockEnv) == "" {
		os.Exit(m.Run())
	}
	base := time.Now()
	in := bufio.NewReader(os.Stdin)
	for {
		if _, err := in.ReadByte(); err != nil {
			return
		}
		fmt.Println(wire.Now(), int64(time.Since(base)))
	}
}

// The oracle compares times of several processes, and the library judges ages
// by Go's clock: both run on while a process is stopped, or a stopped instance
// would take old copies for young ones.
func TestClocksRunWhileAProcessIsStopped(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), clockEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	tell := func() (shared, own int64) {
		t.Helper()
		before := wire.Now()
		if _, err := io.WriteString(in, "."); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fscan(out, &shared, &own); err != nil {
			t.Fatal(err)
		}
		if shared < before || shared > wire.Now() {
			t.Errorf("the other process read %d between %d and %d here", shared, before, wire.Now())
		}
		return shared, own
	}
	shared1, own1 := tell()
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stopped := wire.Now()
	<-time.After(100 * time.Millisecond) // how long it is stopped
	length := wire.Now() - stopped
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	shared2, own2 := tell()
	if shared2-shared1 < length || own2-own1 < length {
		t.Errorf("stopped for %v; the shared clock went on by %v, Go's by %v", time.Duration(length),
			time.Duration(shared2-shared1), time.Duration(own2-own1))
	}
}
