package invalidation_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
)

// A Redis that may evict what must stay is warned of, once; one that may not, or has
// all the memory that it wants, or does not tell, is not. Where it is forbidden to tell,
// that is what is said.
func TestEvictionIsWarnedOf(t *testing.T) {
	server := redistest.Start(t)
	admin := server.Client(t)
	for _, tt := range []struct {
		policy, limit string
		user          string
		warns         int
	}{
		{"allkeys-lru", "100mb", "default", 1},
		{"allkeys-random", "100mb", "default", 1},
		{"allkeys-lru", "0", "default", 0},
		{"volatile-lru", "100mb", "default", 0},
		{"noeviction", "100mb", "default", 0},
		{"allkeys-lru", "100mb", "mute", 0},
	} {
		for name, value := range map[string]string{"maxmemory-policy": tt.policy, "maxmemory": tt.limit} {
			if err := admin.ConfigSet(t.Context(), name, value).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if err := admin.Do(t.Context(), "acl", "setuser", "mute", "on", "nopass", "~*", "&*", "+@all", "-info").Err(); err != nil {
			t.Fatal(err)
		}
		client := server.Client(t, as(tt.user))
		n := started(t, client)
		if tt.warns > 0 {
			n.eventually("the warning", func() bool { return strings.Contains(n.logs.String(), "maxmemory_policy=") })
		}
		n.confirmed()
		n.confirmed()
		if err := n.Close(); err != nil { // waits for the answer
			t.Fatal(err)
		}
		if got := strings.Count(n.logs.String(), "maxmemory_policy="+tt.policy); got != tt.warns {
			t.Errorf("%+v: %d warnings, want %d:\n%s", tt, got, tt.warns, n.logs)
		}
		if got := strings.Count(n.logs.String(), "redis does not allow INFO"); (got == 1) != (tt.user == "mute") || got > 1 {
			t.Errorf("%+v: %d times it is said that INFO is not allowed:\n%s", tt, got, n.logs)
		}
	}
}

// as logs in as a user without a password.
func as(user string) func(*redis.Options) {
	return func(o *redis.Options) { o.Username, o.Password = user, "none" }
}
