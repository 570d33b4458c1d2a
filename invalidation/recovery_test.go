package invalidation_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
)

// refuser fails probes, and nothing else.
type refuser struct{ left atomic.Int64 }

func (r *refuser) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *refuser) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (r *refuser) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if slices.Contains(cmd.Args(), any("all")) && r.left.Add(-1) >= 0 {
			err := errors.New("refused")
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

// Where the bound is long and probes fail for a while, though the subscription is
// up, an instance is ready a few seconds after they get through again. A share of
// the bound would be minutes.
func TestReadySoonAfterProbesThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := miniredis.NewMiniRedis()
		defer m.Close()
		client := redistest.NewClient(t, "in memory", func(o *redis.Options) {
			o.Dialer = func(context.Context, string, string) (net.Conn, error) { return m.Dial() }
		})
		r := new(refuser)
		r.left.Store(10)
		client.AddHook(r)
		began := time.Now()
		n := start(t, client, slow)
		if err := n.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); r.left.Load() >= 0 || took > 30*time.Second {
			t.Errorf("ready after %v, %d probes are still to fail", took, r.left.Load())
		}
		_ = n.Close()
		_ = client.Close()
	})
}
