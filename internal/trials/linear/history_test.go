package linear_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/doppio-cache/doppio/tiered"
)

// history is what the callers of one key did and saw. Its clock is a counter:
// it orders calls as time did, and no two of them have the same time.
type history struct {
	clock atomic.Int64

	mu  sync.Mutex
	ops []porcupine.Operation
}

// openEnd is the return of an operation that may still happen.
const openEnd = -1

// now is the time on the history's clock, for begin and end of operations.
func (h *history) now() int64 { return h.clock.Add(1) }

// note adds an operation; end may be openEnd.
func (h *history) note(client int, input, output any, begin, end int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{
		ClientId: client, Input: input, Output: output, Call: begin, Return: end,
	})
}

// await returns when n more operations have been noted: reads, while the writer
// waits.
func (h *history) await(t *testing.T, n int) {
	t.Helper()
	for n += h.size(); h.size() < n; {
		if t.Context().Err() != nil || t.Failed() {
			return
		}
		time.Sleep(50 * time.Microsecond) //nolint:forbidigo // the interval of a poll
	}
}

func (h *history) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops)
}

// complete returns the operations, those that did not end ending after all
// others, each as a client of its own.
func (h *history) complete() []porcupine.Operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	ops := append([]porcupine.Operation(nil), h.ops...)
	clients := 0
	for i := range ops {
		clients = max(clients, ops[i].ClientId+1)
	}
	end := h.now()
	for i := range ops {
		if ops[i].Return == openEnd {
			ops[i].Return, ops[i].ClientId = end, clients
			clients++
		}
	}
	return ops
}

// allowAhead marks the reads of L1 that may be ahead of Redis. Where Redis could
// not be read, what was loaded beside it stands in L1, and may be a version whose
// Delete has not been confirmed yet. If L1 then loses it, Redis may still answer
// with the older one: G3 ends where Redis does. Once the write has ended, it is
// held against every read.
func allowAhead(ops []porcupine.Operation) {
	for i := range ops {
		a, ok := ops[i].Output.(answer)
		if !ok || a.source != tiered.SourceL1.String() {
			continue
		}
		a.ahead = slices.ContainsFunc(ops, func(o porcupine.Operation) bool {
			w, ok := o.Input.(write)
			return ok && w.content == a.content && (w.rank == a.rank || a.content == absent) &&
				o.Call < ops[i].Return && ops[i].Call < o.Return
		})
		ops[i].Output = a
	}
}

// open is how many operations have no end.
func (h *history) open() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.ops {
		if h.ops[i].Return == openEnd {
			n++
		}
	}
	return n
}

// checkTime bounds one check. A history that is in order takes milliseconds.
const checkTime = 30 * time.Second

// check fails the test if no order of the operations explains the answers. The
// picture of why is kept by `go test -artifacts`.
func (h *history) check(t *testing.T, initial register, faulty bool, name string) {
	t.Helper()
	m, ops := model(initial), h.complete()
	if faulty {
		allowAhead(ops)
	}
	result, info := porcupine.CheckOperationsVerbose(m, ops, checkTime)
	if result == porcupine.Ok {
		return
	}
	file := strings.Map(func(r rune) rune {
		if r == '/' || r == ' ' {
			return '-'
		}
		return r
	}, name) + ".html"
	path := filepath.Join(t.ArtifactDir(), file)
	if err := porcupine.VisualizePath(m, info, path); err != nil {
		t.Errorf("the picture: %v", err)
	}
	text(m, ops, strings.TrimSuffix(path, ".html")+".txt")
	t.Errorf("%s: the history of %d operations is not linearizable (%s); see %s, which `go test -artifacts` keeps", name, len(ops), result, path)
}

// text writes a history as lines in the order of their begins.
func text(m porcupine.Model, ops []porcupine.Operation, path string) {
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var b strings.Builder
	for _, o := range ops {
		fmt.Fprintf(&b, "%7d to %7d  caller %3d  %s\n", o.Call, o.Return, o.ClientId, m.DescribeOperation(o.Input, o.Output))
	}
	_ = os.WriteFile(path, []byte(b.String()), 0o600)
}

// verdict is what the checker says of a history that is expected to be wrong.
func (h *history) verdict(initial register) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(model(initial), h.complete(), checkTime)
}
