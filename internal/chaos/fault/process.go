package fault

import (
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// The faults of processes.
var (
	// InstanceStopped freezes one instance, for longer than a lease lives.
	InstanceStopped = Fault{Name: "SIGSTOP of an instance, then SIGCONT", Label: "instance stopped", Late: true, run: func(b *breaker) {
		m := b.victim()
		b.check(m.Stop())
		b.wait(2 * b.hold)
		b.check(m.Continue())
	}}

	// InstanceKilled kills one instance and starts another in its place.
	InstanceKilled = Fault{Name: "SIGKILL of an instance, replaced after 1 s", Label: "instance killed", run: func(b *breaker) {
		m := b.victim()
		m.Kill()
		b.wait(time.Second)
		b.check(m.Born())
	}}

	// MutatorsKilled kills one instance after the other while they write by
	// Mutate alone, so that many of them die between commit and invalidation.
	MutatorsKilled = Fault{Name: "SIGKILL of instances in the middle of their Mutates, again and again", Label: "mutators killed", Features: true, run: func(b *breaker) {
		b.Risky(true)
		b.wait(b.hold / 4)
		n := b.every(b.hold/8, func() {
			m := b.victim()
			m.Kill()
			b.check(m.Born())
		})
		b.Risky(false)
		b.wait(wire.TombstoneLife) // then nothing else protects what was cut off
		b.tell("%d instances", n)
	}}

	// RedisStopped freezes Redis: it accepts and does not answer, and then
	// carries out what has arrived meanwhile.
	RedisStopped = Fault{Name: "SIGSTOP of Redis, then SIGCONT", Label: "Redis stopped", Late: true, run: func(b *breaker) {
		b.Server.Pause()
		b.wait(b.hold)
		b.Server.Resume()
	}}

	// RedisKilled kills Redis, which then starts with nothing.
	RedisKilled = Fault{Name: "SIGKILL of Redis, restarted empty", Label: "Redis killed", Lossy: true, run: func(b *breaker) {
		b.Server.Kill()
		b.wait(b.hold)
		b.Server.Restart()
	}}

	// RedisRestarted does so without a pause in which anybody would notice.
	RedisRestarted = Fault{Name: "SIGKILL of Redis, restarted empty at once, again and again", Label: "Redis restarted", Lossy: true, run: func(b *breaker) {
		n := b.every(700*time.Millisecond, b.Server.Restart)
		b.tell("%d times", n)
	}}
)
