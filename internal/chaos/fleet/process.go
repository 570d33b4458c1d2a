package fleet

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// process is one life of an instance.
type process struct {
	os   *os.Process
	done chan struct{} // closed when it has ended
	err  error         // how, then
}

// launch starts this very program in the role of an instance.
func launch(s *wire.Settings, output io.Writer) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	settings, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program) //nolint:noctx // it is ended by signals, which may come late on purpose
	cmd.Env = append(os.Environ(), wire.Env+"="+string(settings))
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = dieWithParent()
	p := &process{done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(cmd, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("fleet: start instance %d: %w", s.ID.Instance, err)
	}
	return p, nil
}

// run keeps its thread: a child dies with the thread that started it.
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
		p.err = cmd.Wait()
	}
}

func (p *process) kill() {
	_ = p.os.Kill()
	<-p.done
}

func (p *process) signal(s syscall.Signal) error { return p.os.Signal(s) }
