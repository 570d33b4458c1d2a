// Package baseline is what Doppio is compared with: cache-aside in two tiers as
// it is commonly written. Values live in a map with a TTL in the process and in
// Redis by SET; an invalidation is a DEL and a PUBLISH; a subscriber, by
// go-redis's Channel, drops from the map what it is told to drop; singleflight
// keeps the callers of one process from loading the same thing at once.
//
// It promises nothing, and is not made worse than it is in services: calls of
// Redis have a time-out, loads are detached from the first caller's
// cancellation, and without Redis it loads. What it lacks is what this shape
// lacks: a message that is lost is not missed, a DEL that fails is not
// repeated, and a load that read before a commit may SET after the DEL.
//
// A Cache is safe for concurrent use. It has a goroutine and a subscription
// from Open to Close.
package baseline
