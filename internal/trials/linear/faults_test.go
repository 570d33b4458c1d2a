package linear_test

import (
	"math/rand/v2"
	"sync"

	"github.com/doppio-cache/doppio/internal/redistest"
)

// always is a number of commands that no trial sends.
const always = 1 << 30

// data matches the commands of reads and writes, script those that may write.
var (
	data   = redistest.Command("EVALSHA", "EVAL", "MGET")
	script = redistest.Command("EVALSHA", "EVAL")
)

// flaky makes a proxy lose one reply in 15, cut off one command in 30, and drop
// one message in 3.
func flaky(p *redistest.Proxy) {
	p.DropReplyAfter(redistest.AllOf(data, oneIn(15)), always)
	p.CutBefore(redistest.AllOf(data, oneIn(30)), always)
	p.DropMessages(func(string, []byte) bool { return rand.N(3) == 0 })
}

func oneIn(n int) func([][]byte) bool {
	return func([][]byte) bool { return rand.N(n) == 0 }
}

// late are scripts that were caught on their way to Redis, by the key whose
// write they were caught at. Each runs when the next of its key is caught, several
// writes later.
type late struct {
	mu   sync.Mutex
	held map[string]*redistest.Held
	ran  int
}

func newLate() *late { return &late{held: make(map[string]*redistest.Held)} }

// struck reports whether any script has run late; also if none is to.
func (l *late) struck() bool {
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ran > 0
}

// strike catches a script at one write in six, whichever comes first: a step of
// the write, or of a read beside it. Its call fails when its time is up.
func (l *late) strike(m *member, key string) (end func()) {
	if rand.N(6) != 0 {
		return func() {}
	}
	h := m.proxy.Hold(script)
	return func() {
		select {
		case <-h.Caught():
		default:
			h.Release() // from now on it catches nothing
			return
		}
		l.mu.Lock()
		before := l.held[key]
		l.held[key] = h
		l.mu.Unlock()
		l.release(before)
	}
}

// release lets a script run, long after its caller was told that it failed.
func (l *late) release(h *redistest.Held) {
	if h == nil {
		return
	}
	h.Release()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ran++
}
