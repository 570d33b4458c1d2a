package fault

import (
	"slices"
	"strings"
	"time"
)

// All are the faults of the long form, each by itself, and the storm.
func All() []Fault {
	return slices.Concat([]Fault{
		SubscribersKilled, SubscriptionHole, SubscriptionHalfOpen, DataHole, DataHalfOpen, RepliesLost,
		AllHole, AllHalfOpen, AllHoleEverywhere,
		SlowSubscriber, InstanceStopped, InstanceKilled, RedisStopped, RedisKilled, RedisRestarted,
		Flushed, ScriptsFlushed, Paused, WritesPaused, OutOfMemory,
	}, Evicting, []Fault{Exhausted, MutatorsKilled, OriginDown, OriginSlow, Storm})
}

// Short are the faults of the short form.
func Short() []Fault {
	return []Fault{SubscriptionHalfOpen, InstanceStopped, RedisKilled, Evicting[2], MutatorsKilled}
}

// Named returns the faults whose labels contain one of the words, in the order
// of the faults given.
func Named(faults []Fault, words []string) []Fault {
	return slices.DeleteFunc(slices.Clone(faults), func(f Fault) bool {
		return !slices.ContainsFunc(words, func(w string) bool {
			return strings.Contains(strings.ToLower(f.Label), strings.ToLower(w))
		})
	})
}

// Storm breaks something else four times a second, on top of what is broken
// already, and mends everything at the end.
var Storm = Fault{Name: "storm: a new fault every 250 ms, on top of each other", Label: "storm", Lossy: true, Late: true, run: storm}

// stormLength is how much longer than another fault the storm lasts.
const stormLength = 4

func storm(b *breaker) {
	b.hold *= stormLength
	restarted := false
	acts := []func(){
		func() { b.redis("CLIENT", "KILL", "TYPE", "pubsub") },
		func() { b.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") },
		func() { b.redis("SCRIPT", "FLUSH") },
		func() { b.redis("FLUSHALL") },
		func() { b.redis("CLIENT", "PAUSE", 200, "WRITE") },
		func() { b.victim().Proxy.Cut() },
		func() { b.victim().Proxy.Data().BlackHole(b.IntN(2) == 0) },
		func() { b.victim().Proxy.PubSub().BlackHole(b.IntN(2) == 0) },
		func() { b.victim().Proxy.BlackHoleReplies(b.IntN(2) == 0) },
		func() { b.victim().Proxy.PubSub().Delay(time.Duration(b.IntN(2000)) * time.Millisecond) },
		func() {
			m := b.victim()
			b.check(m.Stop())
			b.wait(time.Duration(b.IntN(1500)) * time.Millisecond)
			b.check(m.Continue())
		},
		func() {
			b.Server.Pause()
			b.wait(time.Duration(b.IntN(800)) * time.Millisecond)
			b.Server.Resume()
		},
		func() {
			if !restarted { // once: each start of a process takes a while
				restarted = true
				b.Server.Restart()
			}
		},
	}
	if b.Features() {
		acts = append(acts,
			func() {
				b.OriginDown(true)
				b.wait(time.Duration(b.IntN(500)) * time.Millisecond)
				b.OriginDown(false)
			},
			func() {
				b.OriginSlow(slowLoad)
				b.wait(time.Duration(b.IntN(500)) * time.Millisecond)
				b.OriginSlow(0)
			})
	}
	n := b.every(250*time.Millisecond, func() { acts[b.IntN(len(acts))]() })
	b.redis("CLIENT", "UNPAUSE")
	for _, m := range b.Members {
		m.Proxy.Data().BlackHole(false)
		m.Proxy.PubSub().BlackHole(false)
		m.Proxy.BlackHoleReplies(false)
		m.Proxy.PubSub().Delay(0)
	}
	b.tell("%d faults", n)
}
