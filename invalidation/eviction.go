package invalidation

import (
	"context"
	"log/slog"
	"strings"

	"github.com/redis/go-redis/v9"
)

// checkEviction warns if Redis may evict keys that must stay: sequences, and the
// traces of clearings. It asks once, when the instance is ready, by INFO, which the
// probe needs in any case: CONFIG is forbidden to most users. Of a Cluster it asks one
// node. Where INFO is forbidden it says what that costs: the probe gets on without it, and
// cannot tell one primary from the next. Any other failure is left to the probe.
func (b *Backplane) checkEviction() {
	b.calls.start("info", func() {
		ctx, cancel := context.WithTimeout(b.ctx, b.opts.Timeout)
		defer cancel()
		info, err := b.opts.Client.Info(ctx, "memory").Result()
		if redis.HasErrorPrefix(err, "NOPERM") {
			b.log.LogAttrs(b.ctx, slog.LevelWarn, "redis does not allow INFO: it goes unnoticed when another primary takes over, and what that one has lost",
				slog.String("remedy", "ACL SETUSER … +info"), slog.Any("error", err))
		}
		if err != nil {
			return
		}
		policy, limit := fieldOf(info, "maxmemory_policy"), fieldOf(info, "maxmemory")
		if !strings.HasPrefix(policy, "allkeys-") || limit == "0" || limit == "" {
			return
		}
		b.log.LogAttrs(b.ctx, slog.LevelWarn, "redis may evict keys without a time to live when its memory is full: values that were cleared may then come back",
			slog.String("maxmemory_policy", policy), slog.String("maxmemory", limit),
			slog.String("remedy", "maxmemory-policy noeviction or volatile-lru"))
	})
}

// fieldOf is a field of what INFO returns; empty if there is none.
func fieldOf(info, name string) string {
	for line := range strings.Lines(info) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && key == name {
			return value
		}
	}
	return ""
}
