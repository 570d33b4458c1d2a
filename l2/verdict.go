package l2

import (
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// verdict is what the outcome of a command says about the server.
type verdict int

const (
	healthy verdict = iota // it answers
	failing                // it does not, or only to say that it cannot
	fatal                  // it answers, and what it answers must not be used
)

// refusals are the errors by which a server says that it cannot serve.
var refusals = map[string]verdict{
	"LOADING":     failing,
	"MASTERDOWN":  failing,
	"CLUSTERDOWN": failing,
	"NOAUTH":      failing,
	"WRONGPASS":   failing,
	"MOVED":       failing, // the client has followed it as often as it may
	"ASK":         failing,

	// A server that refuses writes may be a replica or a primary that has been
	// replaced: what it answers to a read may be older than an invalidation that
	// was confirmed elsewhere. It is not asked again until it takes a write.
	"READONLY":   fatal,
	"NOREPLICAS": fatal,
	"MISCONF":    fatal,
}

// judge says what the outcome of a command means for its server. Not among the
// refusals is OOM: a Redis whose memory is full refuses leases and fills, but
// reads and invalidations still go through. Nor are errors that concern one
// command, such as a script that fails, NOPERM or TRYAGAIN.
func judge(err error) verdict {
	if err == nil {
		return healthy
	}
	var reply redis.Error
	if !errors.As(err, &reply) {
		return failing // the network, the client's pool, or no answer in time
	}
	msg := reply.Error()
	if strings.HasPrefix(msg, "ERR max number of clients") {
		return failing
	}
	code, _, _ := strings.Cut(msg, " ")
	if code == "ERR" {
		// Redis 6.2 quotes what a script met: "ERR Error running script (…): -READONLY …"
		for quoted, v := range refusals {
			if strings.Contains(msg, "-"+quoted+" ") {
				return v
			}
		}
	}
	return refusals[code] // healthy, if it is none of them
}

// isNoScript reports whether a script is unknown to the server.
func isNoScript(err error) bool {
	return err != nil && redis.HasErrorPrefix(err, "NOSCRIPT")
}
