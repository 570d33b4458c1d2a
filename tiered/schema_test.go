package tiered_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/codec"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// The same value in two versions of a service.
type (
	itemV1 struct {
		Name  string
		Price int
	}
	itemV2 struct {
		Name   string
		Amount int
	}
)

// stored is the value of the only key in Redis, as it lies there.
func stored(t *testing.T, c redis.UniversalClient) string {
	t.Helper()
	keys := valueKeys(t, c)
	if len(keys) != 1 {
		t.Fatalf("%d values in Redis, want 1: %q", len(keys), keys)
	}
	return c.Get(t.Context(), keys[0]).Val()
}

// During a rolling deploy two versions of a service share Redis. Whichever comes
// first keeps its value there while it lives; the other works from L1 and the
// origin. What that costs: one load for each life of an L1 copy, not one for
// each read, and none for the version whose value it is.
func TestRollingDeploy(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		const ttl, l1TTL, every = time.Hour, 10 * time.Minute, 10 * time.Second
		var log logs
		v1 := region(t, b.node(t), tiered.Config[itemV1]{Name: "items", TTL: ttl, L1TTL: l1TTL, Jitter: -1})
		v2 := region(t, b.node(t, func(o *tiered.Options) { o.Logger = log.logger() }),
			tiered.Config[itemV2]{Name: "items", TTL: ttl, L1TTL: l1TTL, Jitter: -1})
		origin1, origin2 := &source[itemV1]{value: itemV1{"saw", 7}}, &source[itemV2]{value: itemV2{"saw", 700}}
		both := func() {
			t.Helper()
			if v, _, err := read(t, v1, "k", origin1); err != nil || v != origin1.value {
				t.Errorf("version 1 reads %+v, %v", v, err)
			}
			if v, _, err := read(t, v2, "k", origin2); err != nil || v != origin2.value {
				t.Errorf("version 2 reads %+v, %v", v, err)
			}
		}
		client := b.client(t)
		both()
		first := stored(t, client)
		for range ttl/every - 1 {
			pass(every)
			both()
		}
		if stored(t, client) != first {
			t.Error("the value of version 1 was overwritten while it lived")
		}
		origin1.reads(t, 1)
		origin2.reads(t, int64(ttl/l1TTL)) // once for each L1 life; of 360 reads
		if got := v2.Stats().Foreign; got != uint64(ttl/l1TTL) {
			t.Errorf("%d foreign values are counted, want %d", got, ttl/l1TTL)
		}
		if got := log.lines("items", "another schema"); len(got) != 1 {
			t.Errorf("logged %d times, want once: %q", len(got), got)
		}

		// When the value has died, the key belongs to whoever comes first.
		pass(ttl)
		read(t, v2, "k", origin2)
		second := stored(t, client)
		both()
		pass(ttl / 2)
		both()
		if second == first || stored(t, client) != second {
			t.Error("the value of version 2 was overwritten while it lived")
		}
	})
}

// What one version invalidates, it invalidates for both.
func TestVersionsInvalidateEachOther(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		v1 := region(t, b.node(t), tiered.Config[itemV1]{Name: "items"})
		v2 := region(t, b.node(t), tiered.Config[itemV2]{Name: "items"})
		origin1, origin2 := &source[itemV1]{value: itemV1{"saw", 7}}, &source[itemV2]{value: itemV2{"saw", 700}}
		ends := map[string]func() error{
			"Delete of version 1": func() error { return v1.Delete(t.Context(), "k") },
			"Delete of version 2": func() error { return v2.Delete(t.Context(), "k") },
			"Set of version 1":    func() error { return v1.Set(t.Context(), "k", origin1.value) },
			"Set of version 2":    func() error { return v2.Set(t.Context(), "k", origin2.value) },
		}
		for name, end := range ends {
			read(t, v1, "k", origin1)
			read(t, v2, "k", origin2)
			origin1.reads(t, origin1.calls.Load())
			origin2.reads(t, origin2.calls.Load())
			if err := end(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // the message arrives
			for version, get := range map[string]func() (tiered.Source, error){
				"1": func() (tiered.Source, error) { _, info, err := read(t, v1, "k", origin1); return info.Source, err },
				"2": func() (tiered.Source, error) { _, info, err := read(t, v2, "k", origin2); return info.Source, err },
			} {
				from, err := get()
				if err != nil {
					t.Errorf("after %s version %s gets %v", name, version, err)
				}
				if from == tiered.SourceL1 && name != "Set of version "+version {
					t.Errorf("after %s version %s reads from its old copy", name, version)
				}
			}
		}
	})
}

// Absence has no schema: both versions learn it from each other.
func TestVersionsShareAbsence(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		v1 := region(t, b.node(t), tiered.Config[itemV1]{Name: "items"})
		v2 := region(t, b.node(t), tiered.Config[itemV2]{Name: "items"})
		read(t, v1, "k", &source[itemV1]{err: tiered.ErrNotFound})
		origin2 := &source[itemV2]{}
		if _, info, err := read(t, v2, "k", origin2); !errors.Is(err, tiered.ErrAbsent) || info.Source != tiered.SourceL2 {
			t.Errorf("%v from %v, want ErrAbsent from L2", err, info.Source)
		}
		origin2.reads(t, 0)
	})
}

