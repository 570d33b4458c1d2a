package redistest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
)

func TestEachHasAnEmptyServerOfItsOwn(t *testing.T) {
	var names []string
	for range 2 {
		redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
			names = append(names, b.Name)
			if b.Real != (b.Server != nil) || b.Real != (b.Miniredis == nil) || b.Real != (b.Name == "redis") {
				t.Errorf("inconsistent: %+v", b)
			}
			c := b.Client(t)
			if n := c.DBSize(ctx).Val(); n != 0 {
				t.Errorf("%d keys", n)
			}
			must(t, c.Set(ctx, "k", "v", 0).Err())
			b.FlushAll(t)
			if n := c.DBSize(ctx).Val(); n != 0 {
				t.Errorf("%d keys after FlushAll", n)
			}
		})
	}
	want := "miniredis miniredis"
	if redistest.Available() {
		want = "miniredis redis miniredis redis"
	}
	if got := strings.Join(names, " "); got != want {
		t.Errorf("ran against %s", got)
	}
}

func TestKeysExpireByRealTime(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		must(t, c.Set(ctx, "k", "v", 5*time.Millisecond).Err())
		eventually(t, "the key expires", func() bool { return errors.Is(c.Get(ctx, "k").Err(), redis.Nil) })
	})
}

func TestFastForward(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		c := b.Client(t)
		must(t, c.Set(ctx, "minute", "v", time.Minute).Err())
		must(t, c.Set(ctx, "hour", "v", time.Hour).Err())
		must(t, c.Set(ctx, "ever", "v", 0).Err())
		before := c.Time(ctx).Val()
		b.FastForward(t, 20*time.Minute)
		if got := c.Exists(ctx, "minute").Val(); got != 0 {
			t.Error("a key outlived its life")
		}
		if got := c.PTTL(ctx, "hour").Val(); got > 40*time.Minute || got < 39*time.Minute {
			t.Errorf("%v left of an hour", got)
		}
		if got := c.PTTL(ctx, "ever").Val(); got != -1 {
			t.Errorf("%v left of eternity", got)
		}
		if moved := c.Time(ctx).Val().Sub(before); moved > 10*time.Minute {
			t.Errorf("TIME moved by %v", moved)
		}
	})
}

func TestSharedIsOneServer(t *testing.T) {
	a, b := redistest.Shared(t), redistest.Shared(t)
	if a.Addr != b.Addr {
		t.Errorf("%s and %s", a.Addr, b.Addr)
	}
	p, q := redistest.Prefix(t), redistest.Prefix(t)
	if p == q || strings.ContainsAny(p, "{}:/") {
		t.Errorf("prefixes %q and %q", p, q)
	}
	must(t, a.Client(t).Set(ctx, p, "v", 0).Err())
	must(t, b.Client(t).Get(ctx, p).Err())
}

// Where the two agree, suites can rely on either; where they do not, the
// package documentation says so, and this says whether it is still true.
func TestMiniredisAgainstRedis(t *testing.T) {
	mini, real := redistest.Mini(t).Client(t), redistest.Real(t).Client(t)
	answer := func(c *redis.Client, args []any) string {
		v, err := c.Do(ctx, args...).Result()
		if err != nil {
			return "error " + err.Error()
		}
		return fmt.Sprintf("%q", v)
	}
	eval := func(script string) []any { return []any{"EVAL", script, 1, "k", "a\x00\xff\r\n"} }
	for _, tc := range []struct {
		name string
		do   []any
		same bool
	}{
		{"binary values in scripts", eval("redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])"), true},
		{"SET NX PX", eval("return {redis.call('SET', 'nx', 1, 'NX', 'PX', 1000), redis.call('SET', 'nx', 1, 'NX', 'PX', 1000)}"), true},
		{"MGET", eval("return redis.call('MGET', 'none', 'nx')"), true},
		{"nil is false", eval("return type(redis.call('GET', 'none'))"), true},
		{"INCR of microseconds", eval("redis.call('SET', 'n', '1795408102000001') return redis.call('INCR', 'n')"), true},
		{"TIME before a write", eval("local t = redis.call('TIME') redis.call('SET', 't', t[1]) return #t"), true},
		{"PUBLISH", eval("return redis.call('PUBLISH', 'c', 'm')"), true},
		{"UNLINK", eval("return redis.call('UNLINK', 'n', 'none')"), true},
		{"cjson", eval("return cjson.encode({1})"), true},
		{"number to redis.call", eval("redis.call('SET', 'n', 1795408102000001) return redis.call('GET', 'n')"), true},
		{"formatted number", eval("return string.format('%.0f', 1795408102000001)"), true},
		{"errors from pcall", eval("return redis.pcall('LPUSH', 'n', 1)"), true},
		{"NOSCRIPT", []any{"EVALSHA", strings.Repeat("f", 40), 0}, true},

		{"tostring of a number", eval("return tostring(1795408102000001)"), false},
		{"number joined to a string", eval("return 1795408102000001 .. ''"), false},
		{"errors from call", eval("return redis.call('LPUSH', 'n', 1)"), false},
		{"cmsgpack", eval("return cmsgpack.pack({1})"), false},
		{"struct", eval("return struct.pack('>I8', 1)"), false},
		{"bit", eval("return bit.band(7, 3)"), false},
		{"flags", eval("#!lua flags=no-writes\nreturn 1"), false},
		{"INFO server", eval("return redis.call('INFO', 'server')"), false},
		{"CONFIG", []any{"CONFIG", "GET", "maxmemory"}, false},
		{"CLIENT ID", []any{"CLIENT", "ID"}, false},
		{"ROLE", []any{"ROLE"}, false},
		{"SPUBLISH", []any{"SPUBLISH", "c", "m"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, r := answer(mini, tc.do), answer(real, tc.do)
			if (m == r) != tc.same {
				t.Errorf("miniredis: %s; redis: %s", m, r)
			}
		})
	}
}
