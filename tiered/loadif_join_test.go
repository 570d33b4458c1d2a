package tiered_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// invalidateUnheard has the key "k" invalidated by somebody whose message is lost.
func (b *bubble) invalidateUnheard(t *testing.T) {
	t.Helper()
	for _, key := range b.redis.Keys() {
		if partition, ok := strings.CutSuffix(key, "v:items:k"); ok {
			b.redis.Del(key)
			_, err := b.redis.Incr(partition+"s", 1)
			succeeds(t, err)
		}
	}
}

// Who joins a load that asks about a copy, without Redis, gets no older value than one
// that is answered with the copy: the copy may have been confirmed the bound ago when
// the load began.
func TestLoadIfThatIsJoinedWithoutRedis(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		cfg := pages()
		cfg.LoadTimeout = whole
		r := region(t, b.node(t), cfg)
		d := &document{value: "old", validate: func(string) tiered.Validator { return "weak" }}
		d.is(t, r, "old", tiered.SourceLoad)
		pass(whole + near)
		d.value = "new"
		b.invalidateUnheard(t)
		b.redis.SetError(outOfReach)
		defer b.redis.SetError("")
		pass(150 * time.Second) // the bound is 240, and a probe at most 60 old
		d.midway = func() {
			time.Sleep(150 * time.Second) //nolint:forbidigo // in a bubble this moves the clock
		}
		go func() { _, _ = r.LoadIf(context.Background(), "k", d.load) }()
		pass(140 * time.Second)
		got, err := r.LoadIf(t.Context(), "k", d.load)
		if err != nil || got != "new" {
			t.Errorf("290 s after the invalidation: %q, %v", got, err)
		}
		synctest.Wait()
	})
}
