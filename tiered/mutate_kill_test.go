package tiered_test

import (
	"context"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/redistest"
)

// The process dies while one of a Mutate's commands is on its way. It is carried out
// all the same: with nobody left to hear the reply, or only when its sender is dead.
func TestMutateSurvivesAKillBetweenCommandAndReply(t *testing.T) {
	const tombstone, invalidation = 1, 2
	hold := map[string]func(*redistest.Proxy, func([][]byte) bool) *redistest.Held{
		"the reply":   (*redistest.Proxy).HoldReply,
		"the command": (*redistest.Proxy).Hold,
	}
	for what, hold := range hold {
		for _, at := range []int{tombstone, invalidation} {
			name := what + " of the tombstone"
			if at == invalidation {
				name = what + " of the invalidation"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := redistest.Real(t)
				c := b.Client(t)
				rs := readers(t, b, c)
				// Redis knows the scripts, so that each step is one command.
				if err := rs[0].Mutate(t.Context(), []string{"other"}, func(context.Context) error { return nil }); err != nil {
					t.Fatal(err)
				}

				p := b.Proxy(t)
				held := hold(p, step("k", at, new(atomic.Int64)))
				child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildThatIsKilledInAMutate$")
				child.Env = append(os.Environ(), killAt+"=never", killRedis+"="+p.Addr())
				if err := child.Start(); err != nil {
					t.Fatal(err)
				}
				held.Wait(t)
				_ = child.Process.Kill()
				_ = child.Wait()
				died := time.Now()
				held.Release()
				want, err := c.Get(t.Context(), version).Int()
				if err != nil || want != at {
					t.Fatalf("the child committed version %d, %v; want %d", want, err, at)
				}
				readAfterDeath(t, rs, c, want, died)
			})
		}
	}
}
