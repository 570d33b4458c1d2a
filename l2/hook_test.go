package l2_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
)

// counting is a hook that counts commands.
type counting struct{ seen atomic.Int64 }

func (*counting) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.seen.Add(1)
		return next(ctx, cmd)
	}
}

func (c *counting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.seen.Add(int64(len(cmds)))
		return next(ctx, cmds)
	}
}

// As Options.Client says. If go-redis comes to give views their client's hooks, that
// is to be said no more.
func TestHooksOfAClientDoNotSeeTheStoresCommands(t *testing.T) {
	client := redistest.Mini(t).Client(t)
	var hook counting
	client.AddHook(&hook)
	if client.Ping(t.Context()); hook.seen.Load() == 0 {
		t.Fatal("the hook does not see the client's own commands")
	}
	before := hook.seen.Load()
	s := newStore(t, client)
	put(t, s, apple, "v")
	wantHit(t, s, apple, "v")
	invalidate(t, s, apple)
	if n := hook.seen.Load() - before; n != 0 {
		t.Errorf("the hook has seen %d commands of the store", n)
	}
}
