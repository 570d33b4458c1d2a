package l1_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/l1"
)

func TestCloseWhileEverythingElseIsCalled(t *testing.T) {
	for range 10 {
		fences := fence.New(4, time.Minute, 1<<20)
		c, err := l1.New(l1.Options{MaxBytes: 1 << 20, Fences: fences})
		if err != nil {
			t.Fatal(err)
		}
		h := &harness{Cache: c, fences: fences, region: c.Region("products")}
		var calls atomic.Int64
		var closed atomic.Bool // some call of Close has returned
		var wg sync.WaitGroup
		use := func(call func(i int) (useless bool)) {
			for range 2 {
				wg.Go(func() {
					for i, after := 0, 0; after < 100; i++ {
						was := closed.Load()
						useless := call(i)
						if was {
							after++
							if !useless {
								t.Error("a closed cache was of use")
								return
							}
						}
						calls.Add(1)
					}
				})
			}
		}
		use(func(i int) bool { return h.value(i%100) == nil })
		use(func(i int) bool { return !h.Put(h.entry(i%100, uint64(i), i)) })
		use(func(int) bool { h.Wait(); return true })
		use(func(i int) bool { h.Region(name(i % 5)).NegativeHit(); h.Stats(); return true })
		eventually(t, "the cache is busy", func() bool { return calls.Load() > 1000 })
		for range 3 {
			wg.Go(func() {
				if err := h.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				closed.Store(true)
			})
		}
		wg.Wait()
		if s := h.Stats(); s.Entries != 0 || s.Bytes != 0 {
			t.Errorf("after Close: got %+v", s)
		}
	}
}

func TestCloseReturnsToASecondCallerWhenItIsDone(t *testing.T) {
	h := newHarness(t, 1<<20)
	h.Put(h.entry(1, 100, 1))
	release := l1.Stall(h.Cache)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			h.Close()
			if s := h.Stats(); s.Entries != 0 {
				t.Errorf("Close has returned, and there are %d entries", s.Entries)
			}
		})
	}
	release()
	wg.Wait()
}

func TestCloseWaitsForCallsThatAreInsideRistretto(t *testing.T) {
	lock := func(h *harness) func() { return l1.Lock(h.Cache, hash(1)) }
	tests := []struct {
		name string
		hold func(h *harness) (release func()) // makes the call stay inside
		call func(h *harness)
	}{
		{"Get", lock, func(h *harness) { h.Get(h.region, hash(1), name(1)) }},
		{"Find", lock, func(h *harness) { h.Find(h.region, hash(1), name(1)) }},
		{"Put", lock, func(h *harness) { h.Put(h.entry(1, 100, 1)) }},
		{"Wait", func(h *harness) func() { return l1.Stall(h.Cache) }, func(h *harness) { h.Wait() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, 1<<20)
			release := once(tt.hold(h))
			defer release()
			var wg sync.WaitGroup
			wg.Go(func() { tt.call(h) })
			eventually(t, "the call is inside", func() bool { n, _ := l1.Inside(h.Cache); return n == 1 })
			wg.Go(func() { h.Close() })
			eventually(t, "Close lets nobody in", func() bool { _, closed := l1.Inside(h.Cache); return closed })
			if n, _ := l1.Inside(h.Cache); n != 1 {
				t.Errorf("%d calls count as inside, want 1: Close would go on", n)
			}
			release()
			wg.Wait()
		})
	}
}

// closeRace names, in the environment, what a child process of
// TestGetSetAndWaitRaceWithClose is to call while Close runs.
const closeRace = "L1_TEST_CLOSE_RACE"

// A data race, a panic or a hang would end this process, so a child has it.
func TestGetSetAndWaitRaceWithClose(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, call := range []string{"Get", "Set", "Wait"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildThatClosesRistretto$")
			child.Env = append(os.Environ(), closeRace+"="+call)
			out, err := child.CombinedOutput()
			for _, sign := range []string{"DATA RACE", "send on closed channel", "hangs"} {
				if strings.Contains(string(out), sign) {
					t.Logf("Ristretto: %s and Close: %s", call, sign)
					return
				}
			}
			if err != nil || !strings.Contains(string(out), "nothing happened") {
				t.Fatalf("the child failed otherwise: %v\n%s", err, out)
			}
			// It is a matter of luck. Under the race detector luck is not needed.
			if raceEnabled {
				t.Errorf("Ristretto: %s and Close do not race any more", call)
			}
			t.Logf("Ristretto: %s and Close: not reproduced this time", call)
		})
	}
	// That the wrapper is immune is shown above, in this process.
}

func TestChildThatClosesRistretto(t *testing.T) {
	call := os.Getenv(closeRace)
	if call == "" {
		t.Skip("only as a child process")
	}
	calls := map[string]func(c *ristretto.Cache[uint64, int], i uint64){
		"Get":  func(c *ristretto.Cache[uint64, int], i uint64) { c.Get(i) },
		"Set":  func(c *ristretto.Cache[uint64, int], i uint64) { c.Set(i, 1, 1) },
		"Wait": func(c *ristretto.Cache[uint64, int], _ uint64) { c.Wait() },
	}
	for begin := time.Now(); time.Since(begin) < 5*time.Second; {
		c, err := ristretto.NewCache(&ristretto.Config[uint64, int]{NumCounters: 100, MaxCost: 10, BufferItems: 1})
		if err != nil {
			t.Fatal(err)
		}
		var begun, done atomic.Int64
		var stop atomic.Bool
		const callers = 4
		for range callers {
			go func() {
				defer done.Add(1)
				for i := uint64(0); !stop.Load(); i++ {
					calls[call](c, i%100)
					begun.Add(1)
				}
			}()
		}
		eventually(t, "callers are busy", func() bool { return begun.Load() > 100 })
		c.Close()
		stop.Store(true)
		for end := time.Now().Add(2 * time.Second); done.Load() < callers; {
			if time.Now().After(end) {
				fmt.Println("hangs")
				os.Exit(1)
			}
			time.Sleep(100 * time.Microsecond) //nolint:forbidigo // between two looks of a poll
		}
	}
	fmt.Println("nothing happened")
}
