package fault

import (
	"strings"
	"time"
)

// The faults of connections.
var (
	// SubscribersKilled closes all subscriptions again and again.
	SubscribersKilled = Fault{Name: "CLIENT KILL of all subscribers, again and again", Label: "subscribers killed", run: func(b *breaker) {
		n := b.every(100*time.Millisecond, func() { b.redis("CLIENT", "KILL", "TYPE", "pubsub") })
		b.tell("%d times", n)
	}}

	// SubscriptionHole swallows what one instance's subscriptions carry.
	SubscriptionHole = Fault{Name: "subscription black-holed, one instance", Label: "subscription hole", run: func(b *breaker) {
		b.hole(b.victim().Proxy.PubSub())
	}}

	// SubscriptionHalfOpen closes the subscriptions at the server, without one
	// instance's being told.
	SubscriptionHalfOpen = Fault{Name: "subscriptions closed at the server, half-open for one instance", Label: "subscription half-open", run: func(b *breaker) {
		b.halfOpen(b.victim().Proxy.PubSub(), "pubsub")
	}}

	// DataHalfOpen does so with the other connections.
	DataHalfOpen = Fault{Name: "data connections closed at the server, half-open for one instance", Label: "data half-open", run: func(b *breaker) {
		b.halfOpen(b.victim().Proxy.Data(), "normal")
	}}

	// AllHalfOpen does so with all connections.
	AllHalfOpen = Fault{Name: "all connections closed at the server, half-open for one instance", Label: "both half-open", run: func(b *breaker) {
		b.halfOpen(b.victim().Proxy, "pubsub", "normal")
	}}

	// DataHole swallows what one instance sends on its other connections.
	DataHole = Fault{Name: "data path black-holed, one instance", Label: "data hole", run: func(b *breaker) {
		b.hole(b.victim().Proxy.Data())
	}}

	// RepliesLost has Redis carry out what one instance sends, and the
	// instance never know.
	RepliesLost = Fault{Name: "replies lost on the data path, one instance", Label: "replies lost", run: func(b *breaker) {
		side := b.victim().Proxy.Data()
		side.BlackHoleReplies(true)
		b.wait(b.hold)
		side.BlackHoleReplies(false)
	}}

	// AllHole swallows everything between one instance and Redis.
	AllHole = Fault{Name: "data path and subscription black-holed, one instance", Label: "both holes", run: func(b *breaker) {
		b.hole(b.victim().Proxy)
	}}

	// AllHoleEverywhere does so for all instances: nobody has Redis.
	AllHoleEverywhere = Fault{Name: "everything black-holed, all instances", Label: "all holes", run: func(b *breaker) {
		for _, m := range b.Members {
			m.Proxy.BlackHole(true)
		}
		b.wait(b.hold)
		for _, m := range b.Members {
			m.Proxy.BlackHole(false)
		}
	}}

	// SlowSubscriber makes the subscriptions of one instance so slow that
	// Redis closes them, while large invalidations are published.
	SlowSubscriber = Fault{Name: "output-buffer kill of a slow subscriber, under bulk invalidations", Label: "slow subscriber", run: slowSubscriber}
)

// holed is what can be black-holed: a side of a proxy, or all of it.
type holed interface{ BlackHole(on bool) }

func (b *breaker) hole(h holed) {
	h.BlackHole(true)
	b.wait(b.hold)
	h.BlackHole(false)
}

// halfOpen hides from one instance that the server closes connections.
func (b *breaker) halfOpen(h holed, kinds ...string) {
	h.BlackHole(true)
	for _, kind := range kinds {
		b.redis("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
	}
	b.wait(b.hold)
	h.BlackHole(false)
}

const (
	limitReached = "overcoming of output buffer limits"
	limit        = "client-output-buffer-limit"
)

func slowSubscriber(b *breaker) {
	before := strings.Count(b.Server.Log(), limitReached)
	b.redis("CONFIG", "SET", limit, "pubsub 512kb 0 0")
	side := b.victim().Proxy.PubSub()
	side.Stall(true)
	bulks := b.every(0, func() { b.check(b.Bulk()) })
	side.Stall(false)
	b.redis("CONFIG", "SET", limit, "pubsub 32mb 8mb 60")
	b.tell("%d connections closed by Redis, %d bulk invalidations by each instance", strings.Count(b.Server.Log(), limitReached)-before, bulks)
}
