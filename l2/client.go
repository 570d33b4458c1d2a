package l2

import "github.com/redis/go-redis/v9"

// CheckClient says whether a client may be used: [New] refuses one that reads
// from replicas or whose shards know nothing of each other. It is nil for one
// that New takes.
func CheckClient(c redis.UniversalClient) error { return checkClient(c) }