// What makes two versions: the type, the codec, or a Schema of one's own. And
// what does not.
func TestWhatMakesAnotherVersion(t *testing.T) {
	type renamed itemV1
	tests := []struct {
		name          string
		first, second tiered.Config[itemV1]
		from          tiered.Source
	}{
		{"the same", tiered.Config[itemV1]{}, tiered.Config[itemV1]{}, tiered.SourceL2},
		{"another codec", tiered.Config[itemV1]{}, tiered.Config[itemV1]{Codec: codec.JSON}, tiered.SourceLoad},
		{"another schema", tiered.Config[itemV1]{}, tiered.Config[itemV1]{Schema: "2"}, tiered.SourceLoad},
		{"the same schema", tiered.Config[itemV1]{Schema: "2"}, tiered.Config[itemV1]{Schema: "2"}, tiered.SourceL2},
		{"the same schema of another codec", tiered.Config[itemV1]{Schema: "2"}, tiered.Config[itemV1]{Schema: "2", Codec: codec.JSON}, tiered.SourceLoad},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				tt.first.Name, tt.second.Name = "items", "items"
				s := &source[itemV1]{value: itemV1{"saw", 7}}
				wants(t, region(t, b.node(t), tt.first), "k", s, s.value, tiered.SourceLoad)
				before := stored(t, b.client(t))
				wants(t, region(t, b.node(t), tt.second), "k", s, s.value, tt.from)
				if stored(t, b.client(t)) != before {
					t.Error("the first one's value was overwritten")
				}
			})
		})
	}
	t.Run("a renamed type", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bubble) {
			read(t, region(t, b.node(t), tiered.Config[itemV1]{Name: "items"}), "k", &source[itemV1]{value: itemV1{"saw", 7}})
			r := region(t, b.node(t), tiered.Config[renamed]{Name: "items"})
			if v, info, err := read(t, r, "k", &source[renamed]{}); err != nil || v.Price != 7 || info.Source != tiered.SourceL2 {
				t.Errorf("%+v, %v, from %v", v, err, info.Source)
			}
		})
	})
}

// What lies at a value's key and is no value of ours is a miss; it is counted,
// logged once, and overwritten by the next load, on a real Redis too.
func TestForeignValuesInRedis(t *testing.T) {
	put := func(change func(value string) string) func(t *testing.T, c *redis.Client, key, value string) {
		return func(t *testing.T, c *redis.Client, key, value string) {
			t.Helper()
			if err := c.Set(t.Context(), key, change(value), time.Hour).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	replace := func(at int, with byte) func(string) string {
		return func(v string) string {
			b := []byte(v)
			if at < 0 {
				at += len(b)
			}
			b[at] ^= with
			return string(b)
		}
	}
	tests := []struct {
		name string
		put  func(t *testing.T, c *redis.Client, key, value string)
	}{
		{"text", put(func(string) string { return "hello" })},
		{"JSON", put(func(string) string { return `{"Name":"saw","Price":7}` })},
		{"one byte", put(func(string) string { return "\xd0" })},
		{"truncated in the header", put(func(v string) string { return v[:20] })},
		{"truncated by a byte", put(func(v string) string { return v[:len(v)-1] })},
		{"longer by a byte", put(func(v string) string { return v + "x" })},
		{"newer layout", put(replace(2, 1^2))},
		{"unknown kind", put(replace(3, 3))},
		{"changed token", put(replace(32, 1))},
		{"changed sequence", put(replace(55, 1))},
		{"changed payload", put(replace(-1, 1))},
		{"a list", func(t *testing.T, c *redis.Client, key, _ string) {
			t.Helper()
			if err := errors.Join(c.Del(t.Context(), key).Err(), c.RPush(t.Context(), key, "a", "b").Err()); err != nil {
				t.Fatal(err)
			}
		}},
		{"a hash", func(t *testing.T, c *redis.Client, key, value string) {
			t.Helper()
			if err := errors.Join(c.Del(t.Context(), key).Err(), c.HSet(t.Context(), key, "v", value).Err()); err != nil {
				t.Fatal(err)
			}
		}},
	}
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		client := b.Client(t)
		for i, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				var log logs
				own := func(o *tiered.Options) { o.Logger, o.Prefix = log.logger(), fmt.Sprintf("test%d", i) }
				nodes := instances(t, b, 2, own)
				rs := regions(t, nodes, tiered.Config[itemV1]{Name: "items"})
				layout, err := keyspace.New(fmt.Sprintf("test%d", i), tiered.DefaultPartitions)
				if err != nil {
					t.Fatal(err)
				}
				for _, k := range []string{"a", "b"} { // the second one is not logged
					key := layout.Value(layout.Partition(keyspace.Hash("items", k)), "items", k)
					old, fresh := &source[itemV1]{value: itemV1{"saw", 7}}, &source[itemV1]{value: itemV1{"saw", 8}}
					wants(t, rs[0], k, old, old.value, tiered.SourceLoad)
					tt.put(t, client, key, client.Get(t.Context(), key).Val())

					if v, err := rs[1].Get(t.Context(), k); !errors.Is(err, tiered.ErrNotFound) {
						t.Errorf("Get: %+v, %v, want ErrNotFound", v, err)
					}
					wants(t, rs[1], k, fresh, fresh.value, tiered.SourceLoad)
					wants(t, rs[1], k, fresh, fresh.value, tiered.SourceL2, tiered.BypassL1())
					fresh.reads(t, 1)
				}
				if got := nodes[1].Stats().Unreadable; got < 2 {
					t.Errorf("%d unreadable values are counted, want 2 or more", got)
				}
				if got := log.lines("level=WARN", "cannot be read"); len(got) != 1 {
					t.Errorf("logged %d times, want once: %q", len(got), got)
				}
			})
		}
	})
}
