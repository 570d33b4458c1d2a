package fleet

import (
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
)

// Outside stands in for a testing.TB in a program, for packages that start
// servers for tests. Close what it has with Close.
type Outside struct {
	testing.TB // nil: what is not defined here must not be called

	out io.Writer

	mu       sync.Mutex
	cleanups []func()
	failed   bool
}

// NewOutside returns one that writes its complaints to out.
func NewOutside(out io.Writer) *Outside { return &Outside{out: out} }

// Fatal is the panic by which Fatalf leaves the function that called it.
type Fatal string

func (f Fatal) Error() string { return string(f) }

// Helper does nothing.
func (o *Outside) Helper() {}

// Name is a name.
func (o *Outside) Name() string { return "chaos" }

// Cleanup has f called by Close.
func (o *Outside) Cleanup(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cleanups = append(o.cleanups, f)
}

// Close calls what Cleanup was given, the last first.
func (o *Outside) Close() {
	for {
		o.mu.Lock()
		n := len(o.cleanups)
		if n == 0 {
			o.mu.Unlock()
			return
		}
		f := o.cleanups[n-1]
		o.cleanups = o.cleanups[:n-1]
		o.mu.Unlock()
		f()
	}
}

// TempDir makes a directory that Close removes.
func (o *Outside) TempDir() string {
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		o.Fatalf("%v", err)
	}
	o.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Logf writes a line.
func (o *Outside) Logf(format string, args ...any) { fmt.Fprintf(o.out, format+"\n", args...) }

// Errorf writes a line, and makes Failed true.
func (o *Outside) Errorf(format string, args ...any) {
	o.mu.Lock()
	o.failed = true
	o.mu.Unlock()
	o.Logf(format, args...)
}

// Fatalf ends the caller with a panic of type Fatal.
func (o *Outside) Fatalf(format string, args ...any) {
	panic(Fatal(fmt.Sprintf(format, args...))) //nolint:forbidigo // as testing.TB does, it does not return
}

// Fatal is Fatalf with the arguments as they are.
func (o *Outside) Fatal(args ...any) { o.Fatalf("%s", fmt.Sprint(args...)) }

// Skip is Fatal: a run without what it needs is no run.
func (o *Outside) Skip(args ...any) { o.Fatal(args...) }

// Failed reports whether there was an Errorf.
func (o *Outside) Failed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed
}
