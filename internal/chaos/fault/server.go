package fault

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// The faults of a server that runs.
var (
	// Flushed empties Redis again and again, sequences and leases included.
	Flushed = Fault{Name: "FLUSHALL, again and again", Label: "FLUSHALL", Lossy: true, run: func(b *breaker) {
		n := b.every(300*time.Millisecond, func() { b.redis("FLUSHALL") })
		b.tell("%d times", n)
	}}

	// ScriptsFlushed makes Redis forget all scripts again and again.
	ScriptsFlushed = Fault{Name: "SCRIPT FLUSH, again and again", Label: "SCRIPT FLUSH", run: func(b *breaker) {
		n := b.every(20*time.Millisecond, func() { b.redis("SCRIPT", "FLUSH") })
		b.tell("%d times", n)
	}}

	// Paused makes Redis wait with all commands.
	Paused = Fault{Name: "CLIENT PAUSE of everything", Label: "CLIENT PAUSE", Late: true, run: func(b *breaker) { b.pause("ALL") }}

	// WritesPaused makes Redis wait with writes, while it answers reads.
	WritesPaused = Fault{Name: "CLIENT PAUSE of writes", Label: "PAUSE WRITE", Late: true, run: func(b *breaker) { b.pause("WRITE") }}

	// OutOfMemory makes Redis refuse what needs memory.
	OutOfMemory = Fault{Name: "out of memory, noeviction: writes are refused", Label: "out of memory", run: func(b *breaker) {
		b.redis("CONFIG", "SET", "maxmemory", "1mb")
		b.wait(b.hold)
		b.redis("CONFIG", "SET", "maxmemory", "0")
	}}

	// Exhausted has Redis evict all that it may evict and then refuse what
	// needs memory, the probe's writes included.
	Exhausted = Fault{Name: "out of memory, nothing left to evict", Label: "memory exhausted", Lossy: true, run: func(b *breaker) {
		b.redis("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
		b.redis("CONFIG", "SET", "maxmemory", "1mb")
		b.wait(b.hold)
		b.redis("CONFIG", "SET", "maxmemory", "0")
		b.redis("CONFIG", "SET", "maxmemory-policy", "noeviction")
	}}

	// Evicting are the policies under which the guarantees hold.
	Evicting = []Fault{evicting("volatile-lru"), evicting("volatile-ttl"), evicting("volatile-random")}
)

func (b *breaker) pause(what string) {
	b.redis("CLIENT", "PAUSE", b.hold.Milliseconds(), what)
	b.wait(b.hold)
	b.redis("CLIENT", "UNPAUSE")
}

func evicting(policy string) Fault {
	return Fault{
		Name:  "eviction of every kind of key that has a TTL, " + policy,
		Label: policy,
		Lossy: true,
		run:   func(b *breaker) { b.evict(policy) },
	}
}

// evict lowers the memory that Redis may use step by step, then for a moment so
// far that no key with a TTL is left, then lets it fill again; once a second.
func (b *breaker) evict(policy string) {
	counted := b.countEvictions()
	b.redis("CONFIG", "SET", "maxmemory-policy", policy)
	step := 0
	b.every(50*time.Millisecond, func() {
		limit := 0 // none
		switch step++; {
		case step%20 < 13:
			used, err := b.memory()
			b.check(err)
			limit = max(used-16<<10, 1<<20)
		case step%20 == 13:
			limit = 1 << 20
		}
		b.redis("CONFIG", "SET", "maxmemory", limit)
	})
	b.redis("CONFIG", "SET", "maxmemory", "0")
	b.redis("CONFIG", "SET", "maxmemory-policy", "noeviction")
	evicted := counted()
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(evicted)) {
		kinds = append(kinds, fmt.Sprintf("%d %s", evicted[kind], kind))
	}
	b.tell("evicted: %s", strings.Join(kinds, ", "))
	if n := evicted[unexpected]; n > 0 {
		b.Errorf("chaos: Redis has evicted %d keys without a TTL", n)
	}
}

// memory is how much Redis uses.
func (b *breaker) memory() (int, error) {
	info, err := b.Admin.InfoMap(b.Context, "memory").Result()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(info["Memory"]["used_memory"])
}

// unexpected are keys that have no TTL.
const unexpected = "sequences and the like"

// kindOf says what an evicted key holds.
func kindOf(key string) string {
	switch {
	case strings.HasPrefix(key, "plain:"):
		return "values of the baseline"
	case strings.Contains(key, "}:v:"):
		return "values"
	case strings.Contains(key, "}:l:"):
		return "leases"
	case strings.Contains(key, "}:t:"):
		return "tags"
	case strings.Contains(key, "layout"):
		return "layouts"
	}
	return unexpected
}

// countEvictions counts evicted keys by kind until the function is called.
func (b *breaker) countEvictions() (counted func() map[string]int) {
	sub := b.Admin.Subscribe(b.Context, "__keyevent@0__:evicted")
	if _, err := sub.Receive(b.Context); err != nil {
		b.check(err)
	}
	kinds := make(map[string]int)
	var wg sync.WaitGroup
	messages := sub.Channel(redis.WithChannelSize(100_000))
	wg.Go(func() {
		for m := range messages {
			kinds[kindOf(m.Payload)]++
		}
	})
	return func() map[string]int {
		// What was evicted was announced before the answer to this.
		_ = sub.Ping(context.WithoutCancel(b.Context))
		b.wait(50 * time.Millisecond)
		_ = sub.Close()
		wg.Wait()
		return kinds
	}
}
